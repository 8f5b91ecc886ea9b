"""Matrix gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.operators._batch import native
from service.engine.errors import OperatorError
from service.engine.registry import REGISTRY, Domain, Example, Operator, TensorSpec
from service.engine.shapes import broadcast, promote


def _matmul_infer(a: TensorSpec, b: TensorSpec) -> TensorSpec:
    if a.ndim == 0 or b.ndim == 0:
        raise OperatorError(
            "a scalar is no matrix", shapes=(a.shape, b.shape), hint="multiply scales by a number"
        )
    rows, inner = a.shape[-2:] if a.ndim > 1 else (None, a.shape[0])
    other, columns = b.shape[-2:] if b.ndim > 1 else (b.shape[0], None)
    if inner != other:
        hint = None
        if b.ndim > 1 and inner == columns:
            hint = "transpose the second input?"
        elif a.ndim > 1 and rows == other:
            hint = "transpose the first input?"
        raise OperatorError(
            f"the inner dimensions of {a.shape} and {b.shape} differ: {inner} and {other}",
            shapes=(a.shape, b.shape),
            hint=hint,
        )
    lead = broadcast(a.shape[:-2], b.shape[:-2])
    tail = (() if rows is None else (rows,)) + (() if columns is None else (columns,))
    return TensorSpec(lead + tail, promote(a, b))


def _as_matrices(xp: Any, g: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """`g`, `a` and `b` with the dimension that a vector lacks: a row on the left, a column
    on the right."""
    if a.ndim == 1:
        a = xp.expand_dims(a, axis=0)
        g = xp.expand_dims(g, axis=-1 if b.ndim == 1 else -2)
    if b.ndim == 1:
        b = xp.expand_dims(b, axis=-1)
        g = xp.expand_dims(g, axis=-1)
    return g, a, b


def _matmul_left(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    vector = a.ndim == 1
    g, a, b = _as_matrices(xp, g, a, b)
    da = xp.matmul(g, xp.matrix_transpose(b))
    return xp.squeeze(da, axis=-2) if vector else da


def _matmul_right(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    vector = b.ndim == 1
    g, a, b = _as_matrices(xp, g, a, b)
    db = xp.matmul(xp.matrix_transpose(a), g)
    return xp.squeeze(db, axis=-1) if vector else db


def _matmul_batch(xp: Any, flags: tuple[bool, ...], a: Any, b: Any) -> Any:
    """Vectors become matrices, stacks line their leading axes up; vectors' axes go again."""
    row, column = a.ndim - flags[0] == 1, b.ndim - flags[1] == 1
    if row:
        a = xp.expand_dims(a, axis=-2)
    if column:
        b = xp.expand_dims(b, axis=-1)
    rank = max(a.ndim - flags[0], b.ndim - flags[1])
    pair = []
    for flag, x in zip(flags, (a, b), strict=True):
        missing = rank - (x.ndim - flag)
        if flag and missing:
            x = xp.reshape(x, shape=(x.shape[0], *(1,) * missing, *x.shape[1:]))
        pair.append(x)
    product = xp.matmul(*pair)
    axes = ((-2,) if row else ()) + ((-1,) if column else ())
    return xp.squeeze(product, axis=axes) if axes else product


def _matmul_flops(a: TensorSpec, b: TensorSpec) -> int:
    return 2 * _matmul_infer(a, b).size * a.shape[-1]


REGISTRY.register(
    Operator(
        name="matmul",
        batch=_matmul_batch,
        group="linear algebra",
        inputs=("a", "b"),
        summary="The matrix product, with NumPy's rules for vectors and stacks.",
        infer=_matmul_infer,
        forward=np.matmul,
        vjp=(_matmul_left, _matmul_right),
        flops=_matmul_flops,
        formula="a @ b",
        gradient_formula="da = g @ b.T, db = a.T @ g",
        pattern="switcher",
        aliases=("dot",),
        code="{0} @ {1}",
        domain=Domain(
            examples=(
                Example(((2, 3), (3, 4))),
                Example(((3,), (3,))),
                Example(((3,), (3, 4))),
                Example(((2, 3), (3,))),
                Example(((5, 2, 3), (3, 4))),
                Example(((5, 1, 2, 3), (4, 3, 2))),
                Example(((2, 3), (5, 3, 2))),
                Example(((3,), (5, 3, 2))),
                Example(((5, 2, 3), (3,))),
            )
        ),
    )
)


def _transpose_infer(x: TensorSpec) -> TensorSpec:
    if x.ndim < 2:
        raise OperatorError(
            f"a matrix has two or more dimensions, this is {x.shape}", shapes=(x.shape,)
        )
    return TensorSpec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)


REGISTRY.register(
    Operator(
        name="matrix_transpose",
        batch=native("matrix_transpose"),
        group="linear algebra",
        inputs=("x",),
        summary="The last two axes swapped.",
        infer=_transpose_infer,
        forward=lambda x: np.swapaxes(x, -1, -2),
        vjp=(lambda xp, g, y, x: xp.matrix_transpose(g),),
        flops=lambda x: 0,
        formula="x.T",
        gradient_formula="dx = g.T",
        aliases=("transpose",),
        code="np.swapaxes({0}, -1, -2)",
        domain=Domain(examples=(Example(((2, 3),)), Example(((4, 2, 3),)))),
    )
)
