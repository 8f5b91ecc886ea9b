"""Graphs of any structure against every endpoint that takes one: an answer or a refusal, soon."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.engine.registry import REGISTRY, Attribute
from tests.fuzz.watching import undocumented
from tests.routes.calling import Caller

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(900)]

EXAMPLES = int(os.environ.get("GRADIENT_FUZZ_EXAMPLES", "300"))
SECONDS = 10.0
PATHS = {
    "/v1/forward": {},
    "/v1/gradient": {"node_gradients": True},
    "/v1/vjp": {"cotangents": {}},
    "/v1/jvp": {"tangents": {"x0": 1}},
    "/v1/jacobian": {},
    "/v1/hessian": {},
    "/v1/hvp": {"vector": {"x0": 1}},
    "/v1/check": {},
    "/v1/analyze": {},
    "/v1/gradient-graph": {"order": 2},
    "/v1/explain": {},
    "/v1/diagram": {"format": "dot"},
}
SHAPES = st.sampled_from([(), (1,), (3,), (2, 3), (3, 3), (1, 3), (2, 1, 3), (1, 2, 4, 4), (0,)])
NUMBERS = st.one_of(
    st.floats(-3, 3), st.sampled_from([0.0, 1e308, -1e-320, 5, "NaN", "Infinity", True, False])
)
OPERATORS = [op for op in REGISTRY if not op.internal and op.group != "leaf"]


def filled(shape: tuple[int, ...], number: Any) -> Any:
    """A nested list of this shape."""
    return [filled(shape[1:], number) for _ in range(shape[0])] if shape else number


def values_of(attribute: Attribute) -> st.SearchStrategy[Any]:
    """Values that an attribute may have, and some that it may not."""
    small = st.integers(-3, 4)
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "int": small,
        "axis": small,
        "float": st.floats(-3, 3),
        "number": st.one_of(st.floats(-3, 3), st.sampled_from(["inf", "-inf"])),
        "choice": st.sampled_from([*(getattr(attribute, "choices", None) or ["mean"])]),
        "text": st.sampled_from(["ij,jk->ik", "ii", "i,i", "float32", "int64", "bool", ""]),
        "ints": st.lists(small, max_size=4),
        "axes": st.one_of(small, st.lists(small, max_size=3)),
    }
    good = kinds[attribute.kind]
    return st.one_of(good, good, good, st.none(), st.text(max_size=3), small)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly well-formed graphs, in any order, with references that may lead anywhere."""
    nodes: list[dict[str, Any]] = []
    for i in range(draw(st.integers(1, 3))):
        value = filled(draw(SHAPES), draw(NUMBERS))
        leaf: dict[str, Any] = {
            "id": f"x{i}",
            "op": draw(st.sampled_from(["input", "input", "constant"])),
        }
        if draw(st.integers(0, 9)):
            leaf["value"] = value
        dtype = draw(st.sampled_from([None, None, None, "float32", "int64", "bool", "int32"]))
        if dtype is not None:
            leaf["dtype"] = dtype
        nodes.append(leaf)
    for i in range(draw(st.integers(1, 8))):
        op = draw(st.sampled_from(OPERATORS))
        least, most = op.arity
        count = draw(st.integers(least, least + 2 if most is None else most))
        ids = [n["id"] for n in nodes]
        source = st.one_of(
            st.sampled_from(ids),
            st.sampled_from(ids),
            st.sampled_from(ids[-2:]),
            st.sampled_from([f"n{i}", f"n{i + 1}", "nowhere", "x0.1", f"{ids[-1]}.1"])
            if not draw(st.integers(0, 9))
            else NUMBERS,
        )
        node: dict[str, Any] = {
            "id": f"n{i}",
            "op": op.name,
            "inputs": [draw(source) for _ in range(count)],
        }
        for name, attribute in op.attributes.items():
            if attribute.required or not draw(st.integers(0, 2)):
                node[name] = draw(values_of(attribute))
        nodes.append(node)
    order = draw(st.permutations(nodes)) if not draw(st.integers(0, 3)) else nodes
    graph: dict[str, Any] = {"nodes": list(order)}
    if draw(st.booleans()):
        graph["output"] = nodes[-1]["id"]
    return graph


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    caller = Caller(deadline_seconds=5)
    yield caller
    caller.close()


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_or_a_refusal_soon(call: Caller, path: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        graph=graphs(),
        cotangent=st.one_of(st.none(), SHAPES.map(lambda shape: filled(shape, 1.0))),
        batch=st.sampled_from([None, None, True, ["x0"]]),
        encoding=st.sampled_from(["json", "base64"]),
    )
    def run(graph: dict[str, Any], cotangent: Any, batch: Any, encoding: str) -> None:
        body: dict[str, Any] = {"graph": graph, "encoding": encoding, **PATHS[path]}
        if path == "/v1/gradient":
            body |= {} if batch is None else {"batch": batch}
        if cotangent is not None and path in ("/v1/gradient", "/v1/explain", "/v1/check"):
            body["cotangent"] = cotangent
        start = time.monotonic()
        answer = call("POST", path, json=body)
        assert time.monotonic() - start < SECONDS
        assert answer.status_code < 500 or answer.status_code in (503, 504), answer.text
        assert not undocumented([("POST", path, answer.status_code)])

    run()
