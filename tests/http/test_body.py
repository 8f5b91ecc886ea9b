"""Bodies: counted as they arrive, unpacked within the limit, not waited for without end."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.http.fakes import FakeWork, app_of, play


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    app = app_of(FakeWork(), body_seconds=0.2)

    async def scenario(client: httpx.AsyncClient) -> None:
        async def slow() -> Any:
            yield b"{"
            await asyncio.sleep(5)
            yield b"}"

        answer = await client.post("/v1/fake", content=slow())
        assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"

    play(app, scenario)
    assert app.pools.held_bytes == 0


def test_a_body_is_held_as_long_as_its_request() -> None:
    work = FakeWork()
    app = app_of(work, max_pending_bytes=3_000, inline_flops=1)

    async def scenario(client: httpx.AsyncClient) -> None:
        slow = client.post("/v1/fake", content=b'{"flops":10,"sleep":0.5}'.ljust(2_000))
        answering = asyncio.ensure_future(slow)
        while not app.pools.held_bytes:
            await asyncio.sleep(0.01)
        refused = await client.post("/v1/fake", content=b"{}".ljust(2_000))
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert (await client.post("/v1/fake", content=b"{}")).status_code == 200
        assert (await answering).status_code == 200

    play(app, scenario)
    assert app.pools.held_bytes == 0
