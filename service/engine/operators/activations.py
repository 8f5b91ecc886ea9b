"""The nonlinearities of neural networks, element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.operators._define import unary
from service.engine.operators.unary import erfc
from service.engine.registry import Attribute, Scales
from service.engine.shapes import same


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)): where the exponential overflows, the value is no normal number."""
    return 1.0 / (1.0 + np.exp(-x))


unary(
    "sigmoid",
    sigmoid,
    # y * (1 - y) loses all digits from x = 40 on; this keeps them.
    lambda xp, g, y, x: g * xp.logistic_density(x),
    scalar="1.0 / (1.0 + exp(-{0}))",
    group="activation",
    analytic=lambda x: 1.0 / (1.0 + np.exp(-x)),
    sign="σ",
    onnx="Sigmoid",
    summary="The logistic function.",
    formula="1 / (1 + exp(-x))",
    gradient="dx = g * y * (1 - y), computed as logistic_density(x)",
    code="1.0 / (1.0 + np.exp(-{0}))",
    scales=Scales(reach=((-700.0, 700.0),)),
)


def _logistic_density(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return e / np.square(1.0 + e)


unary(
    "logistic_density",
    _logistic_density,
    # y * (1 - 2 * sigmoid(x)) loses its digits near 0.
    lambda xp, g, y, x: -(g * (y * xp.tanh(0.5 * x))),
    scalar="(e := exp(-abs({0}))) / ((1.0 + e) * (1.0 + e))",
    group="activation",
    onnx=lambda xp, x: xp.sigmoid(x) * xp.sigmoid(-x),
    summary="The slope of the logistic function.",
    formula="sigmoid(x) * sigmoid(-x)",
    gradient="dx = -g * y * tanh(x / 2)",
    code="0.25 / np.cosh({0} / 2.0) ** 2",
    scales=Scales(reach=((-700.0, 700.0),)),
)
unary(
    "relu",
    lambda x: np.maximum(x, 0),
    # The sign is 1 where it is looked at, but NaN for NaN.
    lambda xp, g, y, x: xp.where(xp.less_equal(x, 0.0), 0.0, g * xp.sign(x)),
    scalar="0.0 if {0} <= 0.0 else {0}",
    group="activation",
    infer=same,
    branch=lambda y, x, **_: np.sign(x),
    onnx="Relu",
    summary="The positive part; a router that passes the gradient on or stops it.",
    formula="max(x, 0)",
    gradient="dx = g where x > 0, else 0",
    kinks="The slope at 0 is 0.",
    avoid=(0.0,),
    pattern="router",
    code="np.maximum({0}, 0)",
    scales=Scales(reach=((-1e300, 1e300),), near=(0.0,)),
)
unary(
    "softplus",
    lambda x: np.logaddexp(0.0, x).astype(np.result_type(x, np.float32), copy=False),
    lambda xp, g, y, x: g * xp.sigmoid(x),
    scalar="(0.0 if {0} <= 0.0 else {0}) + log1p(exp(-abs({0})))",
    group="activation",
    analytic=lambda x: np.log(1.0 + np.exp(x)),
    onnx="Softplus",
    summary="A smooth relu.",
    formula="log(1 + exp(x))",
    gradient="dx = g * sigmoid(x)",
    code="np.logaddexp(0.0, {0})",
    scales=Scales(reach=((-700.0, 700.0),)),
)
unary(
    "leaky_relu",
    lambda x, *, alpha: np.where(np.greater(x, 0), x, alpha * x),
    lambda xp, g, y, x, alpha: xp.where(
        xp.greater(x, 0.0), g, g * xp.where(xp.equal(x, x), alpha, math.nan)
    ),
    scalar="{0} if {0} > 0.0 else {alpha} * {0}",
    group="activation",
    attributes={"alpha": Attribute("float", 0.01, "the slope on the negative side")},
    branch=lambda y, x, **_: np.sign(x),
    onnx="LeakyRelu",
    summary="relu with a small slope on the negative side.",
    formula="x where x > 0, else alpha * x",
    gradient="dx = g where x > 0, else alpha * g",
    kinks="The slope at 0 is alpha.",
    avoid=(0.0,),
    pattern="router",
    code="np.where({0} > 0, {0}, {alpha} * {0})",
    scales=Scales(reach=((-1e300, 1e300),), near=(0.0,)),
)


def _elu(x: Any, *, alpha: float) -> Any:
    return np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0)))


unary(
    "elu",
    _elu,
    lambda xp, g, y, x, alpha: xp.where(
        xp.greater(x, 0.0), g, g * (alpha * xp.exp(xp.minimum(x, 0.0, ties="first")))
    ),
    scalar="{0} if {0} > 0.0 else {alpha} * expm1({0})",
    group="activation",
    attributes={"alpha": Attribute("float", 1.0, "the negative limit")},
    branch=lambda y, x, **_: np.sign(x),
    onnx="Elu",
    summary="Exponential linear unit.",
    formula="x where x > 0, else alpha * (exp(x) - 1)",
    gradient="dx = g where x > 0, else g * alpha * exp(x)",
    kinks="The slope at 0 is alpha, and the second derivative too.",
    avoid=(0.0,),
    code="np.where({0} > 0, {0}, {alpha} * np.expm1(np.minimum({0}, 0)))",
    scales=Scales(reach=((-700.0, 1e300),), near=(0.0,)),
)

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805

unary(
    "selu",
    lambda x: _SELU_SCALE * _elu(x, alpha=_SELU_ALPHA),
    lambda xp, g, y, x: xp.where(
        xp.greater(x, 0.0),
        g * _SELU_SCALE,
        g * (_SELU_SCALE * _SELU_ALPHA * xp.exp(xp.minimum(x, 0.0, ties="first"))),
    ),
    scalar=f"{_SELU_SCALE} * ({{0}} if {{0}} > 0.0 else {_SELU_ALPHA} * expm1({{0}}))",
    group="activation",
    branch=lambda y, x, **_: np.sign(x),
    onnx="Selu",
    summary="elu scaled so that activations keep mean 0 and variance 1.",
    formula="scale * elu(x, alpha)",
    gradient="dx = g * scale where x > 0, else g * scale * alpha * exp(x)",
    kinks="The slope at 0 is scale * alpha, and the second derivative too.",
    avoid=(0.0,),
    code="1.0507009873554805 * np.where({0} > 0, {0}, "
    "1.6732632423543772 * np.expm1(np.minimum({0}, 0)))",
    scales=Scales(reach=((-700.0, 1e300),), near=(0.0,)),
)


_ROOT_HALF = math.sqrt(0.5)
_ROOT_HALF_HIGH, _ROOT_HALF_LOW = 0.7071067839860916, -2.799544089368687e-09
_ROOT_2_OVER_PI = math.sqrt(2.0 / math.pi)
_CUBIC = 0.044715


def _tanh_argument(x: Any) -> Any:
    return _ROOT_2_OVER_PI * (x + _CUBIC * (x * x * x))


def _share_below(x: Any) -> Any:
    """The share of a normal distribution below x, with all digits in the lower tail."""
    wide = np.asarray(x, np.float64)
    z = -_ROOT_HALF * wide
    # What rounding took from z is worth many digits of erfc far out.
    lost = np.where(np.abs(z) < 40.0, _lost(wide, z), 0.0)
    return 0.5 * erfc(z) * (1.0 - 2.0 * np.maximum(z, 0.0) * lost)


def _lost(x: Any, z: Any) -> Any:
    """-x / sqrt(2) - z, where z is that product rounded."""
    high = np.round(x * 2.0**16) * 2.0**-16
    total = -(high * _ROOT_HALF_HIGH) - z
    return total - high * _ROOT_HALF_LOW - (x - high) * _ROOT_HALF


def _gelu(x: Any, *, approximate: str) -> Any:
    if approximate == "tanh":
        return x * sigmoid(2.0 * _tanh_argument(x))
    return (x * _share_below(x)).astype(np.result_type(x, np.float32), copy=False)[()]


def _gelu_code(x: str, *, approximate: str) -> str:
    if approximate == "tanh":
        cubic = f"{x} + {_CUBIC} * {x} ** 3"
        return f"0.5 * {x} * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * ({cubic})))"
    return f"0.5 * {x} * np.vectorize(math.erfc)(-{x} / np.sqrt(2.0))"


def _gelu_scalar(x: str, *, approximate: str) -> str:
    if approximate == "tanh":
        inner = f"{_ROOT_2_OVER_PI} * ({x} + {_CUBIC} * ({x} * {x} * {x}))"
        return f"{x} * (1.0 / (1.0 + exp(-(2.0 * ({inner})))))"
    high = f"(h := round({x} * {2.0**16}) * {2.0**-16}) * {_ROOT_HALF_HIGH}"
    lost = f"-({high}) - z - h * {_ROOT_HALF_LOW} - ({x} - h) * {_ROOT_HALF}"
    tail = f"1.0 - 2.0 * z * ({lost}) if 0.0 < z < 40.0 else 1.0"
    return f"{x} * (0.5 * erfc(z := -{_ROOT_HALF} * {x}) * ({tail}))"


def _gelu_rule(xp: Any, g: Any, y: Any, x: Any, approximate: str) -> Any:
    if approximate == "tanh":
        twice = 2.0 * _tanh_argument(x)
        inner = (2.0 * _ROOT_2_OVER_PI) * (1.0 + 3.0 * _CUBIC * (x * x))
        return g * (xp.sigmoid(twice) + x * (xp.logistic_density(twice) * inner))
    share = 0.5 * xp.erfc(-_ROOT_HALF * x)
    density = xp.gaussian(x, scale=0.5) * (_ROOT_HALF / math.sqrt(math.pi))
    return g * (share + x * density)


unary(
    "gelu",
    _gelu,
    _gelu_rule,
    scalar=_gelu_scalar,
    code=_gelu_code,
    group="activation",
    attributes={
        "approximate": Attribute(
            "choice", "none", "exact, or the tanh formula", choices=("none", "tanh")
        )
    },
    onnx="Gelu",
    summary="The input times the share of a normal distribution below it.",
    formula="x * (1 + erf(x / sqrt(2))) / 2",
    gradient="dx = g * (Φ(x) + x * φ(x))",
    scales=Scales(reach=((-37.0, 1000.0),)),
)
unary(
    "silu",
    lambda x: x * sigmoid(x),
    lambda xp, g, y, x: g * (xp.sigmoid(x) + y * xp.sigmoid(-x)),
    scalar="{0} * (1.0 / (1.0 + exp(-{0})))",
    group="activation",
    aliases=("swish",),
    analytic=lambda x: x / (1.0 + np.exp(-x)),
    onnx=lambda xp, x: x * xp.sigmoid(x),
    summary="The input times its sigmoid.",
    formula="x * sigmoid(x)",
    gradient="dx = g * (s + y * (1 - s)), s = sigmoid(x)",
    code="{0} / (1.0 + np.exp(-{0}))",
    scales=Scales(reach=((-700.0, 1000.0),)),
)


def _hard_sigmoid_scalar(x: str, *, alpha: str, beta: str) -> str:
    line = f"({alpha} * {x} + {beta})"
    return f"1.0 if {line} > 1.0 else 0.0 if {line} < 0.0 else {line}"


unary(
    "hard_sigmoid",
    lambda x, *, alpha, beta: np.clip(alpha * x + beta, 0.0, 1.0),
    lambda xp, g, y, x, alpha, beta: xp.where(
        xp.logical_or(xp.less_equal(y, 0.0), xp.greater_equal(y, 1.0)),
        0.0,
        g * xp.where(xp.equal(x, x), alpha, math.nan),
    ),
    scalar=_hard_sigmoid_scalar,
    group="activation",
    attributes={
        "alpha": Attribute("float", 0.2, "the slope in the middle"),
        "beta": Attribute("float", 0.5, "the value at 0"),
    },
    branch=lambda y, x, **_: np.sign(y) + (y >= 1),
    onnx="HardSigmoid",
    summary="A straight line clipped to 0 and 1.",
    formula="clip(alpha * x + beta, 0, 1)",
    gradient="dx = g * alpha inside, 0 outside",
    kinks="The slope at both corners is 0.",
    interval=(-2.0, 2.0),
    pattern="router",
    code="np.clip({alpha} * {0} + {beta}, 0.0, 1.0)",
    scales=Scales(reach=((-1000000.0, 1000000.0),), near=(-2.5, 2.5)),
)


def _logit(x: Any) -> Any:
    x = np.asarray(x, np.result_type(x, np.float32))
    # Near 1/2 the two logarithms cancel; 2x - 1 is exact there.
    middle = 2.0 * np.arctanh(np.clip(2.0 * x - 1.0, -0.6, 0.6))
    return np.where(np.abs(x - 0.5) < 0.25, middle, np.log(x) - np.log1p(-x))[()]


unary(
    "logit",
    _logit,
    lambda xp, g, y, x: g / (x * (1.0 - x)),
    group="activation",
    onnx=lambda xp, x: xp.log(x / (1.0 - x)),
    scalar="2.0 * atanh(2.0 * {0} - 1.0) if abs({0} - 0.5) < 0.25 else log({0}) - log1p(-{0})",
    scales=Scales(reach=((1e-30, 0.5),), near=(0.5,)),
    summary="The inverse of sigmoid, for inputs between 0 and 1.",
    formula="log(x / (1 - x))",
    gradient="dx = g / (x * (1 - x))",
    interval=(0.1, 0.9),
    code="np.log({0}) - np.log1p(-{0})",
)
unary(
    "log_sigmoid",
    lambda x: -np.logaddexp(0.0, np.negative(x)).astype(np.result_type(x, np.float32), copy=False),
    lambda xp, g, y, x: g * xp.sigmoid(-x),
    group="activation",
    onnx=lambda xp, x: -xp.softplus(-x),
    scalar="({0} if {0} < 0.0 else 0.0) - log1p(exp(-abs({0})))",
    scales=Scales(reach=((-700.0, 700.0),)),
    summary="The logarithm of sigmoid, without overflow.",
    formula="-log(1 + exp(-x))",
    gradient="dx = g * sigmoid(-x)",
    code="-np.logaddexp(0.0, -{0})",
)
unary(
    "softsign",
    lambda x: x / (1.0 + np.abs(x)),
    lambda xp, g, y, x: g / xp.square(1.0 + xp.abs(x)),
    group="activation",
    onnx="Softsign",
    scalar="{0} / (1.0 + abs({0}))",
    scales=Scales(reach=((-1e10, 1e10),)),
    summary="A slow sigmoid between -1 and 1.",
    formula="x / (1 + |x|)",
    gradient="dx = g / (1 + |x|)**2",
    avoid=(0.0,),
    code="{0} / (1.0 + np.abs({0}))",
)
