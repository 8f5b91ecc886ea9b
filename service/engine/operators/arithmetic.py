"""Sums, products, quotients and powers, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.operators._define import binary, unary
from service.engine.registry import Argument, Domain, Scales
from service.engine.shapes import elementwise, elementwise_float, same

binary(
    "add",
    np.add,
    (lambda xp, g, y, a, b: g, lambda xp, g, y, a, b: g),
    infer=elementwise,
    scalar="{0} + {1}",
    analytic=True,
    sign=("+", "+{}", "+{}"),
    onnx="Add",
    summary="The sum; distributes the upstream gradient to both inputs.",
    formula="a + b",
    gradient="da = g, db = g",
    pattern="distributor",
    code="{0} + {1}",
)
binary(
    "subtract",
    np.subtract,
    (lambda xp, g, y, a, b: g, lambda xp, g, y, a, b: -g),
    infer=elementwise,
    scalar="{0} - {1}",
    analytic=True,
    sign=("−", "{}−", "−{}"),
    onnx="Sub",
    summary="The difference.",
    formula="a - b",
    gradient="da = g, db = -g",
    pattern="distributor",
    code="{0} - {1}",
    aliases=("sub",),
)
binary(
    "multiply",
    np.multiply,
    (lambda xp, g, y, a, b: g * b, lambda xp, g, y, a, b: g * a),
    infer=elementwise,
    scalar="{0} * {1}",
    analytic=True,
    sign=("×", "×{}", "×{}"),
    onnx="Mul",
    summary="The product; each input gets the upstream gradient times the other one.",
    formula="a * b",
    gradient="da = g * b, db = g * a",
    pattern="switcher",
    code="{0} * {1}",
    aliases=("mul",),
)
binary(
    "divide",
    np.divide,
    (lambda xp, g, y, a, b: g / b, lambda xp, g, y, a, b: -(g * y / b)),
    infer=elementwise_float,
    scalar="{0} / {1}",
    analytic=True,
    sign=("/", "{}/x", "/{}"),
    onnx="Div",
    summary="The quotient; IEEE 754 at zero.",
    formula="a / b",
    gradient="da = g / b, db = -g * y / b",
    pattern="switcher",
    code="{0} / {1}",
    aliases=("div",),
    domain=Domain(ranges=((-2.0, 2.0), (0.5, 2.0))),
    scales=Scales(reach=((-1e100, 1e100),)),
)
unary(
    "negative",
    np.negative,
    lambda xp, g, y, x: -g,
    group="arithmetic",
    infer=same,
    scalar="-{0}",
    analytic=True,
    sign="×(−1)",
    onnx="Neg",
    summary="The input with its sign turned.",
    formula="-x",
    gradient="dx = -g",
    pattern="scaler",
    code="-{0}",
    aliases=("neg",),
)
unary(
    "reciprocal",
    lambda x: np.reciprocal(np.asarray(x, dtype=np.result_type(x, np.float32))),
    lambda xp, g, y, x: -(g * y * y),
    group="arithmetic",
    scalar="1.0 / {0}",
    analytic=True,
    sign="1/x",
    onnx="Reciprocal",
    summary="One over the input.",
    formula="1 / x",
    gradient="dx = -g / x**2",
    interval=(0.5, 2.0),
    code="1.0 / {0}",
    scales=Scales(reach=((-1e100, 1e100),)),
)


def constant_value(x: Any) -> float | None:
    """The number that `x` is known to be while a rule is run or traced, else None."""
    if isinstance(x, float):
        return float(x)
    known = getattr(x, "known", None)
    if known is not None:
        return float(known)
    if isinstance(x, np.ndarray | np.generic) and x.ndim == 0:
        return float(x)
    return None


def _pow_base(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    exponent = constant_value(b)
    if exponent is None:
        zero = xp.equal(b, 0.0)
        slope = b * xp.pow(a, xp.where(zero, 1.0, b - 1.0))
        return xp.where(zero, 0.0, g * slope)
    if exponent == 0.0:
        return 0.0
    if exponent == 1.0:
        return g
    if exponent == 2.0:
        return g * (2.0 * a)
    return g * (exponent * xp.pow(a, exponent - 1.0))


def _pow_exponent(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    flat = xp.logical_and(xp.equal(a, 0.0), xp.greater_equal(b, 0.0))
    return xp.where(flat, 0.0, g * y * xp.log(xp.where(flat, 1.0, a)))


def _pow_code(a: Argument, b: Argument) -> str:
    whole = b.number is not None and b.number.is_integer() and abs(b.number) < 1e6
    return f"{a} ** {int(b.number) if b.number is not None and whole else b}"


binary(
    "pow",
    np.power,
    (_pow_base, _pow_exponent),
    infer=elementwise_float,
    scalar="pow({0}, {1})",
    analytic=True,
    numbers="mixed",
    sign=("^", "{}ˣ", "^{}"),
    onnx="Pow",
    summary="The first input to the power of the second.",
    formula="a ** b",
    gradient="da = g * b * a**(b - 1), db = g * y * log(a)",
    kinks="a**0 has slope 0 everywhere, at 0 too; d/db is nan for a negative base and 0 at base 0 "
    "with b >= 0.",
    code=_pow_code,
    aliases=("power",),
    domain=Domain(ranges=((0.5, 2.0), (-2.0, 2.0))),
    scales=Scales(
        reach=((1e-6, 1e6), (-4.0, 4.0)),
        near=(1.0,),
    ),
)
binary(
    "remainder",
    np.remainder,
    # The quotient that the remainder was taken with: a / b rounds, to 10 for 1 and 0.1.
    (lambda xp, g, y, a, b: g, lambda xp, g, y, a, b: -(g * xp.round((a - y) / b))),
    infer=elementwise,
    scalar="{0} % {1}",
    branch=lambda y, a, b: np.floor(a / b),
    onnx=lambda xp, a, b: a - b * xp.floor(a / b),
    summary="What is left of a when whole multiples of b are taken away; the sign of b.",
    formula="a - b * floor(a / b)",
    gradient="da = g, db = -g * floor(a / b)",
    kinks="The jumps at whole multiples are passed over.",
    code="{0} % {1}",
    aliases=("mod",),
    domain=Domain(ranges=((0.2, 0.8), (1.0, 2.0))),
)


def _hypot_rule(xp: Any, g: Any, side: Any, other: Any) -> Any:
    """side / y by the ratio of the smaller to the larger: its slope has all digits too."""
    long = xp.greater(xp.abs(side), xp.abs(other))
    large = xp.where(long, side, other)
    some = xp.not_equal(large, 0.0)
    ratio = xp.where(some, xp.where(long, other, side), 0.0) / xp.where(some, large, 1.0)
    share = g / xp.sqrt(1.0 + ratio * ratio)
    return xp.where(long, share * xp.sign(side), share * ratio * xp.sign(other))


binary(
    "hypot",
    np.hypot,
    (
        lambda xp, g, y, a, b: _hypot_rule(xp, g, a, b),
        lambda xp, g, y, a, b: _hypot_rule(xp, g, b, a),
    ),
    infer=elementwise_float,
    scalar="hypot({0}, {1})",
    onnx=lambda xp, a, b: xp.sqrt(a * a + b * b),
    summary="The length of the hypotenuse, without overflow.",
    formula="sqrt(a**2 + b**2)",
    gradient="da = g * a / y, db = g * b / y",
    kinks="The slope where both are 0 is 0.",
    code="np.hypot({0}, {1})",
    domain=Domain(ranges=((0.5, 2.0), (0.5, 2.0))),
    scales=Scales(reach=((-1e100, 1e100),)),
)
