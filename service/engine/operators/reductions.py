"""Sums, means and extrema over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.operators._batch import shift_axis
from service.engine.errors import OperatorError
from service.engine.registry import REGISTRY, Attribute, Domain, Example, Operator, TensorSpec
from service.engine.shapes import checked_axes, floating, reduced

AXIS = {
    "axis": Attribute("axes", None, "the axis or axes to reduce; null means all", nullable=True),
    "keepdims": Attribute("bool", False, "keep the reduced axes with size 1"),
}
EXAMPLES = (
    Example(((3, 4),)),
    Example(((3, 4),), {"axis": 0}),
    Example(((2, 3, 4),), {"axis": [-1, 0], "keepdims": True}),
    Example(((),)),
)


def keep(xp: Any, g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """`g` with the reduced axes back at size 1, so that it broadcasts against `x`."""
    if keepdims or x.ndim == 0:
        return g
    return xp.reshape(g, shape=reduced(x.shape, checked_axes(axis, x.ndim), True))


def _infer(x: TensorSpec, *, axis: Any, keepdims: bool) -> TensorSpec:
    dtype = "int64" if x.dtype in ("bool", "int32") else x.dtype
    return TensorSpec(reduced(x.shape, checked_axes(axis, x.ndim), keepdims), dtype)


def _infer_float(x: TensorSpec, *, axis: Any, keepdims: bool) -> TensorSpec:
    return TensorSpec(_infer(x, axis=axis, keepdims=keepdims).shape, floating(x.dtype))


def _infer_extremum(x: TensorSpec, *, axis: Any, keepdims: bool) -> TensorSpec:
    axes = checked_axes(axis, x.ndim)
    if any(x.shape[i] == 0 for i in axes):
        raise OperatorError("an empty axis has no extremum", shapes=(x.shape,))
    return TensorSpec(reduced(x.shape, axes, keepdims), x.dtype)


def _flops(x: TensorSpec, **_: Any) -> int:
    return x.size


def count(x: Any, axis: Any) -> int:
    """How many elements of `x` one element of the reduction stands for."""
    return math.prod(x.shape[i] for i in checked_axes(axis, x.ndim))


def _code(function: str) -> Any:
    def code(x: str, *, axis: Any, keepdims: bool) -> str:
        extra = "" if axis is None else f", axis={axis}"
        return f"np.{function}({x}{extra}{', keepdims=True' if keepdims else ''})"

    return code


REGISTRY.register(
    Operator(
        name="sum",
        batch=shift_axis("sum"),
        group="reduction",
        inputs=("x",),
        summary="The sum over axes; distributes the gradient to every element.",
        infer=_infer,
        forward=np.sum,
        vjp=(lambda xp, g, y, x, axis, keepdims: keep(xp, g, x, axis, keepdims),),
        attributes=AXIS,
        flops=_flops,
        formula="Σ x",
        gradient_formula="dx = g, repeated along the axes",
        pattern="distributor",
        code=_code("sum"),
        domain=Domain(examples=EXAMPLES),
    )
)
REGISTRY.register(
    Operator(
        name="mean",
        batch=shift_axis("mean"),
        group="reduction",
        inputs=("x",),
        summary="The arithmetic mean over axes.",
        infer=_infer_float,
        forward=np.mean,
        vjp=(
            lambda xp, g, y, x, axis, keepdims: (
                keep(xp, g, x, axis, keepdims) / float(max(count(x, axis), 1))
            ),
        ),
        attributes=AXIS,
        flops=_flops,
        formula="Σ x / n",
        gradient_formula="dx = g / n, repeated along the axes",
        pattern="distributor",
        code=_code("mean"),
        domain=Domain(examples=EXAMPLES),
    )
)


def _extremum_rule(xp: Any, g: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    chosen = xp.where(xp.equal(x, keep(xp, y, x, axis, keepdims)), 1.0, 0.0)
    share = chosen / xp.sum(chosen, axis=axis, keepdims=True)
    return keep(xp, g, x, axis, keepdims) * share


for _name, _function, _word in (("max", np.max, "largest"), ("min", np.min, "smallest")):
    REGISTRY.register(
        Operator(
            name=_name,
            batch=shift_axis(_name),
            group="reduction",
            inputs=("x",),
            gate=f"{_name}imum",
            summary=f"The {_word} element over axes; with two or more inputs the gate {_name}imum.",
            infer=_infer_extremum,
            forward=_function,
            vjp=(_extremum_rule,),
            attributes=AXIS,
            aliases=(f"a{_name}", f"reduce_{_name}"),
            flops=_flops,
            formula=f"{_name} x",
            gradient_formula=f"g to the {_word} element, 0 to the others",
            kinks="Equal elements share the gradient evenly.",
            pattern="router",
            code=_code(_name),
            domain=Domain(distinct=True, examples=EXAMPLES),
        )
    )
