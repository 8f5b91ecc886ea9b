"""The slope of a determinant against exact fractions, with rows and columns of any scale."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from service.engine.compute import gradient
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for


def exact(matrix: list[list[Fraction]], sign: int = -1) -> Fraction:
    """The determinant; with `sign` 1 the permanent, which sums the same products."""
    if not matrix:
        return Fraction(1)
    rest = matrix[1:]
    return sum(
        (
            sign**j * value * exact([row[:j] + row[j + 1 :] for row in rest], sign)
            for j, value in enumerate(matrix[0])
        ),
        Fraction(0),
    )


def cofactors(x: Any, sign: int = -1) -> Any:
    whole = [[Fraction(float(value)) for value in row] for row in x]

    def minor(i: int, j: int) -> Fraction:
        return exact([r[:j] + r[j + 1 :] for k, r in enumerate(whole) if k != i], sign)

    size = len(whole)
    return np.array(
        [[float(sign ** (i + j) * minor(i, j)) for j in range(size)] for i in range(size)]
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_slopes_of_scaled_matrices(size: int, dtype: str) -> None:
    rng = np.random.default_rng(size)
    graph = resolve(parse_expression("f = det(A)"))
    span = 6 if dtype == "float64" else 3
    for _ in range(20):
        rows, columns = 10.0 ** rng.uniform(-span, span, (2, size))
        x = (rng.standard_normal((size, size)) * rows[:, None] * columns).astype(dtype)
        slopes = gradient(program_for(graph, {"A": x}, dtype), {"A": x}).gradients["A"]
        wanted = cofactors(x)
        # A minor is a sum of products: its rounding is that of their absolute values.
        bound = 50 * np.finfo(dtype).eps * cofactors(abs(x), 1)
        assert np.all(abs(slopes - wanted) <= bound)


@pytest.mark.parametrize("entries", [(1e10, 1e-8), (1e6, 1, 1e-6), (1e9, 1e-9, 1e3, 1e-3)])
def test_diagonals(entries: tuple[float, ...]) -> None:
    x = np.diag(np.array(entries, np.float64))
    graph = resolve(parse_expression("f = det(A)"))
    slopes = gradient(program_for(graph, {"A": x}), {"A": x}).gradients["A"]
    np.testing.assert_allclose(slopes, cofactors(x), rtol=1e-15)
