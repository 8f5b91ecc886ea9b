"""Small requests that ask for much: each is done or refused, and nobody else waits for it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hostile.test_corpus import peak, restart_peak
from tests.serving import Server, serving

DEADLINE = 8.0
MEMORY = 100 * 1024 * 1024


def wide(operator: str, inputs: int, **more: Any) -> dict[str, Any]:
    nodes = [{"id": "x", "op": "input"}, {"id": "f", "op": operator, "inputs": ["x"] * inputs}]
    return {"graph": {"nodes": nodes}, "inputs": {"x": 1.0}} | more


def text(expression: str, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"graph": {"expression": expression}, "inputs": inputs or {"x": 1.0}} | more


def tangled(gates: int) -> dict[str, Any]:
    """Gates that read others from everywhere before them: wires pass through all layers."""
    nodes: list[dict[str, Any]] = [{"id": "n0", "op": "input"}]
    for i in range(1, gates):
        earlier = i * i * 31 % i if i % 2 else i * 7919 % max(i - 1, 1)
        nodes.append({"id": f"n{i}", "op": "add", "inputs": [f"n{i - 1}", f"n{earlier}"]})
    return {"graph": {"nodes": nodes}, "inputs": {"n0": 1.0}}


CUMULATED = "f = sum(cumulative_prod(broadcast_to(x, shape=[{}]), axis=0))"
HIGH = text("f = tanh(x * y) * exp(x) / y", {"x": 1.0, "y": 2.0})
ROWS: dict[str, tuple[str, dict[str, Any], set[int]]] = {
    "jacobian of a wide gate": ("/v1/jacobian", wide("maximum", 1600), {200}),
    "hessian of a wide gate": ("/v1/hessian", wide("minimum", 400), {200}),
    "gradient of a wide gate": ("/v1/gradient", wide("maximum", 1600), {200}),
    "check of a wide gate": ("/v1/check", wide("maximum", 1600), {200}),
    "explanation of a wide gate": ("/v1/explain", wide("maximum", 400), {200}),
    "explanation of a wide gate of first ties": (
        "/v1/explain",
        {
            "graph": {
                "nodes": [
                    {"id": "x", "op": "input"},
                    {"id": "f", "op": "maximum", "inputs": ["x"] * 800, "ties": "first"},
                ]
            },
            "inputs": {"x": 1.0},
        },
        {200},
    ),
    "explanation of too wide a gate": ("/v1/explain", wide("maximum", 30_000), {413}),
    "diagram of a wide gate": ("/v1/diagram", wide("maximum", 2000), {200}),
    "diagram of a very wide gate": ("/v1/diagram", wide("maximum", 30_000), {200}),
    "diagram of a tangle": ("/v1/diagram", tangled(299), {200}),
    "gradient of a cumulative product": ("/v1/gradient", text(CUMULATED.format(8000)), {200}),
    "hessian of a cumulative product": ("/v1/hessian", text(CUMULATED.format(300)), {200}),
    "gradient graph of high order": ("/v1/gradient-graph", HIGH | {"order": 8}, {413, 504}),
    "no such output": (
        "/v1/forward",
        {"graph": {"nodes": [{"id": "x", "op": "input", "value": 1.0}], "output": "x.0"}},
        {422},
    ),
    "diagram of no such output": (
        "/v1/diagram",
        {"graph": {"nodes": [{"id": "x", "op": "input", "value": 1.0}], "output": "x.0"}},
        {422},
    ),
    "an empty shape of great length": (
        "/v1/analyze",
        {"graph": {"expression": "f = sum(x)"}, "shapes": {"x": [0, 10**20]}},
        {413},
    ),
    "an empty shape whose sizes overflow": (
        "/v1/analyze",
        {"graph": {"expression": "f = sum(x)"}, "shapes": {"x": [0, 2**62, 4]}},
        {413},
    ),
    "a shape of many axes": (
        "/v1/analyze",
        {"graph": {"expression": "f = sum(x)"}, "shapes": {"x": [1] * 70}},
        {422},
    ),
}


class Watch(threading.Thread):
    """Asks /healthz again and again; `worst` is the longest that an answer took, in seconds."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.worst = 0.0
        self.done = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        while not self.done.wait(0.02):
            started = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            self.worst = max(self.worst, time.perf_counter() - started)
        connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("costly")
    with serving(folder, deadline_seconds=str(DEADLINE)) as running:
        yield running
        assert "Traceback" not in running.log.read_text("utf-8", "replace")


def send(server: Server, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", path, json.dumps(body))
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize("row", ROWS)
def test_it_is_done_or_refused_while_others_are_answered(server: Server, row: str) -> None:
    path, body, statuses = ROWS[row]
    before = restart_peak(server.process.pid)
    watch = Watch(server)
    watch.start()
    try:
        status, answer = send(server, path, body)
        # The pools are free again: work of either kind is done at once.
        after, _ = send(server, "/v1/hessian", text("f = x * x"))
    finally:
        watch.done.set()
        watch.join()
    assert status in statuses, answer[:300]
    assert after == 200
    assert watch.worst < 1.0, "the event loop was held up"
    assert peak(server.process.pid) - before < MEMORY
