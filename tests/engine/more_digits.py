"""Operators in arithmetic of 100 digits, and what their inputs' last digits are worth.

The forward functions of the catalogue run on NumPy arrays of mpmath's numbers; what is
approximated or left to LAPACK in double precision has mpmath's own function here. Slopes
are central differences, so that nothing of the rules under test is used.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np

from service.engine.registry import REGISTRY, Example, Operator

MP = mpmath.mp.clone()
DIGITS, DIGITS_APART = 80, 420
"""Of tensors, and of elementwise functions, whose tails reach down to 1e-300."""
MP.dps = DIGITS_APART
STEP = MP.mpf(10) ** -25
"""Of a difference, relative to the number that is moved: 30 digits are left."""
SHAKE = MP.mpf(10) ** -20

_METHODS: dict[str, Callable[..., Any]] = {
    "exp": MP.exp,
    "log": MP.log,
    "sqrt": MP.sqrt,
    "sin": MP.sin,
    "cos": MP.cos,
    "tan": MP.tan,
    "arcsin": MP.asin,
    "arccos": MP.acos,
    "arctan": MP.atan,
    "sinh": MP.sinh,
    "cosh": MP.cosh,
    "tanh": MP.tanh,
    "arcsinh": MP.asinh,
    "arccosh": MP.acosh,
    "arctanh": MP.atanh,
    "expm1": MP.expm1,
    "log1p": MP.log1p,
    "log2": lambda x: MP.log(x, 2),
    "log10": MP.log10,
    "exp2": lambda x: MP.mpf(2) ** x,
    "cbrt": MP.cbrt,
    "floor": MP.floor,
    "ceil": MP.ceil,
    "trunc": lambda x: MP.sign(x) * MP.floor(abs(x)),
    "rint": MP.nint,
    "hypot": MP.hypot,
    "arctan2": MP.atan2,
}
# NumPy's functions of object arrays call methods of these names on the elements.
for _name, _function in _METHODS.items():
    setattr(MP.mpf, _name, lambda x, *more, _function=_function: _function(x, *more))


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of mpmath's numbers on arrays of them."""

    def on_arrays(*arrays: Any, **attrs: Any) -> Any:
        return np.frompyfunc(functools.partial(function, **attrs), len(arrays), 1)(*arrays)

    return on_arrays


def _matrices(function: Callable[..., Any], outputs: int = 1) -> Callable[..., Any]:
    """A function of matrices of mpmath's numbers on stacks of them."""

    def on_stacks(*arrays: Any, **attrs: Any) -> Any:
        vector = len(arrays) == 2 and arrays[1].ndim == 1
        arrays = (arrays[0], *(a[:, None] if a.ndim == 1 else a for a in arrays[1:]))
        lead = np.broadcast_shapes(*(a.shape[:-2] for a in arrays))
        stacks = [np.broadcast_to(a, (*lead, *a.shape[-2:])) for a in arrays]
        each = [
            function(*(MP.matrix(s[place].tolist()) for s in stacks), **attrs)
            for place in np.ndindex(lead)
        ]
        parts = []
        for part in zip(*([e if outputs > 1 else (e,) for e in each]), strict=True):
            one = [_array(p) for p in part]
            parts.append(np.reshape(np.array(one, object), (*lead, *np.shape(one[0]))))
        results = [p[..., 0] if vector else p for p in parts]
        return tuple(results) if outputs > 1 else results[0]

    return on_stacks


def _array(x: Any) -> Any:
    if not isinstance(x, MP.matrix):
        return x
    array = np.array(x.tolist(), object)
    return array[0] if x.rows == 1 else array


def _lu_solve(a: Any, b: Any) -> Any:
    result = MP.matrix(a.rows, b.cols)
    for column in range(b.cols):
        result[:, column] = MP.lu_solve(a, b[:, column])
    return result


def _aligned(columns: Any, like: Any) -> Any:
    """±1 per column, so that each points where the column of `like` does."""
    return [
        1 if sum(columns[i, j] * like[i, j] for i in range(columns.rows)) > 0 else -1
        for j in range(columns.cols)
    ]


def _rescaled(x: Any, signs: Any, axis: int) -> Any:
    result = x.copy()
    for i in range(x.rows):
        for j in range(x.cols):
            result[i, j] = x[i, j] * signs[j if axis else i]
    return result


def _doubles(x: Any) -> Any:
    return np.array(x.tolist(), float)


def _qr(x: Any) -> tuple[Any, Any]:
    if x.rows < x.cols:
        q, r = _qr(x[:, : x.rows])
        return q, q.T * x
    q, r = MP.qr(x, mode="skinny")
    signs = _aligned(q, np.linalg.qr(_doubles(x))[0])
    return _rescaled(q, signs, 1), _rescaled(r, signs, 0)


def _eigh(x: Any) -> tuple[Any, Any]:
    x = (x + x.T) / 2
    w, v = MP.eigsy(x)
    return w.T, _rescaled(v, _aligned(v, np.linalg.eigh(_doubles(x))[1]), 1)


def _svd(x: Any) -> tuple[Any, Any, Any]:
    u, s, vh = MP.svd_r(x)
    signs = _aligned(u, np.linalg.svd(_doubles(x), full_matrices=False)[0])
    return _rescaled(u, signs, 1), s.T, _rescaled(vh, signs, 0)


def _cofactors(x: Any) -> Any:
    """By differences of a function that is linear in every entry."""
    result = MP.matrix(x.rows, x.cols)
    for i in range(x.rows):
        for j in range(x.cols):
            one = x.copy()
            one[i, :] = MP.zeros(1, x.cols)
            one[i, j] = 1
            result[i, j] = _det(one)
    return result


def _det(x: Any) -> Any:
    """By Leibniz's sum over all orders of the columns."""
    total = MP.zero
    for order in itertools.permutations(range(x.rows)):
        turned = sum(a > b for a, b in itertools.combinations(order, 2))
        total += (-1) ** turned * MP.fprod(x[i, j] for i, j in enumerate(order))
    return total


def _gelu(x: Any, *, approximate: str) -> Any:
    if approximate == "tanh":
        inner = MP.sqrt(2 / MP.pi) * (x + MP.mpf(_CUBIC) * x**3)
        return x / (1 + MP.exp(-2 * inner))
    return x * MP.erfc(-x / MP.sqrt(2)) / 2


_CUBIC = 0.044715
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def _logsumexp(x: Any, *, axis: Any, keepdims: bool) -> Any:
    axis = tuple(axis) if isinstance(axis, list) else axis
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def _log_softmax(x: Any, *, axis: int) -> Any:
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


def _expm1_below(x: Any, *, alpha: float) -> Any:
    return x if x > 0 else alpha * MP.expm1(x)


def _pinv(x: Any, *, rcond: Any) -> Any:
    return (x.T * x) ** -1 * x.T if x.rows >= x.cols else x.T * (x * x.T) ** -1


_OWN: dict[str, Callable[..., Any]] = {
    "one_hot": lambda labels, *, classes, dtype: np.eye(classes, dtype=int)[labels],
    "cast": lambda x, *, dtype: x if x.dtype == object else _numbers(x.astype(dtype)),
    "elu": _each(_expm1_below),
    "selu": lambda x: SCALE * _each(_expm1_below)(x, alpha=ALPHA),
    "erf": _each(MP.erf),
    "erfc": _each(MP.erfc),
    "gelu": _each(_gelu),
    "gaussian": _each(lambda x, *, scale: MP.exp(-scale * x * x)),
    "softplus": _each(lambda x: MP.log1p(MP.exp(x))),
    "logsumexp": _logsumexp,
    "log_softmax": _log_softmax,
    "inv": _matrices(lambda x: x**-1),
    "det": _matrices(_det),
    "solve": _matrices(_lu_solve),
    "cofactor": _matrices(_cofactors),
    "pinv": _matrices(_pinv),
    "cholesky": _matrices(lambda x: MP.cholesky((x + x.T) / 2)),
    "slogdet": _matrices(lambda x: (MP.sign(_det(x)), MP.log(abs(_det(x)))), outputs=2),
    "qr": _matrices(_qr, outputs=2),
    "eigh": _matrices(_eigh, outputs=2),
    "svd": _matrices(_svd, outputs=3),
}


def _log_ndtr(x: Any) -> Any:
    return MP.log1p(-MP.erfc(x / MP.sqrt(2)) / 2) if x > 0 else MP.log(MP.erfc(-x / MP.sqrt(2)) / 2)


def _inverse_mills(x: Any, *, excess: bool) -> Any:
    ratio = MP.exp(-x * x / 2) / (MP.sqrt(2 * MP.pi) * MP.erfc(-x / MP.sqrt(2)) / 2)
    return ratio + x if excess else ratio


_OWN |= {
    "trunc": _each(lambda x: MP.sign(x) * MP.floor(abs(x))),
    "cbrt": _each(lambda x: MP.sign(x) * MP.cbrt(abs(x))),
    "sinc": _each(lambda x: MP.sincpi(x)),
    "logit": _each(lambda x: MP.log(x) - MP.log1p(-x)),
    "log_sigmoid": _each(lambda x: -MP.log1p(MP.exp(-x))),
    "logaddexp": _each(lambda a, b: MP.log(MP.exp(a) + MP.exp(b))),
    "xlogy": _each(lambda a, b: a * MP.log(b)),
    "heaviside": _each(lambda a, b: b if a == 0 else MP.mpf(a > 0)),
    "floor_divide": _each(lambda a, b: MP.floor(a / b)),
    "prelu": _each(lambda x, slope: x if x > 0 else slope * x),
    "isnan": _each(lambda x: False),
    "isinf": _each(lambda x: False),
    "isfinite": _each(lambda x: True),
    "nan_to_num": _each(lambda x, **_: x),
    "erfinv": _each(MP.erfinv),
    "ndtr": _each(lambda x: MP.erfc(-x / MP.sqrt(2)) / 2),
    "log_ndtr": _each(_log_ndtr),
    "inverse_mills": _each(_inverse_mills),
    "lgamma": _each(lambda x: MP.log(abs(MP.gamma(x)))),
    "digamma": _each(MP.digamma),
    "polygamma": _each(lambda x, *, order: MP.polygamma(order, x)),
}


class Digits:
    """The namespace of the catalogue on arrays of mpmath's numbers."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = REGISTRY[name]

        def function(*inputs: Any, **attrs: Any) -> Any:
            if attrs.get("dtype") == "object":
                attrs["dtype"] = "float64"
            return evaluated(op, inputs, op.attrs(attrs))

        return function


def evaluated(op: Operator, inputs: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """`op` of arrays of mpmath's numbers (or of integers and truth values)."""
    if op.gate and len(inputs) >= 2:
        op = REGISTRY[op.gate]
        attrs = op.attrs({})
    if op.name in _OWN:
        return _OWN[op.name](*inputs, **attrs)
    if op.expand is not None:
        return op.expand(Digits(), *map(_numbers, inputs), **attrs)
    assert op.forward is not None
    return op.forward(*map(_numbers, inputs), **attrs)


def _numbers(x: Any) -> Any:
    """Floating numbers as mpmath's, in arrays even where they are alone."""
    array = np.asarray(x)
    return np.asarray(np.frompyfunc(MP.mpf, 1, 1)(array)) if array.dtype.kind == "f" else array


class Exact:
    """One call of an operator at given inputs: values, slopes and second derivatives.

    The outputs are contracted with `weights`, the first derivatives with `directions`; of an
    elementwise operator on inputs of one shape each element is a call of its own, and
    nothing is summed. Every result comes with what the last digits of the inputs, weights
    and directions are worth: the change per unit of relative change in them.
    """

    def __init__(
        self,
        op: Operator,
        example: Example,
        inputs: Sequence[Any],
        weights: Sequence[Any],
        directions: dict[int, Any],
    ) -> None:
        self.op, self.attrs = op, op.attrs(dict(example.attrs))
        self.apart = op.elementwise
        self.point = (
            [_numbers(x) for x in inputs],
            [_numbers(w) for w in weights],
            {place: _numbers(d) for place, d in directions.items()},
        )

    def results(self) -> tuple[list[Any], list[Any], list[Any], list[list[Any]]]:
        """Values, gradients, Hessian-vector products, and the changes of each."""
        rng = np.random.default_rng(0)
        MP.dps = DIGITS_APART if self.apart else DIGITS
        results = self._at(*self.point)
        changes: list[list[Any]] = [[0.0 * abs(r) for r in group] for group in results]
        for _ in range(3):
            shaken = self._at(*(_shaken(part, rng) for part in self.point))
            for group, (now, before) in enumerate(zip(shaken, results, strict=True)):
                for k, (a, b) in enumerate(zip(now, before, strict=True)):
                    changes[group][k] = np.maximum(changes[group][k], abs(a - b) / SHAKE)
        return (*results, changes)  # type: ignore[return-value]

    def _at(self, inputs: list[Any], weights: list[Any], directions: dict[int, Any]) -> Any:
        def whole(xs: list[Any]) -> Any:
            made = evaluated(self.op, xs, self.attrs)
            parts = [np.asarray(p) for p in (made if isinstance(made, tuple) else (made,))]
            values.append(parts)
            terms = [w * p for w, p in zip(weights, parts, strict=True) if w is not None]
            return terms[0] if self.apart else functools.reduce(operator.add, map(np.sum, terms))

        values: list[Any] = []
        # What a difference of values amounts to where there is none.
        noise = abs(whole(inputs)) * MP.mpf(10) ** (5 - MP.dps)
        along = [
            [
                x
                if place not in directions
                else np.asarray(x + sign * STEP * directions[place], object)
                for place, x in enumerate(inputs)
            ]
            for sign in (1, -1)
        ]
        slopes, products = [], []
        for place in directions:
            slope, product = (np.zeros(np.shape(inputs[place]), object) for _ in range(2))
            for index in [...] if self.apart else list(np.ndindex(slope.shape)):
                h = np.where(inputs[place][index] == 0, MP.one, abs(inputs[place][index])) * STEP
                ends = [_difference(whole, xs, place, index, h) for xs in (inputs, *along)]
                slope[index] = _beyond(noise, ends[0]) / (2 * h)
                product[index] = _beyond(noise, ends[1] - ends[2]) / (4 * h * STEP)
            slopes.append(slope)
            products.append(product)
        return values[0], slopes, products


def _beyond(noise: Any, difference: Any) -> Any:
    return np.where(abs(difference) > noise, difference, 0 * difference)


def _shaken(part: Any, rng: np.random.Generator) -> Any:
    if isinstance(part, dict):
        return {place: _shaken(x, rng) for place, x in part.items()}
    if isinstance(part, list):
        return [_shaken(x, rng) for x in part]
    if part is None or part.dtype != object:
        return part
    signs = rng.choice([-1, 1], np.shape(part)).astype(object)
    return np.asarray(part * (1 + SHAKE * signs), object)


def _difference(whole: Callable[..., Any], xs: list[Any], place: int, index: Any, h: Any) -> Any:
    ends = []
    for sign in (1, -1):
        moved = np.array(xs[place], object)
        moved[index] = moved[index] + sign * h
        ends.append(whole([*xs[:place], moved, *xs[place + 1 :]]))
    return ends[0] - ends[1]
