"""What the caches say they hold is what they hold, whatever hangs on an entry."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from service.engine import lru_cache
from service.engine.lru_cache import Recent
from service.routes import compute, umbridge
from service.wire import umbridge as models
from service.wire.context import Context, recent_graphs

MIB = 1024 * 1024
GRAPHS, MADE, MODELS = MIB // 2, MIB // 2, MIB // 2
Node = dict[str, Any]


def chain(operator: str, *more: Any, **attrs: Any) -> Callable[[int], list[Node]]:
    def nodes(number: int) -> list[Node]:
        made: list[Node] = [{"id": "x", "op": "input"}]
        for i in range(120):
            source = [made[-1]["id"], *more]
            made.append({"id": f"n{number}_{i}", "op": operator, "inputs": source} | attrs)
        return made

    return nodes


def wide(number: int) -> list[Node]:
    sources = ["x"] * (300 + number)
    return [{"id": "x", "op": "input"}, {"id": "y", "op": "maximum", "inputs": sources}]


def with_a_constant(number: int) -> list[Node]:
    value = [float(number)] * 5_000
    return [
        {"id": "x", "op": "input"},
        {"id": "c", "op": "constant", "value": value},
        {"id": "p", "op": "multiply", "inputs": ["x", "c"]},
        {"id": "y", "op": "sum", "inputs": ["p"]},
    ]


KINDS: dict[str, Callable[[int], list[Node]]] = {
    "sums": chain("add", "x"),
    "literals": chain("multiply", 0.5),
    "attributes": chain("clip", min=-5.0, max=5.0),
    "functions": chain("tanh"),
    "a wide gate": wide,
    "a large constant": with_a_constant,
}


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(lru_cache, "MADE", Recent(10_000, MADE))
    monkeypatch.setattr(models, "_models", Recent(1_000, MODELS))
    return Context(graphs=recent_graphs(10_000, GRAPHS))


def held(work: Callable[[int], None], times: int) -> int:
    """Bytes that are still there after `work` was done so often."""
    work(-1)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(times):
            work(number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["gradient", "hvp", "gradient of points"])
def test_graphs_and_what_is_made_of_them(context: Context, kind: str, way: str) -> None:
    paths = {route.path: route for route in compute.router.routes}
    operation: Any = paths["/v1/hvp" if way == "hvp" else "/v1/gradient"]

    def work(number: int) -> None:
        request: dict[str, Any] = {"graph": {"nodes": KINDS[kind](number)}, "inputs": {"x": 0.5}}
        if way == "hvp":
            request["vector"] = {"x": 1.0}
        elif way == "gradient of points":
            request |= {"inputs": {"x": [0.5, 0.25]}, "batch": True, "values": "output"}
        operation.compute(json.dumps(request).encode(), context)

    assert held(work, 25) < 1.3 * (GRAPHS + MADE) + MIB // 2


def test_models_with_large_configurations(context: Context) -> None:
    paths = {route.path: route for route in umbridge.router.routes}
    operation: Any = paths["/umbridge/ApplyHessian"]

    def work(number: int) -> None:
        config = {
            "graph": {"expression": "f = sum(sin(x) * w)"},
            "inputs": {"w": [0.1 * number] * 20_000},
            "shapes": {"x": [1]},
        }
        request = {
            "name": "graph",
            "config": config,
            "input": [[0.5]],
            "outWrt": 0,
            "inWrt1": 0,
            "inWrt2": 0,
            "sens": [1.0],
            "vec": [1.0],
        }
        operation.compute(json.dumps(request).encode(), context)

    assert held(work, 40) < 1.3 * (GRAPHS + MADE + MODELS) + MIB
