"""Functions of one number, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from service.engine.operators._define import unary
from service.engine.registry import (
    REGISTRY,
    Attribute,
    Domain,
    Example,
    Operator,
    Scales,
    TensorSpec,
)
from service.engine.shapes import floating, same
from service.engine.spelling import Spelling

_LN2, _LN10 = math.log(2.0), math.log(10.0)
_TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)

unary(
    "exp",
    np.exp,
    lambda xp, g, y, x: g * y,
    scalar="exp({0})",
    analytic=True,
    onnx="Exp",
    summary="The exponential function.",
    formula="exp(x)",
    gradient="dx = g * y",
    scales=Scales(reach=((-700.0, 700.0),)),
)
unary(
    "log",
    np.log,
    lambda xp, g, y, x: g / x,
    scalar="log({0})",
    analytic=True,
    onnx="Log",
    summary="The natural logarithm.",
    formula="log(x)",
    gradient="dx = g / x",
    interval=(0.3, 3.0),
    scales=Scales(reach=((0.0, 1e300),), near=(1.0,)),
)
unary(
    "sqrt",
    np.sqrt,
    lambda xp, g, y, x: g * 0.5 / y,
    scalar="sqrt({0})",
    analytic=True,
    sign="√x",
    onnx="Sqrt",
    summary="The square root.",
    formula="sqrt(x)",
    gradient="dx = g / (2 * y)",
    kinks="The slope at 0 is inf.",
    interval=(0.3, 3.0),
    scales=Scales(reach=((0.0, 1e300),)),
)
unary(
    "square",
    np.square,
    lambda xp, g, y, x: g * (2.0 * x),
    infer=same,
    scalar="{0} * {0}",
    analytic=True,
    sign="x²",
    onnx=lambda xp, x: x * x,
    summary="The input times itself.",
    formula="x**2",
    gradient="dx = g * 2 * x",
    code="{0} ** 2",
    scales=Scales(reach=((-1e100, 1e100),)),
)
unary(
    "sign",
    np.sign,
    None,
    differentiable=False,
    infer=same,
    scalar="1.0 if {0} > 0.0 else -1.0 if {0} < 0.0 else 0.0 if {0} == 0.0 else {0}",
    branch=lambda y, x: y,
    onnx="Sign",
    summary="-1, 0 or 1.",
    formula="sign(x)",
    gradient="dx = 0",
    kinks="The slope is 0 everywhere, at the jump too.",
    avoid=(0.0,),
)
unary(
    "abs",
    np.abs,
    lambda xp, g, y, x: g * xp.sign(x),
    infer=same,
    scalar="abs({0})",
    branch=lambda y, x, **_: np.sign(x),
    sign="|x|",
    onnx="Abs",
    summary="The absolute value.",
    formula="|x|",
    gradient="dx = g * sign(x)",
    kinks="The slope at 0 is 0.",
    avoid=(0.0,),
    aliases=("absolute",),
    scales=Scales(reach=((-1e300, 1e300),)),
)
unary(
    "sin",
    np.sin,
    lambda xp, g, y, x: g * xp.cos(x),
    scalar="sin({0})",
    analytic=True,
    onnx="Sin",
    summary="The sine of an angle in radians.",
    formula="sin(x)",
    gradient="dx = g * cos(x)",
    scales=Scales(reach=((-1000000.0, 1000000.0),)),
)
unary(
    "cos",
    np.cos,
    lambda xp, g, y, x: -g * xp.sin(x),
    scalar="cos({0})",
    analytic=True,
    onnx="Cos",
    summary="The cosine of an angle in radians.",
    formula="cos(x)",
    gradient="dx = -g * sin(x)",
    scales=Scales(reach=((-1000000.0, 1000000.0),)),
)
unary(
    "tanh",
    np.tanh,
    # 1 - y**2 loses all digits from x = 20 on; this keeps them.
    lambda xp, g, y, x: g * (4.0 * xp.logistic_density(2.0 * x)),
    scalar="tanh({0})",
    analytic=True,
    onnx="Tanh",
    summary="The hyperbolic tangent.",
    formula="tanh(x)",
    gradient="dx = g * (1 - y**2), computed as 4 * logistic_density(2x)",
    scales=Scales(reach=((-300.0, 300.0),)),
)
unary(
    "exp2",
    np.exp2,
    lambda xp, g, y, x: g * (y * _LN2),
    scalar="exp2({0})",
    analytic=True,
    onnx=lambda xp, x: xp.pow(2.0, x),
    summary="2 to the power of the input.",
    formula="2**x",
    gradient="dx = g * y * ln 2",
    scales=Scales(reach=((-1000.0, 1000.0),)),
)
unary(
    "expm1",
    np.expm1,
    lambda xp, g, y, x: g * xp.exp(x),
    scalar="expm1({0})",
    analytic=True,
    onnx=lambda xp, x: xp.exp(x) - 1.0,
    summary="exp(x) - 1, exact near 0.",
    formula="exp(x) - 1",
    gradient="dx = g * exp(x)",
    scales=Scales(reach=((-700.0, 700.0),)),
)
unary(
    "log1p",
    np.log1p,
    lambda xp, g, y, x: g / (1.0 + x),
    scalar="log1p({0})",
    analytic=True,
    onnx=lambda xp, x: xp.log(x + 1.0),
    summary="log(1 + x), exact near 0.",
    formula="log(1 + x)",
    gradient="dx = g / (1 + x)",
    interval=(-0.6, 2.0),
    scales=Scales(reach=((-1.0, 1e300),), near=(-1.0,)),
)
unary(
    "log2",
    np.log2,
    lambda xp, g, y, x: g / (x * _LN2),
    scalar="log2({0})",
    analytic=True,
    onnx=lambda xp, x: xp.log(x) / _LN2,
    summary="The logarithm to base 2.",
    formula="log2(x)",
    gradient="dx = g / (x * ln 2)",
    interval=(0.3, 3.0),
    scales=Scales(reach=((0.0, 1e300),), near=(1.0,)),
)
unary(
    "log10",
    np.log10,
    lambda xp, g, y, x: g / (x * _LN10),
    scalar="log10({0})",
    analytic=True,
    onnx=lambda xp, x: xp.log(x) / _LN10,
    summary="The logarithm to base 10.",
    formula="log10(x)",
    gradient="dx = g / (x * ln 10)",
    interval=(0.3, 3.0),
    scales=Scales(reach=((0.0, 1e300),), near=(1.0,)),
)


def _trunc_onnx(xp: Any, x: Any) -> Any:
    return xp.sign(x) * xp.floor(xp.abs(x))


for _name, _function, _what in (
    ("floor", np.floor, "The greatest integer that is not above the input."),
    ("ceil", np.ceil, "The least integer that is not below the input."),
    ("round", np.round, "The nearest integer; halves go to the even one."),
    ("trunc", np.trunc, "The input without its fraction."),
):
    unary(
        _name,
        _function,
        None,
        differentiable=False,
        infer=same,
        scalar=f"{_name}({{0}})",
        summary=_what,
        formula=f"{_name}(x)",
        gradient="dx = 0",
        kinks="The slope is 0 everywhere, at the jumps too.",
        branch=lambda y, x: y,
        onnx=_trunc_onnx if _name == "trunc" else _name.title(),
        avoid=(-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0),
    )
unary(
    "tan",
    np.tan,
    lambda xp, g, y, x: g * (1.0 + y * y),
    scalar="tan({0})",
    analytic=True,
    onnx="Tan",
    summary="The tangent of an angle in radians.",
    formula="tan(x)",
    gradient="dx = g * (1 + y**2)",
    interval=(-1.2, 1.2),
    scales=Scales(reach=((-1000000.0, 1000000.0),), near=(1.5707963267948966,)),
)
unary(
    "asin",
    np.arcsin,
    lambda xp, g, y, x: g / xp.sqrt(xp.one_minus_square(x)),
    scalar="asin({0})",
    analytic=True,
    onnx="Asin",
    summary="The angle whose sine is the input.",
    formula="asin(x)",
    gradient="dx = g / sqrt(1 - x**2)",
    interval=(-0.8, 0.8),
    aliases=("arcsin",),
    code="np.arcsin({0})",
    scales=Scales(reach=((-1.0, 1.0),), near=(-1.0, 1.0)),
)
unary(
    "acos",
    np.arccos,
    lambda xp, g, y, x: -g / xp.sqrt(xp.one_minus_square(x)),
    scalar="acos({0})",
    analytic=True,
    onnx="Acos",
    summary="The angle whose cosine is the input.",
    formula="acos(x)",
    gradient="dx = -g / sqrt(1 - x**2)",
    interval=(-0.8, 0.8),
    aliases=("arccos",),
    code="np.arccos({0})",
    scales=Scales(reach=((-1.0, 1.0),), near=(-1.0, 1.0)),
)
unary(
    "atan",
    np.arctan,
    # In two steps: the square overflows long before the slope is 0.
    lambda xp, g, y, x: g / xp.hypot(1.0, x) / xp.hypot(1.0, x),
    scalar="atan({0})",
    analytic=True,
    onnx="Atan",
    summary="The angle whose tangent is the input.",
    formula="atan(x)",
    gradient="dx = g / (1 + x**2)",
    aliases=("arctan",),
    code="np.arctan({0})",
    scales=Scales(reach=((-1e300, 1e300),)),
)
unary(
    "sinh",
    np.sinh,
    lambda xp, g, y, x: g * xp.cosh(x),
    scalar="sinh({0})",
    analytic=True,
    onnx="Sinh",
    summary="The hyperbolic sine.",
    formula="sinh(x)",
    gradient="dx = g * cosh(x)",
    scales=Scales(reach=((-700.0, 700.0),)),
)
unary(
    "cosh",
    np.cosh,
    lambda xp, g, y, x: g * xp.sinh(x),
    scalar="cosh({0})",
    analytic=True,
    onnx="Cosh",
    summary="The hyperbolic cosine.",
    formula="cosh(x)",
    gradient="dx = g * sinh(x)",
    scales=Scales(reach=((-700.0, 700.0),)),
)
unary(
    "asinh",
    np.arcsinh,
    lambda xp, g, y, x: g / xp.hypot(1.0, x),
    scalar="asinh({0})",
    analytic=True,
    onnx="Asinh",
    summary="The inverse of sinh.",
    formula="asinh(x)",
    gradient="dx = g / sqrt(1 + x**2)",
    aliases=("arcsinh",),
    code="np.arcsinh({0})",
    scales=Scales(reach=((-1e300, 1e300),)),
)
unary(
    "acosh",
    np.arccosh,
    lambda xp, g, y, x: g / (xp.sqrt(x - 1.0) * xp.sqrt(x + 1.0)),
    scalar="acosh({0})",
    analytic=True,
    onnx="Acosh",
    summary="The inverse of cosh, for inputs of at least 1.",
    formula="acosh(x)",
    gradient="dx = g / sqrt(x**2 - 1)",
    interval=(1.3, 3.0),
    aliases=("arccosh",),
    code="np.arccosh({0})",
    scales=Scales(reach=((1.0, 1e300),), near=(1.0,)),
)
unary(
    "atanh",
    np.arctanh,
    lambda xp, g, y, x: g / xp.one_minus_square(x),
    scalar="atanh({0})",
    analytic=True,
    onnx="Atanh",
    summary="The inverse of tanh, for inputs between -1 and 1.",
    formula="atanh(x)",
    gradient="dx = g / (1 - x**2)",
    interval=(-0.8, 0.8),
    aliases=("arctanh",),
    code="np.arctanh({0})",
    scales=Scales(reach=((-1.0, 1.0),), near=(-1.0, 1.0)),
)


def _one_minus_square(x: Any) -> Any:
    return (1.0 - x) * (1.0 + x)


unary(
    "one_minus_square",
    _one_minus_square,
    lambda xp, g, y, x: g * (-2.0 * x),
    scalar="(1.0 - {0}) * (1.0 + {0})",
    onnx=lambda xp, x: (1.0 - x) * (1.0 + x),
    summary="1 - x**2 with all digits near -1 and 1: what slopes of asin, acos and atanh have.",
    formula="1 - x**2, computed as (1 - x) * (1 + x)",
    gradient="dx = -g * 2 * x",
    code="1.0 - {0} ** 2",
    scales=Scales(reach=((-1.0, 1.0),), near=(-1.0, 1.0)),
)


def _from_c(function: Callable[[float], float]) -> Callable[[Any], Any]:
    """A function of the C library that NumPy lacks, element by element."""
    every = np.frompyfunc(function, 1, 1)

    def forward(x: Any) -> Any:
        array = np.asarray(x)
        kind = array.dtype if array.dtype.kind == "f" else np.float64
        return np.asarray(every(array), dtype=kind)[()]

    return forward


erfc = _from_c(math.erfc)

unary(
    "erf",
    _from_c(math.erf),
    lambda xp, g, y, x: g * (_TWO_OVER_ROOT_PI * xp.gaussian(x)),
    scalar="erf({0})",
    onnx="Erf",
    summary="The error function.",
    formula="erf(x)",
    gradient="dx = g * 2 / sqrt(π) * exp(-x**2)",
    code="np.vectorize(math.erf)({0})",
    scales=Scales(reach=((-27.0, 27.0),)),
)
unary(
    "erfc",
    erfc,
    lambda xp, g, y, x: g * (-_TWO_OVER_ROOT_PI * xp.gaussian(x)),
    scalar="erfc({0})",
    onnx=lambda xp, x: 1.0 - xp.erf(x),
    summary="1 - erf(x), with all digits where that is small.",
    formula="1 - erf(x)",
    gradient="dx = -g * 2 / sqrt(π) * exp(-x**2)",
    code="np.vectorize(math.erfc)({0})",
    scales=Scales(reach=((-6.0, 26.0),)),
)


def _gaussian(x: Any, *, scale: float = 1.0) -> Any:
    """exp(-scale * x**2), without the digits that rounding x**2 costs far from 0."""
    wide = np.asarray(x, np.float64)
    head = np.where(np.abs(wide) < 1e6, np.round(wide * 64.0) / 64.0, 0.0)  # its square is exact
    rest = (wide - head) * (wide + head)
    result = np.exp(-scale * head * head) * np.exp(-scale * rest)
    return result.astype(np.result_type(x, np.float32), copy=False)[()]


unary(
    "gaussian",
    _gaussian,
    lambda xp, g, y, x, scale: g * ((-2.0 * scale) * x * y),
    attributes={"scale": Attribute("float", 1.0, "how fast it falls")},
    scalar="exp(-{scale} * (h := round({0} * 64.0) / 64.0 if abs({0}) < 1e6 else 0.0) * h)"
    " * exp(-{scale} * (({0} - h) * ({0} + h)))",
    onnx=lambda xp, x, scale: xp.exp(-scale * (x * x)),
    summary="The bell curve exp(-scale * x**2).",
    formula="exp(-scale * x**2)",
    gradient="dx = -g * 2 * scale * x * y",
    code="np.exp(-{scale} * {0} ** 2)",
    scales=Scales(reach=((-26.0, 26.0),)),
)
unary(
    "cbrt",
    np.cbrt,
    lambda xp, g, y, x: g / (3.0 * (y * y)),
    onnx=lambda xp, x: xp.sign(x) * xp.pow(xp.abs(x), 1.0 / 3.0),
    scalar="cbrt({0})",
    scales=Scales(reach=((-1e150, 1e150),)),
    summary="The cube root, of negative numbers too.",
    formula="x**(1/3)",
    gradient="dx = g / (3 * y**2)",
    kinks="The slope at 0 is inf.",
    interval=(0.3, 3.0),
)

_SINC_NEAR = 0.25
_SINC_SLOPE = [
    (-1) ** k * math.pi ** (2 * k) * 2 * k / math.factorial(2 * k + 1) for k in range(1, 11)
]


def _sinc_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    near = xp.less(xp.abs(x), _SINC_NEAR)
    small, large = xp.where(near, x, 0.0), xp.where(near, 1.0, x)
    square, series = small * small, _SINC_SLOPE[-1]
    for weight in _SINC_SLOPE[-2::-1]:
        series = series * square + weight
    u = math.pi * large
    # From x itself, not from y: a slope's slope has to know that y depends on it.
    far = (xp.cos(u) - xp.sin(u) / u) / large
    return g * xp.where(near, small * series, far)


def _sinc_onnx(xp: Any, x: Any) -> Any:
    zero = xp.equal(x, 0.0)
    u = math.pi * xp.where(zero, 1.0, x)
    return xp.where(zero, 1.0, xp.sin(u) / u)


unary(
    "sinc",
    np.sinc,
    _sinc_rule,
    onnx=_sinc_onnx,
    scalar="1.0 if {0} == 0.0 else sin(u := 3.141592653589793 * {0}) / u",
    scales=Scales(reach=((-100.0, 100.0),), near=(0.25, -0.25, 1.0)),
    summary="sin(πx) / (πx), and 1 at 0.",
    formula="sin(πx) / (πx)",
    gradient="dx = g * (cos(πx) - y) / x, by its series near 0",
)
for _name, _factor, _from, _to in (
    ("deg2rad", math.pi / 180.0, "degrees", "radians"),
    ("rad2deg", 180.0 / math.pi, "radians", "degrees"),
):
    REGISTRY.register(
        Operator(
            name=_name,
            group="unary",
            inputs=("x",),
            numbers="numeric",
            summary=f"An angle in {_from} as {_to}.",
            infer=lambda x: TensorSpec(x.shape, floating(x.dtype)),
            expand=lambda xp, x, factor=_factor: x * factor,
            numpy=(Spelling("x out"),),
            aliases=(_to,),
            formula="x * π / 180" if _to == "radians" else "x * 180 / π",
            gradient_formula="dx = g times the same factor",
            pattern="scaler",
            domain=Domain(examples=(Example(((),)), Example(((2, 3),)))),
        )
    )
