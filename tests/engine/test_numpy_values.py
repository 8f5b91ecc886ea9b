"""Elementwise operators that NumPy has too: NumPy's values, at the ends of the numbers too."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward, gradient
from service.engine.numpy_compat import SPELLED, of_numpy
from service.engine.program import program_for
from service.engine.registry import Operator
from tests.engine.graphs import graph_from, leaf, node

NUMBERS = (0.0, -0.0, 0.3, -0.3, 0.5, 1.0, -1.0, 1.5, -2.5, 40.0, -40.0, 1e-300, 1e30, -1e30)
ENDS = (math.inf, -math.inf, math.nan)
CASES = [
    pytest.param(name, signature.operator, id=name)
    for name, signature in SPELLED.items()
    if signature.operator.elementwise or signature.operator.name in ("deg2rad", "rad2deg")
    if of_numpy(name) is not None and not signature.defaults
    if all(
        one.default is not None or one.nullable for one in signature.operator.attributes.values()
    )
]


def points(op: Operator) -> list[Any]:
    """Every pair of numbers, or every number, as columns."""
    count = len(op.inputs)
    if count == 3:
        return [np.array([True, False]), np.array([1.0, 2.0]), np.array([math.nan, 4.0])]
    rows = np.array(list(itertools.product((*NUMBERS, *ENDS), repeat=count)))
    return [column > 0.4 if op.group == "logic" else column for column in rows.T]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "op"), CASES)
def test_an_operator_has_the_values_of_numpys_function(name: str, op: Operator, dtype: str) -> None:
    with np.errstate(all="ignore"):
        columns = [x.astype(dtype) if x.dtype.kind == "f" else x for x in points(op)]
        expected = np.asarray(of_numpy(name)(*columns))
    names = [f"x{place}" for place in range(len(columns))]
    kinds = [None if x.dtype.kind == "f" else x.dtype.name for x in columns]
    leaves = [{**leaf(n), **({"dtype": k} if k else {})} for n, k in zip(names, kinds, strict=True)]
    graph = graph_from([*leaves, node("y", op.name, *names)])
    inputs = dict(zip(names, columns, strict=True))
    whole = np.asarray(forward(program_for(graph, inputs, dtype), inputs).outputs["y"])
    places = np.flatnonzero(np.isfinite(expected) | np.isnan(whole) | np.isinf(expected))
    unit = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(whole[places], expected[places], rtol=4 * unit, atol=0)
    if whole.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(whole), np.signbit(expected))
    if dtype == "float64":
        for place in range(len(columns[0])):
            one = {n: x[place].item() for n, x in inputs.items()}
            alone = forward(program_for(graph, one), one).outputs["y"]
            np.testing.assert_allclose(alone, expected[place], rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("op", "inputs", "value", "slopes"),
    [
        ("logaddexp", (math.inf, math.inf), math.inf, (0.5, 0.5)),
        ("logaddexp", (-math.inf, -math.inf), -math.inf, (0.5, 0.5)),
        ("logaddexp", (-math.inf, 2.0), 2.0, (0.0, 1.0)),
        ("logaddexp", (math.inf, 2.0), math.inf, (1.0, 0.0)),
        ("logaddexp", (math.inf, -math.inf), math.inf, (1.0, 0.0)),
        ("logaddexp", (800.0, 0.0), 800.0, (1.0, 0.0)),
        ("logaddexp", (0.0, 700.0), 700.0, (math.exp(-700), 1.0)),
        ("atan2", (0.0, 0.0), 0.0, (0.0, 0.0)),
        ("atan2", (0.0, -1.0), math.pi, (-1.0, 0.0)),
        ("atan2", (3e200, 4e200), math.atan2(3, 4), (0.16e-200, -0.12e-200)),
        ("xlogy", (0.0, 0.0), 0.0, (0.0, 0.0)),
        ("xlogy", (0.0, 2.0), 0.0, (math.log(2), 0.0)),
        ("xlogy", (2.0, 0.0), -math.inf, (-math.inf, math.inf)),
        ("floor_divide", (7.0, 2.0), 3.0, (0.0, 0.0)),
        ("heaviside", (0.0, 0.5), 0.5, (0.0, 1.0)),
        ("heaviside", (2.0, 0.5), 1.0, (0.0, 0.0)),
        ("fmax", (math.nan, 2.0), 2.0, (0.0, 1.0)),
        ("fmin", (2.0, math.nan), 2.0, (1.0, 0.0)),
        ("fmax", (2.0, 2.0), 2.0, (0.5, 0.5)),
        ("prelu", (0.0, 0.25), 0.0, (0.25, 0.0)),
        ("prelu", (-2.0, 0.25), -0.5, (0.25, -2.0)),
        ("cbrt", (0.0,), 0.0, (math.inf,)),
        ("cbrt", (-8.0,), -2.0, (1 / 12,)),
        ("sinc", (0.0,), 1.0, (0.0,)),
        ("nan_to_num", (math.nan,), 0.0, (0.0,)),
        ("logit", (0.0,), -math.inf, (math.inf,)),
        ("logit", (0.5,), 0.0, (4.0,)),
        ("log_sigmoid", (-800.0,), -800.0, (1.0,)),
        ("log_sigmoid", (800.0,), 0.0, (0.0,)),
        ("softsign", (0.0,), 0.0, (1.0,)),
        ("trunc", (-1.5,), -1.0, (0.0,)),
    ],
)
def test_values_and_slopes_at_corners(
    op: str, inputs: tuple[float, ...], value: float, slopes: tuple[float, ...]
) -> None:
    names = [f"x{place}" for place in range(len(inputs))]
    graph = graph_from([*(leaf(n) for n in names), node("y", op, *names)])
    for size in (None, 3):
        given = {
            n: x if size is None else np.full(size, x) for n, x in zip(names, inputs, strict=True)
        }
        cotangent = None if size is None else np.ones(size)
        found = gradient(program_for(graph, given), given, cotangent=cotangent)
        np.testing.assert_allclose(found.value, np.full(size or (), value), rtol=2e-16)
        for name, slope in zip(names, slopes, strict=True):
            np.testing.assert_allclose(
                found.gradients[name], np.full(size or (), slope), rtol=4e-16, err_msg=name
            )
