"""Products of vectors and matrices, powers, and systems of equations, written in other gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.errors import OperatorError
from service.engine.operators._batch import native
from service.engine.operators._define import composite
from service.engine.registry import REGISTRY, Attribute, Domain, Example, Operator, TensorSpec
from service.engine.shapes import checked_axis, floating
from service.engine.spelling import Spelling


def _cross(xp: Any, a: Any, b: Any, *, axis: int) -> Any:
    for x in (a, b):
        if x.ndim == 0 or x.shape[checked_axis(axis, x.ndim)] != 3:
            raise OperatorError(f"a cross product wants vectors of 3, not {x.shape}")
    a, b = (_moved(xp, x, axis % x.ndim, x.ndim - 1) for x in (a, b))

    def turned(x: Any, by: int) -> Any:
        return xp.roll(x, shift=by, axis=-1)

    y = turned(a, -1) * turned(b, -2) - turned(a, -2) * turned(b, -1)
    return _moved(xp, y, y.ndim - 1, axis % y.ndim)


def _moved(xp: Any, x: Any, source: int, destination: int) -> Any:
    return x if source == destination else xp.moveaxis(x, source=source, destination=destination)


composite(
    "cross",
    "a b",
    _cross,
    (Example(((3,), (3,))), Example(((2, 3), (3,))), Example(((3, 2), (3, 2)), {"axis": 0})),
    group="linear algebra",
    numbers="numeric",
    numpy=(
        Spelling("a b axisa axisb axisc axis", names="cross"),
        Spelling("a=x1 b=x2 * axis", names="linalg.cross"),
    ),
    attributes={"axis": Attribute("axis", -1, "the axis of the vectors' three elements")},
    summary="The cross product of vectors of three.",
    formula="a × b",
    gradient="da = b × g, db = g × a",
    pattern="switcher",
)


def _kron(xp: Any, a: Any, b: Any) -> Any:
    rank = max(a.ndim, b.ndim)
    shapes = [(1,) * (rank - x.ndim) + tuple(x.shape) for x in (a, b)]
    spread = xp.reshape(a, shape=tuple(n for m in shapes[0] for n in (m, 1)))
    within = xp.reshape(b, shape=tuple(n for m in shapes[1] for n in (1, m)))
    return xp.reshape(spread * within, shape=tuple(m * n for m, n in zip(*shapes, strict=True)))


composite(
    "kron",
    "a b",
    _kron,
    (Example(((2, 3), (3, 2))), Example(((2,), (3,))), Example(((2, 2), (3,)))),
    group="linear algebra",
    numbers="numeric",
    numpy=(Spelling("a b"),),
    summary="The Kronecker product: every element of a times all of b, in blocks.",
    formula="y[i * m + k, j * n + l] = a[i, j] * b[k, l]",
    gradient="da = g * b summed over each block, db = Σ a * g's blocks",
    pattern="switcher",
)


def _inner(xp: Any, a: Any, b: Any) -> Any:
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.shape[-1] != b.shape[-1]:
        raise OperatorError(
            f"the last axes of {a.shape} and {b.shape} differ", shapes=(a.shape, b.shape)
        )
    size = a.shape[-1]
    rows, columns = (xp.reshape(x, shape=(x.size // max(size, 1), size)) for x in (a, b))
    y = xp.matmul(rows, xp.matrix_transpose(columns))
    return xp.reshape(y, shape=(*a.shape[:-1], *b.shape[:-1]))


composite(
    "inner",
    "a b",
    _inner,
    (Example(((3,), (3,))), Example(((2, 3), (4, 3))), Example(((), (2, 2)))),
    group="linear algebra",
    numbers="numeric",
    numpy=(Spelling("a b"),),
    summary="The sums of products over the last axes of both inputs.",
    formula="y[i, j] = Σ a[i, k] * b[j, k]",
    gradient="da = g @ b, db = g.T @ a",
    pattern="switcher",
)


def _diag(xp: Any, x: Any, *, k: int) -> Any:
    if x.ndim == 2:
        return xp.diagonal(x, offset=k)
    if x.ndim != 1:
        raise OperatorError(f"diag wants a vector or a matrix, not {x.shape}", shapes=(x.shape,))
    size = x.shape[0] + abs(k)
    return xp.diagonal_matrix(x, rows=size, columns=size, offset=k)


composite(
    "diag",
    "x",
    _diag,
    (
        Example(((3,),)),
        Example(((3, 4),)),
        Example(((2,),), {"k": -1}),
        Example(((3, 3),), {"k": 1}),
    ),
    group="linear algebra",
    numpy=(Spelling("x=v k"),),
    attributes={"k": Attribute("int", 0, "0 for the main diagonal, 1 for the one above it")},
    summary="Of a vector the matrix with it on a diagonal, of a matrix its diagonal.",
    formula="y[i, i + k] = x[i], or y[i] = x[i, i + k]",
    gradient="dx = diag(g)",
)


def _matrix_power(xp: Any, x: Any, *, n: int) -> Any:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise OperatorError(f"{x.shape} is no square matrix", shapes=(x.shape,))
    if n == 0:
        return xp.broadcast_to(xp.cast(np.eye(x.shape[-1]), dtype=str(x.dtype)), shape=x.shape)
    if n < 0:
        x, n = xp.inv(x), -n
    y = None
    while n:
        if n & 1:
            y = x if y is None else xp.matmul(y, x)
        n >>= 1
        x = xp.matmul(x, x) if n else x
    return xp.identity(y) if y is x else y


composite(
    "matrix_power",
    "x",
    _matrix_power,
    (
        Example(((3, 3),), {"n": 3}),
        Example(((2, 2, 2),), {"n": 6}),
        Example(((2, 2),), {"n": -2}),
        Example(((2, 2),), {"n": 1}),
        Example(((2, 2),), {"n": 0}),
    ),
    group="linear algebra",
    numbers="numeric",
    domain=Domain(prepare=lambda x: (0.3 * x + np.eye(x.shape[-1]),)),
    numpy=(Spelling("x=a n", names="linalg.matrix_power"),),
    attributes={"n": Attribute("int", doc="how often; below 0 powers of the inverse")},
    summary="A square matrix times itself, n factors in all.",
    formula="x @ x @ …",
    gradient="dx = Σ (x.T)^k @ g @ (x.T)^(n - 1 - k)",
)


def _solve_triangular(xp: Any, a: Any, b: Any, *, lower: bool, unit_diagonal: bool) -> Any:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise OperatorError(f"{a.shape} is no square matrix", shapes=(a.shape,))
    k = int(unit_diagonal)
    a = xp.tril(a, k=-k) if lower else xp.triu(a, k=k)
    if unit_diagonal:
        a = a + xp.cast(np.eye(a.shape[-1]), dtype=str(a.dtype))
    if not lower:
        return xp.solve(a, b)
    # Turned upside down it is an upper one, of which elimination changes nothing.
    rows = -1 if b.ndim == 1 else -2
    return xp.flip(xp.solve(xp.flip(a, axis=(-2, -1)), xp.flip(b, axis=rows)), axis=rows)


composite(
    "solve_triangular",
    "a b",
    _solve_triangular,
    (
        Example(((3, 3), (3,))),
        Example(((3, 3), (3, 2)), {"lower": True}),
        Example(((2, 3, 3), (3, 2)), {"lower": True, "unit_diagonal": True}),
    ),
    group="linear algebra",
    numbers="floating",
    domain=Domain(prepare=lambda a, b: (a + 3.0 * np.eye(a.shape[-1]), b)),
    attributes={
        "lower": Attribute("bool", False, "whether the lower triangle is read, not the upper"),
        "unit_diagonal": Attribute("bool", False, "whether the diagonal counts as ones"),
    },
    summary="The x with a @ x = b for a triangular a, by substitution; NaN where a is singular.",
    formula="a⁻¹ @ b",
    gradient="db = solve(a.T, g), da = the triangle of -db @ y.T",
)


def _pinv(x: Any, *, rcond: float | None) -> Any:
    wide = np.where(np.isfinite(x).all(axis=(-2, -1), keepdims=True), x, 0.0)
    cut = rcond if rcond is not None else max(x.shape[-2:]) * float(np.finfo(x.dtype).eps)
    y = np.linalg.pinv(wide, rcond=cut)
    return np.where(np.isfinite(x).all(axis=(-2, -1))[..., None, None], y, np.nan)


def _pinv_rule(xp: Any, g: Any, y: Any, x: Any, rcond: float | None) -> Any:
    t = xp.matrix_transpose
    gt, yt = t(g), t(y)
    dx = -xp.matmul(xp.matmul(yt, g), yt)
    rows, columns = x.shape[-2:]
    if rows > columns:  # what a column space that turns does
        part = xp.matmul(gt, xp.matmul(y, yt))
        dx = dx + (part - xp.matmul(x, xp.matmul(y, part)))
    if columns > rows:
        part = xp.matmul(xp.matmul(yt, y), gt)
        dx = dx + (part - xp.matmul(xp.matmul(part, y), x))
    return dx


def _pinv_infer(x: TensorSpec, *, rcond: float | None) -> TensorSpec:
    if x.ndim < 2:
        raise OperatorError(f"{x.shape} is no matrix", shapes=(x.shape,))
    return TensorSpec((*x.shape[:-2], x.shape[-1], x.shape[-2]), floating(x.dtype))


def _tall(*inputs: Any) -> tuple[Any, ...]:
    """Matrices of full rank, whose singular values lie apart."""
    x, *rest = inputs
    return (0.3 * x + np.eye(*x.shape[-2:]) * (2.0 + np.arange(x.shape[-1])), *rest)


REGISTRY.register(
    Operator(
        name="pinv",
        group="linear algebra",
        inputs=("x",),
        numbers="floating",
        numpy=(Spelling("x=a rcond", names="linalg.pinv", defaults={"rcond": 1e-15}),),
        summary="The pseudo-inverse of a matrix.",
        infer=_pinv_infer,
        forward=_pinv,
        vjp=(_pinv_rule,),
        batch=native("pinv"),
        attributes={
            "rcond": Attribute(
                "float",
                None,
                "singular values below it, relative to the largest, count as 0; null means "
                "what rounding leaves",
                nullable=True,
            )
        },
        flops=lambda x, rcond: 20 * x.size * min(x.shape[-2:]),
        formula="x⁺",
        gradient_formula="dx = -y.T @ g @ y.T + (1 - x @ y) @ g.T @ y @ y.T + …",
        kinks="The gradient is that of matrices of full rank: where the rank drops there is none.",
        code="np.linalg.pinv({0})",
        domain=Domain(
            examples=(Example(((3, 3),)), Example(((4, 2),)), Example(((2, 2, 3),))),
            prepare=_tall,
        ),
    )
)


def _lstsq(xp: Any, a: Any, b: Any, *, rcond: float | None) -> Any:
    if a.ndim < 2 or b.ndim == 0 or b.shape[-1 if b.ndim == 1 else -2] != a.shape[-2]:
        raise OperatorError(
            f"a right-hand side {b.shape} does not fit {a.shape}", shapes=(a.shape, b.shape)
        )
    return xp.matmul(xp.pinv(a, rcond=rcond), b)


composite(
    "lstsq",
    "a b",
    _lstsq,
    (Example(((4, 2), (4,))), Example(((4, 2), (4, 3))), Example(((2, 3), (2,)))),
    group="linear algebra",
    numbers="floating",
    domain=Domain(prepare=_tall),
    attributes=REGISTRY["pinv"].attributes,
    summary="The x with the least |a @ x - b|, and of these the shortest.",
    formula="a⁺ @ b",
    gradient="through a⁺: db = (a⁺).T @ g",
    kinks="The gradient is that of matrices of full rank.",
)
