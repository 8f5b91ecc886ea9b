"""Functions of two numbers, element by element, beyond the four operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.operators._define import binary
from service.engine.registry import Domain, Scales
from service.engine.shapes import elementwise, elementwise_float


def _atan2_rule(xp: Any, g: Any, a: Any, b: Any, part: Any) -> Any:
    size = xp.hypot(a, b)
    size = xp.where(xp.greater(size, 0.0), size, 1.0)
    return g * (part / size / size)


def _atan2_onnx(xp: Any, a: Any, b: Any) -> Any:
    flat = xp.logical_and(xp.equal(a, 0.0), xp.equal(b, 0.0))
    turn = xp.where(xp.less(b, 0.0), xp.where(xp.less(a, 0.0), -math.pi, math.pi), 0.0)
    return xp.atan(a / xp.where(flat, 1.0, b)) + turn


binary(
    "atan2",
    np.arctan2,
    (
        lambda xp, g, y, a, b: _atan2_rule(xp, g, a, b, b),
        lambda xp, g, y, a, b: _atan2_rule(xp, g, a, b, -a),
    ),
    infer=elementwise_float,
    aliases=("arctan2",),
    onnx=_atan2_onnx,
    scalar="atan2({0}, {1})",
    scales=Scales(reach=((-1e100, 1e100),)),
    summary="The angle of the point with height a and breadth b.",
    formula="atan2(a, b)",
    gradient="da = g * b / (a**2 + b**2), db = -g * a / (a**2 + b**2)",
    kinks="The gradient at the origin is 0.",
    code="np.arctan2({0}, {1})",
    domain=Domain(ranges=((0.3, 2.0), (-2.0, 2.0))),
)


def _logaddexp_rule(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    # Of two equal infinities each has half: their difference is no number.
    same = xp.logical_and(xp.equal(a, b), xp.logical_not(xp.isfinite(a)))
    return g * xp.sigmoid(xp.where(same, 0.0, a) - xp.where(same, 0.0, b))


binary(
    "logaddexp",
    np.logaddexp,
    (
        _logaddexp_rule,
        lambda xp, g, y, a, b: _logaddexp_rule(xp, g, y, b, a),
    ),
    infer=elementwise_float,
    onnx=lambda xp, a, b: xp.maximum(a, b) + xp.softplus(-xp.abs(a - b)),
    scalar="({0} if {0} > {1} else {1})"
    " + (0.6931471805599453 if {0} == {1} else log1p(exp(-abs({0} - {1}))))",
    scales=Scales(reach=((-700.0, 700.0),)),
    summary="The logarithm of a sum of two exponentials, without overflow.",
    formula="log(exp(a) + exp(b))",
    gradient="da = g * sigmoid(a - b), db = g * sigmoid(b - a)",
    kinks="Two equal infinities share the gradient evenly.",
    code="np.logaddexp({0}, {1})",
)


def _xlogy(a: Any, b: Any) -> Any:
    product = np.asarray(a * np.log(b), _float(a, b))
    return np.where(np.equal(a, 0) & ~np.isnan(b), product.dtype.type(0), product)[()]


def _float(*inputs: Any) -> Any:
    """The floating dtype of a result."""
    dtype = np.result_type(*inputs)
    return dtype if dtype.kind == "f" else np.float64


def _both_zero(xp: Any, a: Any, b: Any) -> Any:
    return xp.logical_and(xp.equal(a, 0.0), xp.equal(b, 0.0))


binary(
    "xlogy",
    _xlogy,
    (
        lambda xp, g, y, a, b: g * xp.log(xp.where(_both_zero(xp, a, b), 1.0, b)),
        lambda xp, g, y, a, b: g * (a / xp.where(_both_zero(xp, a, b), 1.0, b)),
    ),
    infer=elementwise_float,
    onnx=lambda xp, a, b: xp.where(xp.equal(a, 0.0), 0.0, a * xp.log(b)),
    scalar="0.0 if {0} == 0.0 and {1} == {1} else {0} * log({1})",
    scales=Scales(reach=((-1e30, 1e30), (1e-30, 1e30)), near=(1.0,)),
    summary="a * log(b), and 0 where a is 0.",
    formula="a * log(b)",
    gradient="da = g * log(b), db = g * a / b",
    kinks="Both slopes are 0 where both inputs are.",
    code="np.where({0} == 0, 0.0, {0} * np.log(np.where({0} == 0, 1.0, {1})))",
    domain=Domain(ranges=((-2.0, 2.0), (0.3, 3.0))),
)
binary(
    "floor_divide",
    np.floor_divide,
    (None, None),
    differentiable=False,
    infer=elementwise,
    branch=lambda y, a, b: y,
    onnx=lambda xp, a, b: xp.floor(xp.divide(a, b)),
    scalar="floor_divide({0}, {1})",
    summary="The quotient rounded down.",
    formula="floor(a / b)",
    gradient="da = 0, db = 0",
    kinks="The slopes are 0 everywhere, at the jumps too.",
    sign=("//", "{}//x", "//{}"),
    code="{0} // {1}",
    domain=Domain(ranges=((0.2, 0.8), (1.0, 2.0))),
)
binary(
    "heaviside",
    np.heaviside,
    (lambda xp, g, y, a, b: 0.0, lambda xp, g, y, a, b: xp.where(xp.equal(a, 0.0), g, 0.0)),
    infer=elementwise_float,
    branch=lambda y, a, b: np.sign(a),
    onnx=lambda xp, a, b: xp.where(xp.equal(a, 0.0), b, xp.where(xp.less(a, 0.0), 0.0, 1.0)),
    scalar="{1} if {0} == 0.0 else 0.0 if {0} < 0.0 else 1.0 if {0} > 0.0 else {0}",
    summary="0 below 0, 1 above 0, and the second input at 0.",
    formula="0 where a < 0, b where a = 0, 1 where a > 0",
    gradient="da = 0, db = g where a = 0",
    kinks="The slope of the first input is 0 everywhere, at the jump too.",
    code="np.heaviside({0}, {1})",
    domain=Domain(avoid=(0.0,)),
)


def _known_share(xp: Any, g: Any, y: Any, mine: Any, other: Any) -> Any:
    mine = xp.where(xp.equal(mine, y), 1.0, 0.0)
    both = mine + xp.where(xp.equal(other, y), 1.0, 0.0)
    return g * (mine / xp.maximum(both, 1.0))


def _numbers_first(name: str) -> Any:
    def meaning(xp: Any, a: Any, b: Any) -> Any:
        chosen = xp.where(xp.isnan(b), a, getattr(xp, name)(a, b))
        return xp.where(xp.isnan(a), b, chosen)

    return meaning


for _name, _ufunc, _sign, _word in (
    ("fmax", np.fmax, ">=", "larger"),
    ("fmin", np.fmin, "<=", "smaller"),
):
    binary(
        _name,
        _ufunc,
        (
            lambda xp, g, y, a, b: _known_share(xp, g, y, a, b),
            lambda xp, g, y, a, b: _known_share(xp, g, y, b, a),
        ),
        group="selection",
        infer=elementwise,
        numbers="any",
        scalar=f"{{0}} if {{0}} {_sign} {{1}} or {{1}} != {{1}} else {{1}}",
        onnx=_numbers_first("maximum" if _name == "fmax" else "minimum"),
        branch=lambda y, a, b: [np.broadcast_to(x == y, np.shape(y)) for x in (a, b)],
        summary=f"The {_word} of two inputs; of a number and NaN the number.",
        formula=f"{_name}(a, b)",
        gradient=f"g to the {_word} input, 0 to the other",
        kinks="Equal inputs share the gradient evenly.",
        pattern="router",
        code=f"np.{_name}({{0}}, {{1}})",
        domain=Domain(distinct=True),
    )
binary(
    "prelu",
    lambda x, slope: np.where(np.greater(x, 0), x, np.multiply(slope, x, dtype=_float(x, slope))),
    (
        lambda xp, g, y, x, slope: xp.where(xp.greater(x, 0.0), g, g * slope),
        lambda xp, g, y, x, slope: xp.where(xp.greater(x, 0.0), 0.0, g * x),
    ),
    group="activation",
    infer=elementwise_float,
    branch=lambda y, x, slope: np.sign(x),
    onnx=lambda xp, x, slope: xp.where(xp.greater(x, 0.0), x, slope * x),
    scalar="{0} if {0} > 0.0 else {1} * {0}",
    scales=Scales(reach=((-1e100, 1e100),)),
    summary="relu with a slope of its own, which is learnt, on the negative side.",
    formula="a where a > 0, else b * a",
    gradient="da = g where a > 0, else g * b; db = g * a where a <= 0, else 0",
    kinks="The slope at 0 is b.",
    pattern="router",
    code="np.where({0} > 0, {0}, {1} * {0})",
    domain=Domain(avoid=(0.0,)),
)
