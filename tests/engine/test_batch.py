"""A batch of points gives what its points give one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine import lru_cache
from service.engine.compute import gradient
from service.engine.errors import GraphError
from service.engine.expression import parse_expression
from service.engine.graph import Graph, resolve
from service.engine.lru_cache import Recent
from service.engine.program import program_for
from service.engine.run import tiled
from service.engine.run.batch import batch, batch_gradient, first_not_finite
from tests.engine.graphs import graph_from, leaf, node

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


@pytest.mark.parametrize("reduce", ["none", "sum", "mean"])
@pytest.mark.parametrize("wrt", [None, ["x"]])
@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        (TENSOR, tensor_inputs(5)),
        ("c = 2\nu = z * z * c\nf = u * x", {"x": np.arange(5.0), "z": 3.0}),
    ],
    ids=["tensor", "nodes that all points share"],
)
def test_gradients_of_nodes_carry_the_axis(
    text: str, inputs: dict[str, Any], wrt: list[str] | None, reduce: Any
) -> None:
    graph = resolve(parse_expression(text))
    points = batch(graph, inputs, ["x"])
    found = batch_gradient(points, node_gradients=True, wrt=wrt, reduce=reduce)
    singles = one_by_one(graph, inputs, ["x"])
    assert found.node_gradients is not None
    assert set(found.node_gradients) == set(singles[0].node_gradients)
    for name, g in found.node_gradients.items():
        expected = np.stack([one.node_gradients[name] for one in singles])
        np.testing.assert_allclose(g, expected, rtol=1e-11, atol=1e-13)
    plain = batch_gradient(points, wrt=wrt, reduce=reduce).gradients
    for name, g in found.gradients.items():
        np.testing.assert_allclose(g, plain[name], rtol=1e-12)


def test_a_constant_has_a_gradient_at_every_point() -> None:
    nodes = [
        leaf("x"),
        {"id": "c", "op": "constant", "value": 2.0},
        node("f", "multiply", "c", "x"),
    ]
    points = batch(graph_from(nodes), {"x": np.arange(3.0)}, True)
    found = batch_gradient(points, node_gradients=True).node_gradients
    assert found is not None
    assert found["c"].tolist() == [0.0, 1.0, 2.0]


def test_each_output_of_one_program_has_its_own_gradients() -> None:
    graph = resolve(parse_expression("a = sum(x)\nb = sum(x * x)"))
    points = batch(graph, {"x": np.array([[1.0, 2.0], [3.0, 4.0]])}, True)
    assert batch_gradient(points, output="a").value.tolist() == [3.0, 7.0]
    assert batch_gradient(points, output="b").value.tolist() == [5.0, 25.0]
    assert batch_gradient(points, output="b").gradients["x"].tolist() == [[2, 4], [6, 8]]


def test_plans_of_many_cotangents_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    cache: Recent[Any, Any] = Recent(1000, 100_000)
    monkeypatch.setattr(lru_cache, "MADE", cache)
    graph = resolve(parse_expression("f = x * x"))
    points = batch(graph, {"x": np.arange(3.0)}, True)
    for seed in range(100):
        found = batch_gradient(points, cotangent=float(seed))
        assert found.gradients["x"].tolist() == [0.0, 2.0 * seed, 4.0 * seed]
    assert 0 < len(cache) < 200
    assert 0 < cache.size <= 100_000


@pytest.mark.parametrize(
    ("op", "extra"), [("take", []), ("index_add", ["u"])], ids=["take", "index_add"]
)
@pytest.mark.parametrize("bad", [3, -4])
def test_an_index_counts_in_its_own_point_alone(op: str, extra: list[str], bad: int) -> None:
    leaves = [leaf("x"), {**leaf("i"), "dtype": "int64"}, *map(leaf, extra)]
    graph = graph_from([*leaves, node("y", op, "x", "i", *extra), node("s", "sum", "y")])
    x = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    u = {name: np.ones((2, 1)) for name in extra}
    points = batch(graph, {"x": x, "i": np.array([[0], [bad]]), **u}, True)
    with pytest.raises(GraphError, match=f"at point 1: {op} 'y': an index is out of range"):
        batch_gradient(points)
    right = batch(graph, {"x": x, "i": np.array([[-3], [2]]), **u}, True)
    assert batch_gradient(right).value.tolist() == ([1.0, 30.0] if op == "take" else [7.0, 61.0])


@pytest.mark.parametrize(
    ("text", "inputs", "reduce", "named"),
    [
        ("y = log(x)\nf = y * y", {"x": np.array([1.0, 2.0, 0.0])}, "none", [(2, "y"), (2, "y")]),
        ("f = sqrt(x) * w", {"x": np.array([4.0, 0.0]), "w": 1.0}, "none", [(1, "x")]),
        ("f = sqrt(w) * x", {"x": np.array([1.0, 4.0]), "w": 0.0}, "sum", [(0, "w")]),
        ("f = sum(log(x))", {"x": np.array([[1.0], [-1.0]])}, "none", [(1, "_1")]),
        ("f = x * w", {"x": np.array([1e308, 1e308]), "w": 1.0}, "none", []),
    ],
)
def test_the_first_point_that_is_not_finite_is_named(
    text: str, inputs: dict[str, Any], reduce: Any, named: list[tuple[int, str]]
) -> None:
    points = batch(resolve(parse_expression(text)), inputs, ["x"])
    made = batch_gradient(points, reduce=reduce)
    assert [(one.point, one.node) for one in first_not_finite(points, made)] == named


def test_points_are_the_same_however_they_are_cut_up(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = resolve(parse_expression(SCALAR))
    inputs = scalar_inputs(100_000)
    whole = batch_gradient(batch(graph, inputs, ["x", "y"]), values=False)
    monkeypatch.setattr(tiled, "BLOCK", 4_096)
    monkeypatch.setattr(tiled, "THREADED_BLOCK", 4_096)
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
