"""Matrix products: which operand, on which side, transposed or not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np

from service.engine.errors import Shape
from service.grading.mistakes._facts import EdgeFacts, Wrong

TEXTS = {
    "matmul_transpose": "The gradient of '{wire}' through the matrix product '{gate}' multiplies "
    "the wrong matrices, in the wrong order, or without a transpose. For D = X @ W they are "
    "dX = dD @ W.T and dW = X.T @ dD: the shapes fit in one way only when all sizes differ.",
    "elementwise_for_dot": "The gradient of '{wire}' through the matrix product '{gate}' was "
    "multiplied element by element (*) where a matrix product (@) is needed.",
}
WEIGHTS = {"matmul_transpose": 9.0, "elementwise_for_dot": 6.0}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """Every other product of the matrices at hand that has a fitting shape."""
    if facts.op == "matmul" and all(np.ndim(one) >= 1 for one in facts.inputs):
        yield from _products(facts)
        yield from _elementwise(facts)
    elif facts.op == "matrix_transpose":
        yield Wrong("matmul_transpose", "g", facts.g, "g without the transpose")
    if facts.op == "matmul" and np.ndim(facts.part) >= 2:
        yield Wrong("matmul_transpose", "T", np.swapaxes(facts.part, -1, -2), "transposed")


def _as_matrices(facts: EdgeFacts) -> tuple[Any, Any, Any]:
    """Upstream gradient and operands as matrices; a vector on the left is a row."""
    a, b = facts.inputs
    g: Any = np.asarray(facts.g)
    row, column = np.ndim(a) == 1, np.ndim(b) == 1
    if row:
        a, g = a[None, :], np.expand_dims(g, -1 if column else -2)
    if column:
        b, g = b[:, None], np.expand_dims(g, -1)
    return g, a, b


def _products(facts: EdgeFacts) -> Iterator[Wrong]:
    g, a, b = _as_matrices(facts)
    shape: Shape = np.shape((a, b)[facts.index])
    operands = {"a": a, "a.T": _flip(a), "b": b, "b.T": _flip(b)}
    gradients = {"g": g, "g.T": _flip(g)}
    for (left, first), (right, second) in _pairs(gradients, operands):
        if first.shape[-1] != second.shape[-2]:
            continue
        if (first.shape[-2], second.shape[-1]) != shape[-2:]:
            continue
        try:
            value = np.matmul(first, second)
        except ValueError:
            continue
        fitted = facts.fit(np.reshape(value, facts.shape)) if value.shape == shape else None
        if fitted is not None:
            name = f"{left} @ {right}"
            yield Wrong("matmul_transpose", name, fitted, name)


def _pairs(
    gradients: dict[str, Any], operands: dict[str, Any]
) -> Iterator[tuple[tuple[str, Any], tuple[str, Any]]]:
    for one in gradients.items():
        for other in operands.items():
            yield from permutations((one, other))


def _elementwise(facts: EdgeFacts) -> Iterator[Wrong]:
    g, a, b = _as_matrices(facts)
    shape = np.shape((a, b)[facts.index])
    for left, first in {"g": g, "g.T": _flip(g)}.items():
        for right, second in {"a": a, "a.T": _flip(a), "b": b, "b.T": _flip(b)}.items():
            try:
                if np.broadcast_shapes(first.shape, second.shape) != shape:
                    continue
            except ValueError:
                continue
            name = f"{left} * {right}"
            value = np.reshape(first * second, facts.shape)
            yield Wrong("elementwise_for_dot", name, value, name)


def _flip(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)
