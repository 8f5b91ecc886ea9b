"""Matrix gates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.engine.errors import OperatorError
from service.engine.operators._batch import native
from service.engine.operators.reductions import safe_sqrt
from service.engine.registry import (
    REGISTRY,
    Argument,
    Attribute,
    Domain,
    Example,
    Operator,
    Scales,
    TensorSpec,
)
from service.engine.shapes import broadcast, checked_axes, floating, promote, reduced
from service.engine.spelling import Spelling


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
        scales=Scales(parts=("size", "rows", "columns")),
        onnx="MatMul",
        sign="@",
        analytic=True,
        batch=_matmul_batch,
        group="linear algebra",
        numpy=(Spelling("a=x1 b=x2 out", names="matmul linalg.matmul"),),
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
        sign="ᵀ",
        analytic=True,
        batch=native("matrix_transpose"),
        group="linear algebra",
        numpy=(Spelling("x", names="matrix_transpose linalg.matrix_transpose"),),
        inputs=("x",),
        summary="The last two axes swapped.",
        infer=_transpose_infer,
        forward=lambda x: np.swapaxes(x, -1, -2),
        vjp=(lambda xp, g, y, x: xp.matrix_transpose(g),),
        flops=lambda x: 0,
        formula="x.T",
        gradient_formula="dx = g.T",
        aliases=("transpose",),
        view=True,
        code=lambda x: f"{x}.T" if x.spec.ndim == 2 else f"np.swapaxes({x}, -1, -2)",
        domain=Domain(examples=(Example(((2, 3),)), Example(((4, 2, 3),)))),
    )
)


def _reverse_axes(xp: Any, x: Any) -> Any:
    if x.ndim == 2:
        return xp.matrix_transpose(x)
    return xp.permute_dims(x, axes=tuple(range(x.ndim))[::-1]) if x.ndim > 2 else xp.identity(x)


REGISTRY.register(
    Operator(
        name="reverse_axes",
        group="linear algebra",
        inputs=("x",),
        summary="All axes in reverse order, as NumPy's x.T: of a matrix its transpose.",
        infer=lambda x: TensorSpec(x.shape[::-1], x.dtype),
        expand=_reverse_axes,
        formula="x.T",
        gradient_formula="dx = g.T",
        internal=True,
        domain=Domain(examples=(Example(((2, 3),)), Example(((3,),)), Example(((4, 2, 3),)))),
    )
)


def _square(x: TensorSpec) -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise OperatorError(f"{x.shape} is no square matrix", shapes=(x.shape,))


def _matrix(x: TensorSpec) -> None:
    if x.ndim < 2:
        raise OperatorError(
            f"a matrix has two or more dimensions, this is {x.shape}", shapes=(x.shape,)
        )


def _square_infer(x: TensorSpec) -> TensorSpec:
    _square(x)
    return TensorSpec(x.shape, floating(x.dtype))


def _t(xp: Any, x: Any) -> Any:
    return xp.matrix_transpose(x)


def _or_nan(function: Callable[..., Any], *matrices: Any) -> Any:
    """`function` of (stacks of) matrices; NaN for those that it refuses, as a singular one."""
    try:
        return function(*matrices)
    except np.linalg.LinAlgError:
        pass
    lead = np.broadcast_shapes(*(m.shape[:-2] for m in matrices))
    if not lead:
        return np.full_like(function(*(_harmless(m) for m in matrices)), np.nan)
    stacks = [np.broadcast_to(m, (*lead, *m.shape[-2:])) for m in matrices]
    parts = [_or_nan(function, *(s[place] for s in stacks)) for place in np.ndindex(lead)]
    return np.reshape(np.stack(parts), (*lead, *parts[0].shape))


def _searched(function: Callable[[Any], tuple[Any, ...]], x: Any) -> tuple[Any, ...]:
    """`function` of (stacks of) matrices; NaN for those that are not finite.

    For decompositions that iterate: with an infinity in the matrix LAPACK's may never stop,
    and they hold the interpreter's lock all the while. NaN too where they do not converge.
    """
    finite = np.isfinite(x).all(axis=(-2, -1))
    safe = np.where(finite[..., None, None], x, _harmless(x))
    try:
        parts = [np.array(part) for part in function(safe)]
    except np.linalg.LinAlgError:
        if finite.ndim:
            each = [_searched(function, x[place]) for place in np.ndindex(finite.shape)]
            return tuple(
                np.reshape(np.stack(part), (*finite.shape, *part[0].shape))
                for part in zip(*each, strict=True)
            )
        parts, finite = [np.array(part) for part in function(_harmless(x))], np.False_
    for part in parts:
        part[~finite] = np.nan
    return tuple(parts)


def _harmless(matrix: Any) -> Any:
    """A matrix of the same shape that every function here accepts."""
    return np.eye(*matrix.shape[-2:], dtype=matrix.dtype)


def _cubed(x: TensorSpec, *_: Any, **__: Any) -> int:
    return 4 * x.size * x.shape[-1]


def _well_conditioned(*inputs: Any) -> tuple[Any, ...]:
    """Square matrices moved away from singular ones."""
    first, *rest = inputs
    return (first + 3.0 * np.eye(first.shape[-1]), *rest)


def _positive_definite(x: Any) -> tuple[Any, ...]:
    return (x @ np.swapaxes(x, -1, -2) + 2.0 * np.eye(x.shape[-1]),)


def _spread_spectrum(x: Any) -> tuple[Any, ...]:
    """Symmetric matrices whose eigenvalues lie apart."""
    return (0.3 * (x + np.swapaxes(x, -1, -2)) + np.diag(2.0 * np.arange(x.shape[-1])),)


def _spread_singular(x: Any) -> tuple[Any, ...]:
    """Matrices whose singular values lie apart and away from 0."""
    return (0.3 * x + np.eye(*x.shape[-2:]) * (2.0 + 2.0 * np.arange(x.shape[-1])),)


_SQUARES = (Example(((3, 3),)), Example(((2, 3, 3),)))

REGISTRY.register(
    Operator(
        name="inv",
        scales=Scales(parts=("size", "rows", "columns")),
        numbers="floating",
        analytic=True,
        group="linear algebra",
        numpy=(Spelling("x=a", names="linalg.inv"),),
        inputs=("x",),
        summary="The inverse of a matrix; NaN for a singular one.",
        infer=_square_infer,
        forward=lambda x: _or_nan(np.linalg.inv, x),
        vjp=(lambda xp, g, y, x: -xp.matmul(xp.matmul(_t(xp, y), g), _t(xp, y)),),
        batch=native("inv"),
        flops=_cubed,
        formula="x⁻¹",
        gradient_formula="dx = -y.T @ g @ y.T",
        aliases=("inverse",),
        code="np.linalg.inv({0})",
        domain=Domain(examples=_SQUARES, prepare=_well_conditioned),
    )
)


def _solve(a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return _or_nan(np.linalg.solve, a, b[:, None])[..., 0]
    return _or_nan(np.linalg.solve, a, b)


def _solve_infer(a: TensorSpec, b: TensorSpec) -> TensorSpec:
    _square(a)
    rows = b.shape[0] if b.ndim == 1 else b.shape[-2] if b.ndim else None
    if rows != a.shape[-1]:
        raise OperatorError(
            f"a right-hand side {b.shape} does not fit {a.shape}", shapes=(a.shape, b.shape)
        )
    dtype = floating(promote(a, b))
    if b.ndim == 1:
        return TensorSpec(a.shape[:-1], dtype)
    return TensorSpec(broadcast(a.shape[:-2], b.shape[:-2]) + b.shape[-2:], dtype)


def _solve_left(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        g, y = xp.expand_dims(g, axis=-1), xp.expand_dims(y, axis=-1)
    return -xp.matmul(xp.solve(_t(xp, a), g), _t(xp, y))


def _solve_right(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1 and a.ndim > 2:
        whole = xp.solve(_t(xp, a), xp.expand_dims(g, axis=-1))
        return xp.squeeze(whole, axis=-1)
    return xp.solve(_t(xp, a), g)


def _solve_batch(xp: Any, flags: tuple[bool, ...], a: Any, b: Any) -> Any:
    vector = b.ndim - flags[1] == 1
    if vector:
        b = xp.expand_dims(b, axis=-1)
    rank = max(a.ndim - flags[0], b.ndim - flags[1])
    pair = []
    for flag, x in zip(flags, (a, b), strict=True):
        missing = rank - (x.ndim - flag)
        if flag and missing:
            x = xp.reshape(x, shape=(x.shape[0], *(1,) * missing, *x.shape[1:]))
        pair.append(x)
    solved = xp.solve(*pair)
    return xp.squeeze(solved, axis=-1) if vector else solved


REGISTRY.register(
    Operator(
        name="solve",
        scales=Scales(parts=("size", "rows", "columns")),
        numbers="floating",
        analytic=True,
        group="linear algebra",
        numpy=(Spelling("a b", names="linalg.solve"),),
        inputs=("a", "b"),
        summary="The x with a @ x = b; NaN for a singular a.",
        infer=_solve_infer,
        forward=_solve,
        vjp=(_solve_left, _solve_right),
        batch=_solve_batch,
        flops=_cubed,
        formula="a⁻¹ @ b",
        gradient_formula="db = solve(a.T, g), da = -db @ y.T",
        code="np.linalg.solve({0}, {1})",
        domain=Domain(
            examples=(
                Example(((3, 3), (3,))),
                Example(((3, 3), (3, 2))),
                Example(((2, 3, 3), (3, 2))),
                Example(((2, 3, 3), (3,))),
            ),
            prepare=_well_conditioned,
        ),
    )
)


def _cofactor(x: Any) -> Any:
    """The matrix of cofactors, right where x is singular and at every scale of its parts."""
    balanced, exponents = _balanced(x)
    singular = _singular_cofactor(balanced)
    with np.errstate(all="ignore"):
        inverse = _or_nan(np.linalg.inv, balanced)
        regular = np.linalg.det(balanced)[..., None, None] * np.swapaxes(inverse, -1, -2)
        # Elimination keeps each entry's digits; near singular matrices only the other way does.
        norms = [np.abs(m).sum(axis=-1).max(axis=-1, initial=0.0) for m in (balanced, inverse)]
        trusted = (norms[0] * norms[1] < np.finfo(x.dtype).eps ** -0.5)[..., None, None]
        return np.ldexp(np.where(trusted, regular, singular), exponents)


def _singular_cofactor(x: Any) -> Any:
    """det(x) · x⁻ᵀ by the singular values."""
    u, s, vh = _searched(np.linalg.svd, x)
    others = np.stack(
        [np.prod(np.delete(s, i, axis=-1), axis=-1) for i in range(s.shape[-1])], axis=-1
    )
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return (u * others[..., None, :]) @ vh * np.round(sign)[..., None, None]


def _balanced(x: Any) -> tuple[Any, Any]:
    """Matrices with rows and columns scaled by powers of two to entries of at most one.

    Second, the powers that lead from the cofactors of these to those of `x`.
    """
    rows = np.zeros(x.shape[:-1], np.int64)
    columns = np.zeros((*x.shape[:-2], x.shape[-1]), np.int64)
    scaled = x
    for _ in range(3):
        rows -= _exponents(scaled, -1)
        scaled = np.ldexp(x, rows[..., :, None] + columns[..., None, :])
        columns -= _exponents(scaled, -2)
        scaled = np.ldexp(x, rows[..., :, None] + columns[..., None, :])
    total = rows.sum(axis=-1)[..., None, None] + columns.sum(axis=-1)[..., None, None]
    return scaled, rows[..., :, None] + columns[..., None, :] - total


def _exponents(x: Any, axis: int) -> Any:
    """The exponent of the largest entry along `axis`; 0 where that is zero or not finite."""
    return np.frexp(np.abs(x).max(axis=axis, initial=0.0))[1]


def _plain_cofactor(x: Any) -> Any:
    if np.all(np.linalg.cond(x) < 1e8):
        return np.linalg.det(x)[..., None, None] * np.swapaxes(np.linalg.inv(x), -1, -2)
    u, s, vh = np.linalg.svd(x)
    others = [np.prod(np.delete(s, i, axis=-1), axis=-1) for i in range(s.shape[-1])]
    sign = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    return sign * (u * np.stack(others, axis=-1)[..., None, :]) @ vh


def _cofactor_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    if x.shape[-1] <= 4:
        # The second derivative of det is symmetric: back along g is forward along g.
        return _small_cofactor(xp, x, g)
    inverse = _t(xp, xp.inv(x))
    total = xp.sum(g * inverse, axis=(-2, -1), keepdims=True)
    return total * y - xp.matmul(xp.matmul(inverse, _t(xp, g)), y)


REGISTRY.register(
    Operator(
        name="cofactor",
        scales=Scales(parts=("size", "rows", "columns")),
        numbers="floating",
        group="linear algebra",
        inputs=("x",),
        summary="The matrix of cofactors: the slope of the determinant.",
        infer=_square_infer,
        forward=_cofactor,
        plain=_plain_cofactor,
        vjp=(_cofactor_rule,),
        batch=native("cofactor"),
        flops=_cubed,
        formula="det(x) * x⁻ᵀ",
        gradient_formula="dx = y * Σ(g * x⁻ᵀ) - x⁻ᵀ @ g.T @ y, up to 4×4 by products of entries",
        kinks="The value is right for singular matrices, the gradient from 5×5 on is NaN there.",
        domain=Domain(examples=_SQUARES, prepare=_well_conditioned),
    )
)


@dataclass(frozen=True, slots=True)
class _Moving:
    """A number and how it moves, through sums and products."""

    value: Any
    tangent: Any

    def __add__(self, other: _Moving) -> _Moving:
        return _Moving(self.value + other.value, self.tangent + other.tangent)

    def __sub__(self, other: _Moving) -> _Moving:
        return _Moving(self.value - other.value, self.tangent - other.tangent)

    def __mul__(self, other: _Moving) -> _Moving:
        tangent = self.tangent * other.value + self.value * other.tangent
        return _Moving(self.value * other.value, tangent)


def _small_cofactor(xp: Any, x: Any, tangent: Any = None) -> Any:
    """The cofactors of matrices up to 4×4 as sums of products of entries.

    Products keep their digits whatever the scales of rows and columns are, where sums of
    powers of the matrix cancel. Rolling the rows by i and the columns by j brings entry
    (i, j) to the corner; for an even size each roll by one turns the sign. With a `tangent`
    of the matrix, that of the cofactors.
    """
    size = x.shape[-1]
    if size == 1:
        return x * 0.0 + (1.0 if tangent is None else 0.0)
    places = range(1, size)

    def rolled(matrix: Any) -> dict[tuple[int, int], Any]:
        rows = {i: xp.roll(matrix, shift=-i, axis=-2) for i in places}
        return {(i, j): xp.roll(rows[i], shift=-j, axis=-1) for i in places for j in places}

    entries = rolled(x)
    if tangent is not None:
        entries = {place: _Moving(entries[place], t) for place, t in rolled(tangent).items()}
    minor = _minor(entries, tuple(places), tuple(places))
    if tangent is not None:
        minor = minor.tangent
    if size % 2:
        return minor
    signs = np.array([[(-1.0) ** (i + j) for j in range(size)] for i in range(size)])
    return minor * signs.astype(str(x.dtype))


def _minor(entries: Any, rows: tuple[int, ...], columns: tuple[int, ...]) -> Any:
    """The determinant of the named rows and columns, expanded along the first row."""
    first, *rest = rows
    if not rest:
        return entries[first, columns[0]]
    total: Any = None
    for place, column in enumerate(columns):
        others = columns[:place] + columns[place + 1 :]
        term = entries[first, column] * _minor(entries, tuple(rest), others)
        total = term if total is None else total - term if place % 2 else total + term
    return total


def _det_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    slope = _small_cofactor(xp, x) if x.shape[-1] <= 4 else xp.cofactor(x)
    return xp.reshape(g, shape=(*x.shape[:-2], 1, 1)) * slope


def _per_matrix(x: TensorSpec) -> TensorSpec:
    _square(x)
    return TensorSpec(x.shape[:-2], floating(x.dtype))


REGISTRY.register(
    Operator(
        name="det",
        scales=Scales(parts=("size", "rows", "columns")),
        onnx="Det",
        numbers="floating",
        analytic=True,
        group="linear algebra",
        numpy=(Spelling("x=a", names="linalg.det"),),
        inputs=("x",),
        summary="The determinant.",
        infer=_per_matrix,
        forward=np.linalg.det,
        vjp=(_det_rule,),
        batch=native("det"),
        flops=_cubed,
        formula="det x",
        gradient_formula="dx = g * cofactor(x), right for singular matrices too",
        code="np.linalg.det({0})",
        domain=Domain(
            examples=(*_SQUARES, Example(((1, 1),)), Example(((6, 6),))), prepare=_well_conditioned
        ),
    )
)


def _slogdet_infer(x: TensorSpec) -> tuple[TensorSpec, ...]:
    one = _per_matrix(x)
    return (one, one)


def _slogdet_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    if g[1] is None:
        return 0.0
    return xp.reshape(g[1], shape=(*x.shape[:-2], 1, 1)) * _t(xp, xp.inv(x))


REGISTRY.register(
    Operator(
        name="slogdet",
        scales=Scales(parts=("size", "rows", "columns")),
        numbers="floating",
        group="linear algebra",
        numpy=(Spelling("x=a", names="linalg.slogdet"),),
        inputs=("x",),
        outputs=2,
        summary="Sign (node.0) and logarithm of the absolute value (node.1) of the determinant.",
        infer=_slogdet_infer,
        forward=lambda x: tuple(np.linalg.slogdet(x)),
        code="np.linalg.slogdet({0})",
        vjp=(_slogdet_rule,),
        batch=native("slogdet"),
        flops=_cubed,
        formula="sign(det x), log|det x|",
        gradient_formula="dx = g1 * x⁻ᵀ",
        domain=Domain(examples=_SQUARES, prepare=_well_conditioned),
    )
)


def _symmetric_part(x: Any) -> Any:
    return (x + np.swapaxes(x, -1, -2)) / 2


def _cholesky_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    size = x.shape[-1]
    half = np.tril(np.ones((size, size), str(x.dtype))) - 0.5 * np.eye(size, dtype=str(x.dtype))
    upper = _t(xp, y)
    inner = xp.solve(upper, xp.matmul(upper, xp.tril(g)) * half)
    s = _t(xp, xp.solve(upper, _t(xp, inner)))
    return (s + _t(xp, s)) * 0.5


REGISTRY.register(
    Operator(
        name="cholesky",
        scales=Scales(parts=("size", "both")),
        numbers="floating",
        group="linear algebra",
        inputs=("x",),
        summary="The lower triangular L with L @ L.T = (x + x.T) / 2; NaN where there is none.",
        infer=_square_infer,
        forward=lambda x: _or_nan(np.linalg.cholesky, _symmetric_part(x)),
        vjp=(_cholesky_rule,),
        batch=native("cholesky"),
        flops=_cubed,
        formula="L @ L.T = x",
        gradient_formula="dx = sym(L⁻ᵀ @ Φ(L.T @ g) @ L⁻¹)",
        code="np.linalg.cholesky(({0} + np.swapaxes({0}, -1, -2)) / 2)",
        domain=Domain(examples=_SQUARES, prepare=_positive_definite),
    )
)


def _none(xp: Any, g: Any, like: Any) -> Any:
    """`g`, or zeros like a result when nothing depends on it."""
    if g is not None:
        return g
    return xp.cast(xp.broadcast_to(0.0, shape=like.shape), dtype=str(like.dtype))


def _eye(x: Any, size: int) -> Any:
    return np.eye(size, dtype=str(x.dtype))


def _eigh_infer(x: TensorSpec) -> tuple[TensorSpec, ...]:
    _square(x)
    dtype = floating(x.dtype)
    return TensorSpec(x.shape[:-1], dtype), TensorSpec(x.shape, dtype)


def _eigh_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    w, v = y
    eye = _eye(w, x.shape[-1])
    middle = xp.expand_dims(_none(xp, g[0], w), axis=-1) * eye
    if g[1] is not None:
        gaps = xp.expand_dims(w, axis=-2) - xp.expand_dims(w, axis=-1) + eye
        middle = middle + xp.matmul(_t(xp, v), g[1]) * ((1.0 - eye) / gaps)
    s = xp.matmul(xp.matmul(v, middle), _t(xp, v))
    return (s + _t(xp, s)) * 0.5


REGISTRY.register(
    Operator(
        name="eigh",
        numbers="floating",
        group="linear algebra",
        inputs=("x",),
        outputs=2,
        summary="Eigenvalues in rising order (node.0) and eigenvectors as columns (node.1) of "
        "(x + x.T) / 2.",
        infer=_eigh_infer,
        forward=lambda x: _searched(np.linalg.eigh, _symmetric_part(x)),
        code="np.linalg.eigh(({0} + np.swapaxes({0}, -1, -2)) / 2)",
        vjp=(_eigh_rule,),
        batch=native("eigh"),
        flops=lambda x: 10 * x.size * x.shape[-1],
        formula="x @ v = v * w",
        gradient_formula="dx = v @ (diag(gw) + (v.T @ gv) / (w[j] - w[i])) @ v.T",
        kinks="Equal eigenvalues have no eigenvectors of their own: their gradient is not finite.",
        domain=Domain(examples=_SQUARES, prepare=_spread_spectrum),
    )
)


def _svd_infer(x: TensorSpec) -> tuple[TensorSpec, ...]:
    _matrix(x)
    rows, columns = x.shape[-2:]
    least, dtype = min(rows, columns), floating(x.dtype)
    lead = x.shape[:-2]
    return (
        TensorSpec((*lead, rows, least), dtype),
        TensorSpec((*lead, least), dtype),
        TensorSpec((*lead, least, columns), dtype),
    )


def _thin_svd(x: Any) -> tuple[Any, ...]:
    return tuple(np.linalg.svd(x, full_matrices=False))


def _skew(xp: Any, x: Any) -> Any:
    return x - _t(xp, x)


def _svd_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    u, s, vh = y
    gu, gs, gvh = g
    eye = _eye(s, s.shape[-1])
    row, column = xp.expand_dims(s, axis=-2), xp.expand_dims(s, axis=-1)
    middle = xp.expand_dims(_none(xp, gs, s), axis=-1) * eye
    # sj² - si² off the diagonal; the diagonal's skew part is 0 whatever it is divided by.
    gaps = (row - column) * (row + column) + eye
    v = _t(xp, vh)
    if gu is not None:
        middle = middle + (_skew(xp, xp.matmul(_t(xp, u), gu)) / gaps) * row
    if gvh is not None:
        middle = middle + column * (_skew(xp, xp.matmul(vh, _t(xp, gvh))) / gaps)
    dx = xp.matmul(xp.matmul(u, middle), vh)
    if gu is not None and u.shape[-2] > u.shape[-1]:
        rest = gu - xp.matmul(u, xp.matmul(_t(xp, u), gu))
        dx = dx + xp.matmul(rest / row, vh)
    if gvh is not None and vh.shape[-1] > vh.shape[-2]:
        rest = gvh - xp.matmul(xp.matmul(gvh, v), vh)
        dx = dx + xp.matmul(u, rest / column)
    return dx


REGISTRY.register(
    Operator(
        name="svd",
        numbers="floating",
        group="linear algebra",
        inputs=("x",),
        outputs=3,
        summary="The thin singular value decomposition: u (node.0), s (node.1), vh (node.2).",
        infer=_svd_infer,
        forward=lambda x: _searched(_thin_svd, x),
        code="np.linalg.svd({0}, full_matrices=False)",
        vjp=(_svd_rule,),
        batch=native("svd"),
        flops=lambda x: 20 * x.size * min(x.shape[-2:]),
        formula="x = u * s @ vh",
        gradient_formula="dx = u @ (… + diag(gs)) @ vh",
        kinks="Equal or zero singular values: the gradient of u and vh is not finite.",
        domain=Domain(
            examples=(Example(((3, 3),)), Example(((4, 2),)), Example(((2, 3),))),
            prepare=_spread_singular,
        ),
    )
)


def _qr_infer(x: TensorSpec) -> tuple[TensorSpec, ...]:
    u, _, vh = _svd_infer(x)
    return u, vh


def _qr_tall(xp: Any, gq: Any, gr: Any, q: Any, r: Any) -> Any:
    """The gradient for a matrix with at least as many rows as columns."""
    m = xp.matmul(r, _t(xp, gr)) - xp.matmul(_t(xp, gq), q)
    mirrored = xp.tril(m) + _t(xp, xp.tril(m, k=-1))
    b = gq + xp.matmul(q, mirrored)
    return _t(xp, xp.solve(r, _t(xp, b)))


def _qr_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    q, r = y
    gq, gr = _none(xp, g[0], q), _none(xp, g[1], r)
    rows, columns = x.shape[-2:]
    if rows >= columns:
        return _qr_tall(xp, gq, gr, q, r)

    def part(z: Any, start: int, stop: int) -> Any:
        return xp.slice(z, starts=(start,), stops=(stop,), axes=(z.ndim - 1,), steps=None)

    # The first columns make q; the others are only seen through it.
    gv = part(gr, rows, columns)
    gq = gq + xp.matmul(part(x, rows, columns), _t(xp, gv))
    left = _qr_tall(xp, gq, part(gr, 0, rows), q, part(r, 0, rows))
    return xp.concat(left, xp.matmul(q, gv), axis=-1)


REGISTRY.register(
    Operator(
        name="qr",
        scales=Scales(parts=("size", "columns")),
        numbers="floating",
        group="linear algebra",
        numpy=(Spelling("x=a mode", names="linalg.qr"),),
        inputs=("x",),
        outputs=2,
        summary="The thin QR decomposition: q (node.0) and r (node.1).",
        infer=_qr_infer,
        forward=lambda x: tuple(np.linalg.qr(x)),
        code="np.linalg.qr({0})",
        vjp=(_qr_rule,),
        batch=native("qr"),
        flops=_cubed,
        formula="x = q @ r",
        gradient_formula="dx = (gq + q @ copyltu(r @ gr.T - gq.T @ q)) @ r⁻ᵀ",
        domain=Domain(
            examples=(Example(((3, 3),)), Example(((4, 2),)), Example(((2, 3),))),
            prepare=_spread_singular,
        ),
    )
)


def _diagonal_length(rows: int, columns: int, offset: int) -> int:
    return max(0, min(rows + min(offset, 0), columns - max(offset, 0)))


def _diagonal_infer(x: TensorSpec, *, offset: int) -> TensorSpec:
    _matrix(x)
    return TensorSpec((*x.shape[:-2], _diagonal_length(x.shape[-2], x.shape[-1], offset)), x.dtype)


def _on_diagonal(x: Any, *, rows: int, columns: int, offset: int) -> Any:
    whole = np.zeros((*x.shape[:-1], rows, columns), x.dtype)
    place = np.arange(x.shape[-1])
    whole[..., place - min(offset, 0), place + max(offset, 0)] = x
    return whole


def _on_diagonal_infer(x: TensorSpec, *, rows: int, columns: int, offset: int) -> TensorSpec:
    if x.ndim == 0 or x.shape[-1] != _diagonal_length(rows, columns, offset):
        raise OperatorError(
            f"{x.shape} does not fill diagonal {offset} of a {rows} by {columns} matrix",
            shapes=(x.shape,),
        )
    return TensorSpec((*x.shape[:-1], rows, columns), x.dtype)


def _diagonal_code(x: Argument, *, offset: int) -> str:
    if x.spec.ndim == 2:
        return f"np.diagonal({x}{f', {offset}' if offset else ''})"
    return f"np.diagonal({x}, {offset}, -2, -1)"


def _on_diagonal_code(x: Argument, *, rows: int, columns: int, offset: int) -> str:
    if x.spec.ndim != 1 or rows != columns:
        return ""
    return f"np.diag({x}{f', {offset}' if offset else ''})"


_OFFSET = Attribute("int", 0, "0 for the main diagonal, 1 for the one above it")

REGISTRY.register(
    Operator(
        name="diagonal",
        analytic=True,
        group="linear algebra",
        numpy=(Spelling("x * offset", names="linalg.diagonal"),),
        inputs=("x",),
        summary="A diagonal of the last two axes.",
        infer=_diagonal_infer,
        forward=lambda x, *, offset: np.diagonal(x, offset, -2, -1),
        vjp=(
            lambda xp, g, y, x, offset: xp.diagonal_matrix(
                g, rows=x.shape[-2], columns=x.shape[-1], offset=offset
            ),
        ),
        batch=native("diagonal"),
        attributes={"offset": _OFFSET},
        flops=lambda x, offset: 0,
        formula="y[i] = x[i, i + offset]",
        gradient_formula="dx[i, i + offset] = g[i]",
        view=True,
        code=_diagonal_code,
        domain=Domain(examples=(Example(((3, 3),)), Example(((2, 3, 4),), {"offset": 1}))),
    )
)
REGISTRY.register(
    Operator(
        name="diagonal_matrix",
        analytic=True,
        group="linear algebra",
        inputs=("x",),
        summary="Zeros with a vector on a diagonal: the adjoint of diagonal.",
        infer=_on_diagonal_infer,
        forward=_on_diagonal,
        vjp=(lambda xp, g, y, x, rows, columns, offset: xp.diagonal(g, offset=offset),),
        batch=native("diagonal_matrix"),
        attributes={
            "rows": Attribute("int", doc="of the matrix", minimum=0),
            "columns": Attribute("int", doc="of the matrix", minimum=0),
            "offset": _OFFSET,
        },
        code=_on_diagonal_code,
        flops=lambda x, **_: 0,
        formula="y[i, i + offset] = x[i]",
        gradient_formula="dx[i] = g[i, i + offset]",
        domain=Domain(
            examples=(
                Example(((3,),), {"rows": 3, "columns": 3}),
                Example(((2, 2),), {"rows": 3, "columns": 4, "offset": -1}),
            )
        ),
    )
)
REGISTRY.register(
    Operator(
        name="trace",
        group="linear algebra",
        numpy=(Spelling("x * offset dtype", names="linalg.trace"),),
        inputs=("x",),
        summary="The sum of a diagonal of the last two axes.",
        infer=lambda x, *, offset: TensorSpec(
            _diagonal_infer(x, offset=offset).shape[:-1], x.dtype
        ),
        expand=lambda xp, x, *, offset: xp.sum(xp.diagonal(x, offset=offset), axis=-1),
        attributes={"offset": _OFFSET},
        formula="Σ x[i, i]",
        gradient_formula="dx = g on the diagonal",
        pattern="distributor",
        domain=Domain(examples=(Example(((3, 3),)), Example(((2, 3, 4),), {"offset": -1}))),
    )
)


def _matrix_infer(x: TensorSpec, **_: Any) -> TensorSpec:
    _matrix(x)
    return x


for _name, _function, _side in (("tril", np.tril, "below"), ("triu", np.triu, "above")):
    REGISTRY.register(
        Operator(
            name=_name,
            analytic=True,
            group="linear algebra",
            numpy=(Spelling("x=m k"),),
            inputs=("x",),
            summary=f"The triangle on and {_side} a diagonal, zeros elsewhere.",
            infer=_matrix_infer,
            forward=_function,
            vjp=(
                (lambda xp, g, y, x, k: xp.tril(g, k=k))
                if _name == "tril"
                else (lambda xp, g, y, x, k: xp.triu(g, k=k)),
            ),
            batch=native(_name),
            attributes={"k": Attribute("int", 0, "which diagonal; 0 is the main one")},
            flops=lambda x, k: 0,
            formula=f"x on and {_side} the diagonal",
            gradient_formula="dx = g on the same triangle",
            pattern="router",
            code=f"np.{_name}({{0}}, {{k}})",
            domain=Domain(examples=(Example(((3, 4),)), Example(((2, 3, 3),), {"k": -1}))),
        )
    )


def _norm_infer(x: TensorSpec, *, axis: Any, keepdims: bool, **_: Any) -> TensorSpec:
    return TensorSpec(reduced(x.shape, checked_axes(axis, x.ndim), keepdims), floating(x.dtype))


def _vector_norm(xp: Any, x: Any, *, axis: Any, keepdims: bool, ord: float) -> Any:
    over = {"axis": axis, "keepdims": keepdims}
    size = xp.abs(x)
    if ord == math.inf:
        return xp.max(size, **over)
    if ord == -math.inf:
        return xp.min(size, **over)
    if ord == 1:
        return xp.sum(size, **over)
    if ord == 0:
        return xp.sum(xp.where(xp.equal(x, 0.0), 0.0, 1.0), **over)
    # Scaled by the largest, so that nothing overflows; the scale itself cancels out.
    top = xp.stop_gradient(xp.max(size, axis=axis, keepdims=True))
    top = xp.where(xp.logical_and(xp.greater(top, 0.0), xp.less(top, math.inf)), top, 1.0)
    scaled = size / top
    if ord == 2:
        root = safe_sqrt(xp, xp.sum(xp.square(scaled), **over))
    else:
        total = xp.sum(xp.pow(xp.where(xp.equal(scaled, 0.0), 0.0, scaled), float(ord)), **over)
        positive = xp.greater(total, 0.0)
        rooted = xp.pow(xp.where(positive, total, 1.0), 1.0 / float(ord))
        root = xp.where(positive, rooted, total)
    return root * (top if keepdims else xp.reshape(top, shape=root.shape))


REGISTRY.register(
    Operator(
        name="vector_norm",
        group="linear algebra",
        numpy=(Spelling("x * axis keepdims ord", names="linalg.vector_norm"),),
        inputs=("x",),
        summary="The length of vectors along axes.",
        infer=_norm_infer,
        expand=_vector_norm,
        attributes={
            "axis": Attribute("axes", None, "the axes; null means all", nullable=True),
            "keepdims": Attribute("bool", False, "keep the reduced axes with size 1"),
            "ord": Attribute("number", 2.0, "the order of the norm"),
        },
        formula="(Σ |x|^ord)^(1/ord)",
        gradient_formula="dx = g * x / y for ord 2",
        kinks="The gradient at 0 is 0, and the Hessian of its square is 0 there too: "
        "sum(x * x) has the right one.",
        aliases=("norm",),
        domain=Domain(
            ranges=((0.3, 2.0),),
            distinct=True,
            prepare=lambda x: (x + 0.5,),
            examples=(
                Example(((4,),)),
                Example(((3, 4),), {"axis": 0}),
                Example(((3, 4),), {"axis": [0, 1], "keepdims": True}),
                Example(((4,),), {"ord": 3}),
                Example(((4,),), {"ord": 1}),
                Example(((4,),), {"ord": "inf"}),
                Example(((4,),), {"ord": "-inf"}),
            ),
        ),
    )
)


def _matrix_norm(xp: Any, x: Any, *, ord: str, keepdims: bool) -> Any:
    if ord == "fro":
        return xp.vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", "2", "-2"):
        _, s, _ = xp.svd(x)
        if keepdims:
            s = xp.expand_dims(s, axis=-1)
        axis = (-2, -1) if keepdims else -1
        reduce = {"nuc": xp.sum, "2": xp.max, "-2": xp.min}[ord]
        return reduce(s, axis=axis, keepdims=keepdims)
    along = -1 if ord.endswith("inf") else -2
    sums = xp.sum(xp.abs(x), axis=along, keepdims=True)
    reduce = xp.min if ord.startswith("-") else xp.max
    return reduce(sums, axis=(-2, -1), keepdims=keepdims)


def _matrix_norm_infer(x: TensorSpec, *, ord: str, keepdims: bool) -> TensorSpec:
    _matrix(x)
    return _norm_infer(x, axis=(-2, -1), keepdims=keepdims)


REGISTRY.register(
    Operator(
        name="matrix_norm",
        group="linear algebra",
        numpy=(Spelling("x * keepdims ord", names="linalg.matrix_norm"),),
        inputs=("x",),
        summary="The size of matrices in the last two axes.",
        infer=_matrix_norm_infer,
        expand=_matrix_norm,
        attributes={
            "ord": Attribute(
                "choice",
                "fro",
                "Frobenius, nuclear, spectral (2), or the largest column (1) or row (inf) sum",
                choices=("fro", "nuc", "1", "-1", "2", "-2", "inf", "-inf"),
            ),
            "keepdims": Attribute("bool", False, "keep the reduced axes with size 1"),
        },
        formula="sqrt(Σ x²) for fro",
        gradient_formula="dx = g * x / y for fro",
        kinks="The gradient at 0 is 0.",
        domain=Domain(
            prepare=_spread_singular,
            examples=(
                Example(((3, 3),)),
                Example(((2, 3, 2),), {"keepdims": True}),
                Example(((3, 3),), {"ord": "nuc"}),
                Example(((3, 3),), {"ord": "2", "keepdims": True}),
                Example(((3, 3),), {"ord": "1"}),
                Example(((3, 3),), {"ord": "-inf"}),
            ),
        ),
    )
)
