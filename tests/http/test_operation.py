"""An operation answers and refuses as it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from service.codes import Refusal
from service.engine.errors import LimitExceeded
from service.http.operation import Handler, Operation
from service.http.pools import overloaded
from service.http.prepared import Answer
from tests.http.fakes import FakeWork, app_with, play


def test_an_operation_may_answer_in_its_own_way() -> None:
    def refuse(error: Exception) -> Answer | None:
        if isinstance(error, Refusal):
            return Answer(b'{"score":null}', status=503)
        return Answer(b'{"score":0}', status=200) if isinstance(error, LimitExceeded) else None

    def handler_for(scope: Mapping[str, Any]) -> Handler:
        bad = FakeWork(errors={"x": KeyError("bad")})
        return Handler((bad if scope["query_string"] == b"bad" else work).parse, refuse)

    work = FakeWork(errors={"x": LimitExceeded("nodes", 1, 2), "busy": overloaded(1)})
    operation = Operation(
        "/v1/fake",
        work.parse,
        summary="",
        description="",
        media=("application/json", "image/svg+xml"),
        handler_for=handler_for,
    )

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/fake", json={"svg": True})
        assert (answer.status_code, answer.headers["content-type"]) == (203, "image/svg+xml")
        answer = await client.post("/v1/fake", json={"raise": "x"})
        assert (answer.status_code, answer.json()) == (200, {"score": 0})
        answer = await client.post("/v1/fake?bad", json={"raise": "x"})
        assert answer.status_code == 500
        answer = await client.post("/v1/fake", json={"raise": "busy"})
        assert (answer.status_code, answer.json()) == (503, {"score": None})
        assert answer.headers["retry-after"] == "1"

    play(app_with(operation), scenario)
