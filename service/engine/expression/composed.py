"""Functions of NumPy and Python that are written out of others, one line each."""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING

from service.engine.expression.arrays import Arguments, taken
from service.engine.expression.binding import Function, operator_of
from service.engine.expression.values import UNKNOWN, Text, Value
from service.engine.numpy_compat import catalogued
from service.engine.operators import REGISTRY

if TYPE_CHECKING:
    from service.engine.expression.reader import Reader

_LINES = """
all a, axis=None, out=None, keepdims=False: np.sum(a == 0, axis, keepdims=keepdims) == 0
any a, axis=None, out=None, keepdims=False: np.sum(a != 0, axis, keepdims=keepdims) > 0
append arr, values, axis=None: np.concatenate([np.ravel(arr), np.ravel(values)]) \
    if axis is None else np.concatenate([arr, values], axis)
around a, decimals=0, out=None: np.round(a, decimals)
ascontiguousarray a, dtype=None: np.atleast_1d(np.array(a, dtype))
average a, axis=None, weights=None: np.mean(a, axis) if weights is None \
    else np.sum(a * weights, axis) / np.sum(weights, axis) if np.ndim(a) == np.ndim(weights) \
    else np.tensordot(a, weights, ([axis], [0])) / np.sum(weights)
atleast_1d a: a if np.ndim(a) >= 1 else np.reshape(a, 1)
atleast_2d a: a if np.ndim(a) >= 2 else np.reshape(a, (1, -1))
atleast_3d a: a if np.ndim(a) >= 3 else a[:, :, None] if np.ndim(a) == 2 \
    else np.reshape(a, (1, -1, 1))
diagonal a, offset=0, axis1=0, axis2=1: \
    op.diagonal(np.moveaxis(a, (axis1, axis2), (-2, -1)), offset)
dot a, b, out=None: op.dot_product(a, b)
fabs x: np.abs(x)
flatten a, order="C": op.reshape(op.reverse_axes(a) if order == "F" else a, -1)
fliplr m: m[:, ::-1]
flipud m: m[::-1]
identity n, dtype=None: np.eye(n, dtype=dtype)
item a, index=None: np.reshape(a, ()) if index is None else np.ravel(a)[index]
linalg.cholesky a, *, upper=False: \
    op.cholesky(op.triu(a) + op.triu(a, 1).mT if upper else op.tril(a) + op.tril(a, -1).mT) \
    if not upper else op.cholesky(op.triu(a) + op.triu(a, 1).mT).mT
linalg.eigh a, UPLO="L": op.eigh( \
    op.tril(a) + op.tril(a, -1).mT if UPLO == "L" or UPLO == "l" else op.triu(a) + op.triu(a, 1).mT)
linalg.eigvalsh a, UPLO="L": np.linalg.eigh(a, UPLO)[0]
linalg.lstsq a, b, rcond=None: (op.lstsq(a, b, rcond), None, None, None)
where.mean a, axis=None, dtype=None, out=None, keepdims=False, where=True: \
    np.sum(np.where(where, a, 0), axis, keepdims=keepdims) \
    / np.sum(np.where(where, np.ones_like(a), 0), axis, keepdims=keepdims)
where.prod a, axis=None, dtype=None, out=None, keepdims=False, initial=1, where=True: \
    initial * np.prod(np.where(where, a, 1), axis, keepdims=keepdims)
where.sum a, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True: \
    initial + np.sum(np.where(where, a, 0), axis, keepdims=keepdims)
linalg.svdvals x: op.svd(x)[1]
logical_xor x1, x2: (x1 != 0) != (x2 != 0)
math.log x, base=None: np.log(x) if base is None else np.log(x) / np.log(base)
nansum a, axis=None, dtype=None, out=None, keepdims=False: \
    np.sum(np.where(a == a, a, 0.0), axis, dtype, keepdims=keepdims)
positive x: +x
ptp a, axis=None, out=None, keepdims=False: \
    np.max(a, axis, keepdims=keepdims) - np.min(a, axis, keepdims=keepdims)
ravel a, order="C": op.reshape(op.reverse_axes(a) if order == "F" else a, -1)
reshape a, shape, order="C", *, copy=None: op.reshape(a, shape) if order != "F" else \
    op.reverse_axes(op.reshape(op.reverse_axes(a), shape if np.ndim(shape) == 0 else shape[::-1]))
rint x: op.round(x)
round a, decimals=0, out=None: op.round(a) if decimals == 0 \
    else op.round(a * 10.0**decimals) / 10.0**decimals if decimals > 0 \
    else op.round(a / 10.0**-decimals) * 10.0**-decimals
trace a, offset=0, axis1=0, axis2=1, dtype=None, out=None: \
    op.trace(np.moveaxis(a, (axis1, axis2), (-2, -1)), offset)
transpose a, axes=None: op.reverse_axes(a) if axes is None else op.permute_dims(a, axes)
vdot a, b: np.dot(np.ravel(a), np.ravel(b))
"""
"""A name without `np.`, its parameters, and what it comes to. `op` are the catalogue's own."""
OWN = {op.name: operator_of(catalogued(op), op.name) for op in REGISTRY if op.group != "leaf"}
"""The catalogue's operators, those among them that nobody else can call."""


def _function(name: str, source: str) -> Function:
    written = ast.parse(f"lambda {source}", mode="eval").body
    assert isinstance(written, ast.Lambda)
    order = [one.arg for one in (*written.args.args, *written.args.kwonlyargs)]
    last = [*written.args.defaults, *(one for one in written.args.kw_defaults if one is not None)]
    values = [ast.literal_eval(one) for one in last]
    defaults = {
        parameter: Text(value) if isinstance(value, str) else value
        for parameter, value in zip(order[len(order) - len(values) :], values, strict=True)
    }
    required = order[: len(order) - len(values)]

    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        renamed = {
            order[0] if key in ("x", "a") and key not in order else key: value
            for key, value in keywords.items()
        }
        given = taken(reader, at, " ".join(order), args, renamed)
        for place, parameter in enumerate(required):
            if parameter not in given:
                count = len(required)
                detail = f"{name} takes {count} input{'s' if count != 1 else ''}, here {place}"
                raise reader.fault(at, "arity", detail, "it takes " + ", ".join(order), name)
        if given.get("out") is not None:
            raise reader.fault(at, "attribute", f"{name}: 'out' is not read", "leave it out", name)
        if any(one is UNKNOWN for one in given.values()):
            return UNKNOWN
        return reader.inlined(_placed(reader, at, name, written.body), defaults | given)

    return function


def _placed(reader: Reader, at: ast.Call, name: str, body: ast.expr) -> ast.expr:
    """The body as if it stood where the call stands; the same one for every round of a loop."""
    known = reader.bodies.get((id(at), name))
    if known is None:
        known = reader.bodies[id(at), name] = copy.deepcopy(body)
        for node in ast.walk(known):
            if isinstance(node, ast.expr | ast.keyword):
                node.lineno, node.col_offset = at.lineno, at.col_offset
    return known


COMPOSED = {
    name: _function(name, source)
    for name, _, source in (
        line.partition(" ") for line in _LINES.replace("\\\n", "").strip().splitlines()
    )
}
