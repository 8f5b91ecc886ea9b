"""Every operator with inputs of every dtype: the result is what was inferred, or a refusal."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward, gradient
from service.engine.errors import EngineError
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.program import Program, program_for
from service.engine.registry import REGISTRY, Operator
from service.engine.run.batch import batch, batch_gradient
from tests.engine.graphs import leaf, node, spec_of

DTYPES = ("bool", "int32", "int64", "float32", "float64")
OPERATORS = [op for op in REGISTRY if not op.internal and op.group != "leaf"]


def calls(op: Operator) -> list[tuple[list[Any], dict[str, Any]]]:
    """Shapes and attributes to call it with."""
    if op.domain.examples:
        return [(list(one.shapes), dict(one.attrs)) for one in op.domain.examples]
    count = max(1, len(op.inputs))
    return [([shape] * count, {}) for shape in ((), (2, 3))]


def program_of(op: Operator, inputs: dict[str, Any], attrs: dict[str, Any]) -> Program:
    names = list(inputs)
    spec = GraphSpec(
        [*names, "y"],
        ["input"] * len(names) + [op.name],
        [()] * len(names) + [names],  # type: ignore[list-item]
        {len(names): attrs},
        {i: Leaf("input", dtype=str(x.dtype)) for i, x in enumerate(inputs.values())},
        "y",
    )
    return program_for(resolve(spec), inputs)


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name)
def test_the_result_has_the_inferred_shape_and_dtype(op: Operator) -> None:
    computed = 0
    for shapes, attrs in calls(op):
        for drawn in product(DTYPES, repeat=min(len(shapes), 2)):
            dtypes = [*drawn, *[drawn[-1]] * (len(shapes) - len(drawn))]
            inputs = {
                f"x{i}": np.ones(shape, dtype)
                for i, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
            }
            try:
                program = program_of(op, inputs, attrs)
                found = np.asarray(forward(program, inputs).outputs["y"])
            except EngineError:
                continue  # refused, with a reason
            inferred = program.spec("y")
            assert (str(found.dtype), found.shape) == (inferred.dtype, inferred.shape), dtypes
            computed += 1
    assert computed


@pytest.mark.parametrize(
    ("op", "value"),
    [("negative", -1.0), ("square", 1.0), ("sigmoid", 1 / (1 + np.exp(-1))), ("exp", np.e)],
)
def test_a_truth_value_counts_as_one(op: str, value: float) -> None:
    for truth in (True, np.array([True, True])):
        inputs = {"x": truth}
        spec = spec_of([{"id": "x", "op": "input", "dtype": "bool"}, node("y", op, "x")], "y")
        found = forward(program_for(resolve(spec), inputs), inputs).outputs["y"]
        np.testing.assert_allclose(found, np.full(np.shape(truth), value), rtol=1e-15)


def test_the_sum_of_two_truth_values_is_two() -> None:
    spec = spec_of([leaf("x"), node("p", "greater", "x", 0), node("y", "add", "p", "p")], "y")
    for x in (3.0, np.array([3.0])):
        assert forward(program_for(resolve(spec), {"x": x}), {"x": x}).outputs["y"] == 2.0


def test_a_margin_holds_what_its_dtype_can() -> None:
    spec = spec_of(
        [
            {"id": "x", "op": "input", "dtype": "int64"},
            node("y", "pad", "x", pads=[1, 1], value="inf"),
        ],
        "y",
    )
    with pytest.raises(EngineError, match="can't hold"):
        program_for(resolve(spec), {"x": np.ones(2, np.int64)})


def test_a_scalar_has_no_margin() -> None:
    spec = spec_of([leaf("x"), node("y", "pad", "x", pads=[]), node("z", "square", "y")], "z")
    for x in (3.0, np.array(3.0)):
        assert gradient(program_for(resolve(spec), {"x": x}), {"x": x}).gradients["x"] == 6.0


@pytest.mark.parametrize(
    "text",
    [
        "x * n",
        "x + n",
        "n - x",
        "x / n",
        "x ** n",
        "maximum(x, n)",
        "where(x > 0, x, n)",
        "sum(x * n)",
        "x @ n",
        "n @ x",
        "concat([x, n], axis=0)",
        "stack([x, n], axis=0)",
        "mean((x - n) ** 2)",
        "sum(x[n])",
        "x * sum(n)",
        "einsum(x, n, equation='i,i->i')",
        "x * mean(n)",
        "mse(x, n)",
        "x * (n > 1)",
    ],
)
def test_integers_leave_single_precision_single(text: str) -> None:
    """NumPy's own rule makes float64 of float32 and int64."""
    given = {"x": np.array([0.5, -1.5, 2.0], np.float32), "n": np.array([1, 2, 0])}
    program = program_for(resolve(parse_expression(text)), given, "float32")
    (output,) = program.outputs
    seed = np.ones(program.spec(output).shape, np.float32)
    found = gradient(program, given, cotangent=seed, node_gradients=True)
    assert np.asarray(found.value).dtype == np.float32
    assert np.asarray(found.gradients["x"]).dtype == np.float32
    for value in (found.values or {}).values():
        assert np.asarray(value).dtype != np.float64
    points = {name: np.stack([x, x]) for name, x in given.items()}
    rows = batch_gradient(
        batch(resolve(parse_expression(text)), points, ("x", "n"), "float32"),
        cotangent=seed,
    )
    assert np.asarray(rows.value).dtype == np.asarray(rows.gradients["x"]).dtype == np.float32
