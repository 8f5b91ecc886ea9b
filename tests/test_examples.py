"""Every example of openapi/examples: the request gives the answer, in the documented form."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from service.http.operation import Operation
from service.routes.compute import router
from service.wire.context import Context

FOLDER = Path(__file__).parent.parent / "openapi" / "examples"
EXAMPLES = [(operation, name) for operation in router.operations for name in operation.examples]


def load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def agree(made: Any, expected: Any, place: str = "") -> None:
    """The same, members in the same order; floats to the last few digits of the platform."""
    assert type(made) is type(expected), place
    if isinstance(expected, dict):
        assert list(made) == list(expected), place
        for name, value in expected.items():
            agree(made[name], value, f"{place}/{name}")
    elif isinstance(expected, list):
        assert len(made) == len(expected), place
        for index, value in enumerate(expected):
            agree(made[index], value, f"{place}/{index}")
    elif isinstance(expected, float):
        assert math.isclose(made, expected, rel_tol=1e-12, abs_tol=1e-9), place
    else:
        assert made == expected, place


@pytest.mark.parametrize(("operation", "name"), EXAMPLES, ids=[name for _, name in EXAMPLES])
def test_an_example_request_gives_its_answer(operation: Operation, name: str) -> None:
    request = (FOLDER / f"{name}.request.json").read_bytes()
    made = operation.compute(request, Context())
    agree(json.loads(made), load(f"{name}.response"))
    operation.response_model.model_validate_json(made)
    assert operation.compute(request, Context()) == made


def test_every_example_belongs_to_an_operation() -> None:
    files = {path.name for path in FOLDER.iterdir()}
    named = {f"{name}.{part}.json" for _, name in EXAMPLES for part in ("request", "response")}
    assert named <= files
    others = {file for file in files - named if file.startswith(("forward", "gradient", "vjp"))}
    assert not others


ROUNDED = {
    "gradient-product": (-12, {"x": -3, "y": 4}),
    "gradient-compound": (-12, {"x": -4, "y": -4, "z": 3}),
    "gradient-neuron-gates": (
        0.73,
        {"w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20},
    ),
    "gradient-neuron-sigmoid": (
        0.73,
        {"w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20},
    ),
    "gradient-patterns": (-20, {"x": -8, "y": 6, "z": 2, "w": 0}),
    "gradient-branch": (15, {"x": 8}),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_the_examples_have_the_numbers_of_the_note(name: str) -> None:
    answer = load(f"{name}.response")
    value, gradients = ROUNDED[name]
    assert round(answer["value"], 2) == value
    assert {key: round(g, 2) for key, g in answer["gradients"].items()} == gradients


def test_the_staged_function_is_the_same_as_nodes_and_as_text() -> None:
    nodes, text = load("gradient-staged-nodes.response"), load("gradient-staged-text.response")
    assert math.isclose(nodes["value"], text["value"], rel_tol=1e-15)
    for name in ("x", "y"):
        assert math.isclose(nodes["gradients"][name], text["gradients"][name], rel_tol=1e-14)


def test_the_pattern_circuit_sends_2_to_both_sides_of_the_add() -> None:
    wires = load("gradient-patterns.response")["node_gradients"]
    assert (wires["xy"], wires["zw"], wires["sum"]) == (2, 2, 2)


def test_the_matrix_gate_follows_the_dimension_analysis() -> None:
    import numpy as np

    request, answer = load("gradient-matmul.request"), load("gradient-matmul.response")
    W, X = (np.array(request["inputs"][name]) for name in "WX")
    dD = np.array(request["cotangent"])
    np.testing.assert_allclose(answer["gradients"]["W"], dD @ X.T)
    np.testing.assert_allclose(answer["gradients"]["X"], W.T @ dD)
