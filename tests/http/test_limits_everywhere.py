"""Size, media type and deadline: every path, in every way to reach the service."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from service.engine.control import Control
from service.http import telemetry
from service.http.operation import Handler, Operation
from service.http.prepared import Cost, PreparedRequest
from service.routes import graphs, tasks
from tests.http.every_path import WAYS, Way, ask, filled, reach, templates

OWN_STATUS = ("POST /umbridge", "POST /evaluate")
LIMIT = 2_000
LARGE = b'{"graph":{"expression":"x"},"pad":"' + b"x" * 5_000 + b'"}'
TASK = {"graph": {"expression": "x * y"}, "inputs": {"x": 1, "y": 2}}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Traced means here what the service sees of it: that somebody collects."""
    if request.param == "traced":
        monkeypatch.setattr(telemetry, "collected", lambda: True)
        yield "plain"
    else:
        yield request.param


def bodies(way: Way, content: Any, **headers: str) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """A request with this body for every path and every method that may have one."""
    return {
        f"{method} {template}": (
            method,
            filled(template),
            {"content": content() if callable(content) else content, "headers": headers},
        )
        for template in templates(way.app)
        for method in ("POST", "PUT", "PATCH", "DELETE", "GET")
    }


async def _chunks() -> AsyncIterator[bytes]:
    for start in range(0, len(LARGE), 500):
        yield LARGE[start : start + 500]


@pytest.mark.parametrize(
    ("content", "headers"),
    [(LARGE, {}), (_chunks, {}), (gzip.compress(LARGE), {"content-encoding": "gzip"})],
    ids=["declared", "chunked", "gzip"],
)
def test_a_body_over_the_limit_is_413(way: str, content: Any, headers: dict[str, str]) -> None:
    reached = reach(way, max_body_bytes=LIMIT, access_log="off")
    cases = bodies(reached, content, **headers)
    answers = ask(reached, cases.values())
    wrong = {c: a.status_code for c, a in zip(cases, answers, strict=True) if a.status_code != 413}
    # UM-Bridge and the µEd API have a status of their own for what is wrong with a request.
    assert {case for case in wrong if not case.startswith(OWN_STATUS)} == set()
    assert set(wrong.values()) <= {400}
    assert reached.app.pools.held_bytes == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json", "content-encoding": "br"},
    ],
)
def test_a_body_of_another_type_is_415(way: str, headers: dict[str, str]) -> None:
    reached = reach(way, access_log="off")
    cases = bodies(reached, b"{}", **headers)
    answers = ask(reached, cases.values())
    wrong = {c: a.status_code for c, a in zip(cases, answers, strict=True) if a.status_code != 415}
    assert {case for case in wrong if not case.startswith(OWN_STATUS)} == set()
    assert set(wrong.values()) <= {400}


def _slow(*_: Any) -> Any:
    time.sleep(1.5)


def _parse(body: bytes, context: Any, may_block: bool = True, /) -> PreparedRequest:
    def execute(control: Control | None) -> bytes:
        _slow()
        return b"{}"

    return PreparedRequest(Cost(10**6, 2), execute)


def test_the_deadline_holds_and_the_event_loop_stays_free(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every path that computes, with work that takes no notice of the time."""
    reached = reach(
        way, deadline_seconds=0.2, access_log="off", light_threads=100, heavy_threads=100
    )
    paths = []
    for target in reached.app.pipeline.routes.targets():
        if isinstance(target.operation, Operation):
            monkeypatch.setattr(target.operation, "handler", Handler(_parse))
            monkeypatch.setattr(target.operation, "handler_for", None)
            paths.append(filled(target.template))
    monkeypatch.setattr(graphs, "register_graph", _slow)
    monkeypatch.setattr(tasks, "keep_task", _slow)
    monkeypatch.setattr("service.routes.grade.find_truth", _slow)
    paths += ["/v1/graphs", "/v1/tasks", "/v1/grade/batch"]
    assert len(paths) > 25

    async def scenario() -> tuple[list[int], int]:
        transport = httpx.ASGITransport(reached.asked)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            batch = {**TASK, "submissions": []}
            posts = [client.post(reached.prefix + path, json=batch) for path in paths]
            answering = asyncio.gather(*posts)
            healthy = 0
            while not answering.done():
                await client.get(reached.prefix + "/healthz")
                await asyncio.sleep(0.01)
                healthy += 1
            return [answer.status_code for answer in await answering], healthy

    statuses, healthy = asyncio.run(scenario())
    assert dict(zip(paths, statuses, strict=True)) == dict.fromkeys(paths, 504)
    assert healthy > 5
