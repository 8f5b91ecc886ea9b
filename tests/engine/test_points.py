"""A batch of points gives what its points give one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine import blocked
from service.engine.compute import gradient
from service.engine.errors import GraphError
from service.engine.expression import parse_expression
from service.engine.graph import Graph, resolve
from service.engine.points import batch, batch_gradient
from service.engine.program import program_for

SCALAR = "a = tanh(x * w) + x ** 3\nf = a / (1 + exp(-a)) * w - abs(x) + max(x, y) + pow(2, y)"
TENSOR = "h = tanh(x @ W + b)\nf = sum(h * h)"
RNG = np.random.default_rng(7)


def one_by_one(graph: Graph, inputs: dict[str, Any], carried: list[str]) -> list[Any]:
    size = len(inputs[carried[0]])
    points = [{n: (v[i] if n in carried else v) for n, v in inputs.items()} for i in range(size)]
    return [
        gradient(program_for(graph, point), point, node_gradients=True)
        for point in (
            {n: float(v) if np.ndim(v) == 0 else v for n, v in point.items()} for point in points
        )
    ]


def scalar_inputs(size: int) -> dict[str, Any]:
    return {"x": RNG.normal(size=size), "y": RNG.normal(size=size), "w": 0.7}


def tensor_inputs(size: int) -> dict[str, Any]:
    return {
        "x": RNG.normal(size=(size, 3)),
        "W": RNG.normal(size=(3, 4)),
        "b": RNG.normal(size=4),
    }


@pytest.mark.parametrize(
    ("text", "inputs", "carried"),
    [(SCALAR, scalar_inputs(23), ["x", "y"]), (TENSOR, tensor_inputs(23), ["x"])],
    ids=["scalar", "tensor"],
)
@pytest.mark.parametrize("reduce", ["none", "sum", "mean"])
def test_batch_equals_its_points(
    text: str, inputs: dict[str, Any], carried: list[str], reduce: Any
) -> None:
    graph = resolve(parse_expression(text))
    points = batch(graph, inputs, carried)
    found = batch_gradient(points, reduce=reduce)
    singles = one_by_one(graph, inputs, carried)
    np.testing.assert_allclose(found.value, [one.value for one in singles], rtol=1e-12)
    for name, g in found.gradients.items():
        expected = np.stack([one.gradients[name] for one in singles])
        if reduce != "none" and name not in carried:
            expected = expected.sum(0) if reduce == "sum" else expected.mean(0)
        np.testing.assert_allclose(g, expected, rtol=1e-11, atol=1e-12)
    assert found.values is not None
    for name, value in found.values.items():
        np.testing.assert_allclose(value, np.stack([one.values[name] for one in singles]))


def test_gradients_of_nodes_carry_the_axis() -> None:
    graph = resolve(parse_expression(TENSOR))
    inputs = tensor_inputs(5)
    found = batch_gradient(batch(graph, inputs, ["x"]), node_gradients=True)
    singles = one_by_one(graph, inputs, ["x"])
    assert found.node_gradients is not None
    for name, g in found.node_gradients.items():
        expected = np.stack([one.node_gradients[name] for one in singles])
        np.testing.assert_allclose(g, expected, rtol=1e-11, atol=1e-13)


def test_points_are_the_same_however_they_are_cut_up(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = resolve(parse_expression(SCALAR))
    inputs = scalar_inputs(100_000)
    whole = batch_gradient(batch(graph, inputs, ["x", "y"]), values=False)
    monkeypatch.setattr(blocked, "BLOCK", 4_096)
    monkeypatch.setattr(blocked, "THREADED_BLOCK", 4_096)
    again = batch_gradient(batch(graph, inputs, ["x", "y"]), values=False)
    part = {n: v[5_000:5_777] if np.ndim(v) else v for n, v in inputs.items()}
    few = batch_gradient(batch(graph, part, ["x", "y"]), values=False)
    for name in whole.gradients:
        np.testing.assert_array_equal(whole.gradients[name], again.gradients[name])
        np.testing.assert_array_equal(whole.gradients[name][5_000:5_777], few.gradients[name])


def test_gates_that_branch_go_through_blocks_too() -> None:
    graph = resolve(parse_expression("f = relu(x) * clip(y, -1, 1) + (x if x > y else y)"))
    inputs = {"x": RNG.normal(size=50), "y": RNG.normal(size=50)}
    found = batch_gradient(batch(graph, inputs, True))
    singles = one_by_one(graph, inputs, ["x", "y"])
    for name, g in found.gradients.items():
        np.testing.assert_allclose(g, [one.gradients[name] for one in singles])


@pytest.mark.parametrize(
    ("inputs", "names", "code"),
    [
        ({"x": np.ones(3), "y": np.ones(2), "w": 1.0}, ["x", "y"], "shape_mismatch"),
        ({"x": 1.0, "y": np.ones(2), "w": 1.0}, ["x", "y"], "shape_mismatch"),
        ({"x": np.ones(0), "y": np.ones(0), "w": 1.0}, ["x", "y"], "shape_mismatch"),
        ({"x": 1.0, "y": 1.0, "w": 1.0}, [], "missing_input"),
    ],
)
def test_batch_that_is_none_is_refused(inputs: Any, names: list[str], code: str) -> None:
    with pytest.raises(GraphError) as caught:
        batch(resolve(parse_expression(SCALAR)), inputs, names)
    assert caught.value.faults[0].code == code
