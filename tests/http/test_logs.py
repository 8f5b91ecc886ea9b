"""What is logged, and what never is."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.http.fakes import FakeWork, app_of, play


def test_the_log_has_no_content(capfd: pytest.CaptureFixture[str]) -> None:
    app = app_of(FakeWork(errors={"x": KeyError("secret")}), access_log="all")

    async def scenario(client: httpx.AsyncClient) -> None:
        await client.post("/v1/fake?secret", json={"note": "secret"})
        await client.post("/v1/fake", json={"raise": "x", "note": "secret"})
        await client.get("/secret")

    play(app, scenario)
    written = capfd.readouterr().err
    lines = [json.loads(text) for text in written.splitlines() if text.startswith("{")]
    assert [line["status"] for line in lines if line["event"] == "request"] == [200, 500, 404]
    assert lines[0]["path"] == "/v1/fake"
    assert "secret" not in written
