"""Order along an axis: sorting, running extrema, differences of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.errors import OperatorError
from service.engine.operators._batch import shift_axis
from service.engine.operators._define import composite
from service.engine.registry import REGISTRY, Attribute, Domain, Example, Operator, TensorSpec
from service.engine.shapes import checked_axis
from service.engine.spelling import Spelling

_ALONG = {"axis": Attribute("axis", -1, "the axis along which")}
_EXAMPLES = (Example(((5,),)), Example(((3, 4),), {"axis": 0}), Example(((1, 2),)))


def _same(x: TensorSpec, *, axis: int) -> TensorSpec:
    checked_axis(axis, x.ndim)
    return x


def _sorting(x: TensorSpec, **_: Any) -> int:
    return 10 * x.size


REGISTRY.register(
    Operator(
        name="argsort",
        group="indexing",
        inputs=("x",),
        numpy=(Spelling("x=a axis kind * stable"),),
        summary="The places of the elements in rising order along an axis; equal ones in order.",
        infer=lambda x, *, axis: TensorSpec(_same(x, axis=axis).shape, "int64"),
        forward=lambda x, *, axis: np.argsort(x, axis=axis, kind="stable"),
        vjp=(None,),
        batch=shift_axis("argsort"),
        branch=lambda y, x, axis: y,
        attributes=_ALONG,
        flops=_sorting,
        formula="x[y[0]] <= x[y[1]] <= …",
        gradient_formula="none",
        differentiable=False,
        code="np.argsort({0}, axis={axis}, kind='stable')",
        domain=Domain(distinct=True, examples=_EXAMPLES),
    )
)
composite(
    "sort",
    "x",
    lambda xp, x, *, axis: xp.take_along_axis(x, xp.argsort(x, axis=axis), axis=axis),
    _EXAMPLES,
    group="indexing",
    infer=_same,
    domain=Domain(distinct=True),
    numpy=(Spelling("x=a axis kind * stable"),),
    attributes=_ALONG,
    summary="The elements in rising order along an axis.",
    formula="x[argsort(x)]",
    gradient="dx[argsort(x)] = g",
    kinks="Equal elements keep their order, and so do their gradients.",
    pattern="router",
)


def _running_rule(name: str) -> Any:
    def rule(xp: Any, g: Any, y: Any, x: Any, axis: int) -> Any:
        """Each g to the first place where its extremum was reached."""
        axis, size = axis % x.ndim, x.shape[axis]

        def part(z: Any, start: int, stop: int) -> Any:
            return xp.slice(z, starts=(start,), stops=(stop,), axes=(axis,), steps=None)

        beaten = xp.less_equal if name == "cummax" else xp.greater_equal
        record = xp.logical_not(beaten(part(x, 1, size), part(y, 0, size - 1)))
        shape = tuple(size - 1 if i == axis else 1 for i in range(x.ndim))
        later = xp.where(record, np.arange(1, size).reshape(shape), np.int64(0))
        first = xp.cast(xp.broadcast_to(0.0, shape=part(x, 0, 1).shape), dtype="int64")
        places = xp.cummax(xp.concat(first, later, axis=axis), axis=axis)
        blank = xp.cast(xp.broadcast_to(0.0, shape=x.shape), dtype=str(x.dtype))
        return xp.scatter_add(blank, places, g, axis=axis)

    return rule


for _name, _ufunc, _word in (("cummax", np.maximum, "largest"), ("cummin", np.minimum, "smallest")):
    REGISTRY.register(
        Operator(
            name=_name,
            group="reduction",
            inputs=("x",),
            numpy=(),
            summary=f"For every place the {_word} of the elements up to it along an axis.",
            infer=_same,
            forward=lambda x, *, axis, ufunc=_ufunc: ufunc.accumulate(x, axis=axis),
            vjp=(_running_rule(_name),),
            batch=shift_axis(_name),
            branch=lambda y, x, axis: x == y,
            attributes=_ALONG,
            aliases=(f"cumulative_{_name[3:]}",),
            flops=lambda x, axis: x.size,
            formula=f"y[i] = {_name[3:]} x[j] for j <= i",
            gradient_formula="dx[j] = Σ g[i] where y[i] is x[j]",
            kinks="Of equal elements the first gets the gradient.",
            pattern="router",
            code=f"np.{_ufunc.__name__}.accumulate({{0}}, axis={{axis}})",
            domain=Domain(distinct=True, examples=_EXAMPLES),
        )
    )


def _diff(xp: Any, x: Any, *, n: int, axis: int) -> Any:
    axis = checked_axis(axis, x.ndim)
    if n > 64:
        raise OperatorError("diff takes at most 64 differences", code="attribute")
    y = xp.identity(x) if n == 0 else x
    for _ in range(n):
        size = y.shape[axis]
        if size == 0:
            break
        over = {"axes": (axis,), "steps": None}
        y = xp.slice(y, starts=(1,), stops=(size,), **over) - xp.slice(
            y, starts=(0,), stops=(size - 1,), **over
        )
    return y


composite(
    "diff",
    "x",
    _diff,
    (Example(((5,),)), Example(((3, 4),), {"axis": 0}), Example(((2, 4),), {"n": 2})),
    group="reduction",
    numbers="numeric",
    numpy=(Spelling("x=a n axis prepend append"),),
    attributes={"n": Attribute("int", 1, "how often it is done", minimum=0), **_ALONG},
    summary="The differences of neighbours along an axis.",
    formula="y[i] = x[i + 1] - x[i]",
    gradient="dx[i] = g[i - 1] - g[i]",
)
