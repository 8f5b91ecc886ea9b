"""A service that is about to stop says so."""

from __future__ import annotations

import httpx

from tests.http.fakes import FakeWork, app_of, play


def test_draining_asks_clients_to_close() -> None:
    app = app_of(FakeWork())
    app.pipeline.state.draining = True

    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.post("/v1/fake", json={})).headers["connection"] == "close"

    play(app, scenario)
