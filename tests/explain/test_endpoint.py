"""POST /v1/explain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.routes.explain import router
from service.wire.explaining import ExplainResponse
from tests.explain.test_staged import execute
from tests.routes.calling import Caller

EXAMPLES = Path(__file__).parents[2] / "openapi" / "examples"


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    caller = Caller()
    yield caller
    caller.close()


@pytest.mark.parametrize("name", router.operations[0].examples)
def test_the_examples_give_their_answers(call: Caller, name: str) -> None:
    request = json.loads((EXAMPLES / f"{name}.request.json").read_text("utf-8"))
    answer = call("POST", "/v1/explain", json=request)
    assert answer.status_code == 200
    assert answer.json() == json.loads((EXAMPLES / f"{name}.response.json").read_text("utf-8"))
    ExplainResponse.model_validate_json(answer.content)


def _points() -> list[str]:
    """The examples of gradients at one point."""
    files = sorted(EXAMPLES.glob("gradient-*.request.json"))
    return [
        file.name
        for file in files
        if "graph-" not in file.name and "batch" not in json.loads(file.read_text("utf-8"))
    ]


@pytest.mark.parametrize("name", _points())
def test_the_code_of_every_example_graph_runs_and_agrees(call: Caller, name: str) -> None:
    given = json.loads((EXAMPLES / name).read_text("utf-8"))
    kept = ("graph", "inputs", "output", "cotangent")
    request = {key: given[key] for key in kept if key in given}
    explained = call("POST", "/v1/explain", json=request).json()
    scope = execute(explained["code"])
    truth = call("POST", "/v1/gradient", json=request).json()
    for node, expected in truth["gradients"].items():
        if isinstance(expected, str):
            expected = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}[expected]
        np.testing.assert_allclose(scope[f"d{node}"], expected, rtol=1e-9, atol=1e-12)


def test_a_very_long_graph_is_refused(call: Caller) -> None:
    nodes = [{"id": "x", "op": "input", "value": 1}]
    nodes += [{"id": f"n{i}", "op": "exp", "inputs": ["x"]} for i in range(5001)]
    answer = call("POST", "/v1/explain", json={"graph": {"nodes": nodes, "output": "n1"}})
    assert answer.status_code == 413
    assert answer.json()["limit"] == "explained_nodes"


def test_tensors_come_in_base64_when_asked_for(call: Caller) -> None:
    request = {"graph": {"expression": "f = sum(x)"}, "inputs": {"x": [1, 2]}, "encoding": "base64"}
    explained = call("POST", "/v1/explain", json=request).json()
    assert explained["gradients"]["x"]["object_type"] == "array"
    ExplainResponse.model_validate(explained)
