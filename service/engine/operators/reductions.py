"""Sums, means and extrema over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.errors import OperatorError
from service.engine.operators._batch import shift_axis, spread
from service.engine.registry import (
    REGISTRY,
    Attribute,
    Domain,
    Example,
    Operator,
    Scales,
    TensorSpec,
)
from service.engine.shapes import checked_axes, checked_axis, floating, promote, reduced
from service.engine.spelling import Spelling

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
        onnx="ReduceSum",
        sign="Σ",
        analytic=True,
        batch=shift_axis("sum"),
        group="reduction",
        numpy=(Spelling("x=a axis dtype out keepdims initial where"),),
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
        onnx="ReduceMean",
        analytic=True,
        batch=shift_axis("mean"),
        group="reduction",
        numpy=(Spelling("x=a axis dtype out keepdims * where"),),
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


def _chosen(y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    """Where the extremum lies."""
    whole = y if keepdims or axis is None else np.expand_dims(y, axis)
    return np.equal(x, whole)


for _name, _function, _word in (("max", np.max, "largest"), ("min", np.min, "smallest")):
    REGISTRY.register(
        Operator(
            name=_name,
            batch=shift_axis(_name),
            group="reduction",
            numpy=(Spelling("x=a axis out keepdims initial where"),),
            inputs=("x",),
            gate=f"{_name}imum",
            onnx=f"Reduce{_name.title()}",
            branch=_chosen,
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


def _exclusive(xp: Any, x: Any, axis: int) -> Any:
    """For every place the product of the elements before it along `axis`."""
    size = x.shape[axis]
    head = xp.slice(x, starts=(0,), stops=(size - 1,), axes=(axis,), steps=None)
    shape = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
    one = xp.cast(xp.broadcast_to(1.0, shape=shape), dtype=str(x.dtype))
    return xp.concat(one, xp.cumulative_prod(head, axis=axis), axis=axis) if size > 1 else one


def _products_of_others(xp: Any, x: Any, axis: int) -> Any:
    """For every place the product of all other elements along `axis`: right with zeros too."""
    before = _exclusive(xp, x, axis)
    after = xp.flip(_exclusive(xp, xp.flip(x, axis=axis), axis), axis=axis)
    return before * after


def _prod_rule(xp: Any, g: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    axes = checked_axes(axis, x.ndim)
    if x.size == 0 or not axes:
        return keep(xp, g, x, axis, keepdims)
    # The reduced axes go to the end and become one.
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    order = (*rest, *axes)
    moved = xp.permute_dims(x, axes=order)
    flat = xp.reshape(moved, shape=(*(x.shape[i] for i in rest), -1))
    others = _products_of_others(xp, flat, flat.ndim - 1)
    back = xp.reshape(others, shape=moved.shape)
    back = xp.permute_dims(back, axes=tuple(order.index(i) for i in range(x.ndim)))
    return keep(xp, g, x, axis, keepdims) * back


REGISTRY.register(
    Operator(
        name="prod",
        onnx="ReduceProd",
        analytic=True,
        batch=shift_axis("prod"),
        group="reduction",
        numpy=(Spelling("x=a axis dtype out keepdims initial where"),),
        inputs=("x",),
        summary="The product over axes.",
        infer=_infer,
        forward=np.prod,
        vjp=(_prod_rule,),
        attributes=AXIS,
        flops=_flops,
        formula="Π x",
        gradient_formula="dx = g * the product of the others, right with zeros too",
        pattern="switcher",
        code=_code("prod"),
        domain=Domain(
            examples=(*EXAMPLES, Example(((1,),))),
        ),
    )
)


def _centred(xp: Any, x: Any, axis: Any) -> Any:
    return x - xp.mean(x, axis=axis, keepdims=True)


def _var(xp: Any, x: Any, *, axis: Any, keepdims: bool, correction: float) -> Any:
    centred = _centred(xp, x, axis)
    total = xp.sum(centred * centred, axis=axis, keepdims=keepdims)
    return total / max(float(count(x, axis) - correction), 0.0)


def _std(xp: Any, x: Any, *, axis: Any, keepdims: bool, correction: float) -> Any:
    return safe_sqrt(xp, _var(xp, x, axis=axis, keepdims=keepdims, correction=correction))


def safe_sqrt(xp: Any, x: Any) -> Any:
    """The root of a number that is never negative, with slope 0 at 0."""
    positive = xp.greater(x, 0.0)
    return xp.where(positive, xp.sqrt(xp.where(positive, x, 1.0)), xp.stop_gradient(x))


def _infer_var(x: TensorSpec, *, axis: Any, keepdims: bool, correction: float) -> TensorSpec:
    return _infer_float(x, axis=axis, keepdims=keepdims)


_SPREAD = {**AXIS, "correction": Attribute("float", 0, "1 for the estimate from a sample")}
_SPREAD_EXAMPLES = (
    Example(((3, 4),)),
    Example(((3, 4),), {"axis": 0, "correction": 1}),
    Example(((2, 3, 2),), {"axis": [0, 2], "keepdims": True}),
)
REGISTRY.register(
    Operator(
        name="var",
        scales=Scales(parts=("size", "offset")),
        group="reduction",
        numpy=(Spelling("x=a axis dtype out correction=ddof keepdims * where mean"),),
        inputs=("x",),
        summary="The variance over axes.",
        infer=_infer_var,
        expand=_var,
        attributes=_SPREAD,
        formula="Σ (x - mean)² / (n - correction)",
        gradient_formula="dx = g * 2 * (x - mean) / (n - correction)",
        domain=Domain(examples=_SPREAD_EXAMPLES),
    )
)
REGISTRY.register(
    Operator(
        name="std",
        scales=Scales(parts=("size", "offset")),
        group="reduction",
        numpy=(Spelling("x=a axis dtype out correction=ddof keepdims * where mean"),),
        inputs=("x",),
        summary="The standard deviation over axes.",
        infer=_infer_var,
        expand=_std,
        attributes=_SPREAD,
        formula="sqrt(Σ (x - mean)² / (n - correction))",
        gradient_formula="dx = g * (x - mean) / ((n - correction) * y)",
        kinks="The gradient where all elements are equal is 0, and the Hessian of its square is 0 "
        "there too: var(x) has the right one.",
        domain=Domain(examples=_SPREAD_EXAMPLES),
    )
)


def _cumulative_infer(x: TensorSpec, *, axis: int) -> TensorSpec:
    checked_axis(axis, x.ndim)
    return TensorSpec(x.shape, "int64" if x.dtype in ("bool", "int32") else x.dtype)


def _cumulative_sum_rule(xp: Any, g: Any, y: Any, x: Any, axis: int) -> Any:
    return xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis)


def _recurrence_infer(a: TensorSpec, b: TensorSpec, *, axis: int) -> TensorSpec:
    if a.shape != b.shape:
        raise OperatorError("the shapes differ", shapes=(a.shape, b.shape))
    checked_axis(axis, a.ndim)
    return TensorSpec(a.shape, floating(promote(a, b)))


def _recurrence(a: Any, b: Any, *, axis: int) -> Any:
    result = np.array(b, np.result_type(a, b))
    steps, factors = np.moveaxis(result, axis, 0), np.moveaxis(np.asarray(a), axis, 0)
    if steps.ndim == 1:  # numbers are quicker one by one than arrays of one
        for start in range(1, len(steps), 65_536):
            part = slice(start, start + 65_536)
            held = steps[start - 1 : start].tolist()
            for factor, number in zip(factors[part].tolist(), steps[part].tolist(), strict=True):
                held.append(factor * held[-1] + number)
            steps[part] = held[1:]
    else:
        for i in range(1, len(steps)):
            steps[i] += factors[i] * steps[i - 1]
    return result


def _recurrence_flops(a: TensorSpec, b: TensorSpec, *, axis: int) -> int:
    return 100 * a.size if a.ndim == 1 else 2 * a.size + 2_000 * a.shape[axis]


def _shifted(xp: Any, x: Any, axis: int, edge: float, *, back: bool = False) -> Any:
    """`x` one place further along `axis` (or one place back), with `edge` where nothing is left."""
    size = x.shape[axis]
    starts, stops = ((1,), (size,)) if back else ((0,), (size - 1,))
    rest = xp.slice(x, starts=starts, stops=stops, axes=(axis,), steps=None)
    shape = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
    end = xp.cast(xp.broadcast_to(edge, shape=shape), dtype=str(x.dtype))
    return xp.concat(*((rest, end) if back else (end, rest)), axis=axis)


def _backward_recurrence(xp: Any, a: Any, g: Any, axis: int) -> Any:
    """What reaches place i of a recurrence: s[i] = g[i] + a[i + 1] * s[i + 1]."""
    later = xp.flip(_shifted(xp, a, axis, 0.0, back=True), axis=axis)
    return xp.flip(xp.linear_recurrence(later, xp.flip(g, axis=axis), axis=axis), axis=axis)


def _recurrence_rules() -> tuple[Any, Any]:
    def by_a(xp: Any, g: Any, y: Any, a: Any, b: Any, axis: int) -> Any:
        axis = axis % a.ndim
        if a.shape[axis] == 0:
            return g
        return _backward_recurrence(xp, a, g, axis) * _shifted(xp, y, axis, 0.0)

    def by_b(xp: Any, g: Any, y: Any, a: Any, b: Any, axis: int) -> Any:
        axis = axis % a.ndim
        return _backward_recurrence(xp, a, g, axis) if a.shape[axis] else g

    return by_a, by_b


def _recurrence_batch(xp: Any, flags: tuple[bool, ...], a: Any, b: Any, *, axis: int) -> Any:
    a, b = spread(xp, flags, (a, b))
    return xp.linear_recurrence(a, b, axis=axis % (a.ndim - 1) + 1)


REGISTRY.register(
    Operator(
        name="linear_recurrence",
        analytic=True,
        batch=_recurrence_batch,
        group="reduction",
        numbers="floating",
        inputs=("a", "b"),
        summary="For every place b plus a times the result of the place before it along an axis.",
        infer=_recurrence_infer,
        forward=_recurrence,
        vjp=_recurrence_rules(),
        attributes={"axis": Attribute("axis", -1, "the axis along which")},
        flops=_recurrence_flops,
        formula="y[0] = b[0]; y[i] = a[i] * y[i - 1] + b[i]",
        gradient_formula="db[i] = g[i] + a[i + 1] * db[i + 1]; da[i] = db[i] * y[i - 1]",
        domain=Domain(
            examples=(
                Example(((5,), (5,))),
                Example(((3, 4), (3, 4)), {"axis": 0}),
                Example(((1,), (1,))),
            )
        ),
    )
)


def _cumulative_prod_rule(xp: Any, g: Any, y: Any, x: Any, axis: int) -> Any:
    """dx[k] = Π_{j<k} x[j] · Σ_{i≥k} g[i] · Π_{k<j≤i} x[j], which divides by nothing."""
    axis = axis % x.ndim
    if x.shape[axis] == 0:
        return g
    return _backward_recurrence(xp, x, g, axis) * _shifted(xp, y, axis, 1.0)


_ALONG = {"axis": Attribute("axis", -1, "the axis along which")}
for _name, _cumulative, _rule, _sign, _slope in (
    ("sum", np.cumsum, _cumulative_sum_rule, "Σ", "dx[k] = Σ of g[i] for i >= k"),
    ("prod", np.cumprod, _cumulative_prod_rule, "Π", "dx[k] = Σ of g[i] * Π x[j != k] for i >= k"),
):
    REGISTRY.register(
        Operator(
            name=f"cumulative_{_name}",
            analytic=True,
            batch=shift_axis(f"cumulative_{_name}"),
            group="reduction",
            numpy=(
                Spelling("x * axis dtype out include_initial"),
                Spelling("x=a axis dtype out", names=f"cum{_name}", flattens=True),
            ),
            inputs=("x",),
            summary=f"For every place the {_name} of the elements up to it along an axis.",
            infer=_cumulative_infer,
            forward=_cumulative,
            vjp=(_rule,),
            attributes=_ALONG,
            aliases=(f"cum{_name}",),
            formula=f"y[i] = {_sign} x[j] for j <= i",
            gradient_formula=_slope,
            code=f"np.cum{_name}({{0}}, axis={{axis}})",
            domain=Domain(
                examples=(Example(((4,),)), Example(((3, 4),), {"axis": 0}), Example(((1,),)))
            ),
        )
    )


def _logsumexp(x: Any, *, axis: Any, keepdims: bool) -> Any:
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis)[()]


def _logsumexp_rule(xp: Any, g: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    # Not exp(x - y), which loses the digits that y has no room for; the shift cancels out.
    top = xp.stop_gradient(xp.max(x, axis=axis, keepdims=True))
    e = xp.exp(x - top)
    return keep(xp, g, x, axis, keepdims) * (e / xp.sum(e, axis=axis, keepdims=True))


def _logsumexp_infer(x: TensorSpec, *, axis: Any, keepdims: bool) -> TensorSpec:
    shape = _infer_extremum(x, axis=axis, keepdims=keepdims).shape
    return TensorSpec(shape, floating(x.dtype))


REGISTRY.register(
    Operator(
        name="logsumexp",
        scales=Scales(parts=("size", "offset")),
        onnx="ReduceLogSumExp",
        analytic=lambda x, *, axis, keepdims: np.log(
            np.sum(np.exp(x), axis=axis, keepdims=keepdims)
        ),
        batch=shift_axis("logsumexp"),
        group="reduction",
        inputs=("x",),
        summary="The logarithm of the sum of exponentials, without overflow.",
        infer=_logsumexp_infer,
        forward=_logsumexp,
        vjp=(_logsumexp_rule,),
        attributes=AXIS,
        flops=lambda x, **_: 3 * x.size,
        formula="log Σ exp(x)",
        gradient_formula="dx = g * softmax(x)",
        kinks="Where all are -inf the value is -inf and the slopes are NaN: no share is theirs.",
        domain=Domain(examples=EXAMPLES),
    )
)

_WHICH = {
    "axis": Attribute(
        "axis", None, "the axis; null means the place in all elements", nullable=True
    ),
    "keepdims": Attribute("bool", False, "keep the reduced axes with size 1"),
}


def _which_infer(x: TensorSpec, *, axis: Any, keepdims: bool) -> TensorSpec:
    return TensorSpec(_infer_extremum(x, axis=axis, keepdims=keepdims).shape, "int64")


def _which_batch(name: str) -> Any:
    def rule(xp: Any, flags: tuple[bool, ...], x: Any, *, axis: Any, keepdims: bool) -> Any:
        function = getattr(xp, name)
        if axis is not None:
            return function(x, axis=axis % (x.ndim - 1) + 1, keepdims=keepdims)
        flat = function(xp.reshape(x, shape=(x.shape[0], -1)), axis=1, keepdims=False)
        shape = (x.shape[0], *(1,) * (x.ndim - 1)) if keepdims else (x.shape[0],)
        return xp.reshape(flat, shape=shape)

    return rule


for _name, _which, _word in (("argmax", np.argmax, "largest"), ("argmin", np.argmin, "smallest")):
    REGISTRY.register(
        Operator(
            name=_name,
            branch=lambda y, x, **_: y,
            batch=_which_batch(_name),
            group="reduction",
            numpy=(Spelling("x=a axis out * keepdims"),),
            inputs=("x",),
            summary=f"The place of the {_word} element; the first one of equals.",
            infer=_which_infer,
            forward=_which,
            vjp=(None,),
            attributes=_WHICH,
            flops=_flops,
            formula=f"{_name} x",
            gradient_formula="none",
            differentiable=False,
            code=_code(_name),
            domain=Domain(
                examples=(Example(((3, 4),)), Example(((3, 4),), {"axis": 0, "keepdims": True}))
            ),
        )
    )
