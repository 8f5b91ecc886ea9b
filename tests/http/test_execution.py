"""Where the work of a request runs, and when it is given up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from tests.http.fakes import FakeWork, app_of, play


def test_cheap_work_runs_on_the_loop_and_the_rest_in_its_pool() -> None:
    work = FakeWork()
    app = app_of(work, inline_flops=100, light_flops=1000, light_body_bytes=20_000)

    async def scenario(client: httpx.AsyncClient) -> None:
        padding = " " * 10_000
        for asked in ({}, {"flops": 500}, {"flops": 5000}):
            for text in (json.dumps(asked), json.dumps(asked) + padding):
                answer = await client.post("/v1/fake", content=text)
                assert answer.json() == {"done": True}
        await client.post("/v1/fake", content="{}" + " " * 30_000)

    play(app, scenario)
    pools = [name.partition("_")[0] for name in work.threads]
    assert pools == [
        "MainThread",
        "light-pool",
        "light-pool",
        "light-pool",
        "heavy-pool",
        "heavy-pool",
        "heavy-pool",
    ]
    assert app.metrics.nodes == 21
    assert app.metrics.inline == 1


def test_what_would_block_is_read_in_a_thread() -> None:
    work = FakeWork()

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/fake", json={"block": True})
        assert answer.status_code == 200

    play(app_of(work), scenario)
    assert work.blocked == 1
    assert work.threads[0].startswith("light-pool")


def test_a_deadline_answers_504_and_stops_the_work() -> None:
    work = FakeWork()
    app = app_of(work, deadline_seconds=0.1)

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/fake", json={"flops": 10**6, "sleep": 5})
        assert answer.json()["code"] == "deadline_exceeded"
        for _ in range(100):
            if app.pools.light.running == 0:
                break
            await asyncio.sleep(0.01)

    play(app, scenario)
    assert work.cancelled == 1


def test_a_client_that_hangs_up_stops_its_work() -> None:
    work = FakeWork()
    app = app_of(work)

    async def run() -> None:
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": b'{"flops":1000000,"sleep":5}'},
        ]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/fake",
            "query_string": b"",
            "headers": [],
        }
        await asyncio.wait_for(app(scope, receive, send), 2)
        assert sent == []
        for _ in range(100):
            if work.cancelled:
                break
            await asyncio.sleep(0.01)
        app.close()

    asyncio.run(run())
    assert work.cancelled == 1
    assert app.metrics.hung_up == 1


def test_overload_is_refused_at_once_while_light_work_goes_on() -> None:
    work = FakeWork()
    app = app_of(work, heavy_threads=1, heavy_queue=1, light_flops=1000, inline_flops=1)

    async def scenario(client: httpx.AsyncClient) -> None:
        heavy = {"flops": 10**6, "sleep": 0.5}
        answers = asyncio.gather(*(client.post("/v1/fake", json=heavy) for _ in range(6)))
        await asyncio.sleep(0.05)
        assert (await client.post("/v1/fake", json={"flops": 500})).status_code == 200
        assert not answers.done()
        statuses = sorted(answer.status_code for answer in await answers)
        assert statuses == [200, 200, 503, 503, 503, 503]
        refused = next(answer for answer in await answers if answer.status_code == 503)
        assert refused.headers["retry-after"] == "1"

    play(app, scenario)
