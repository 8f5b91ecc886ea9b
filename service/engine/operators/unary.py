"""Functions of one number, element by element."""

from __future__ import annotations

import math

import numpy as np

from service.engine.operators._define import unary
from service.engine.shapes import same

unary(
    "exp",
    np.exp,
    lambda xp, g, y, x: g * y,
    scalar=math.exp,
    summary="The exponential function.",
    formula="exp(x)",
    gradient="dx = g * y",
)
unary(
    "log",
    np.log,
    lambda xp, g, y, x: g / x,
    scalar=math.log,
    summary="The natural logarithm.",
    formula="log(x)",
    gradient="dx = g / x",
    interval=(0.3, 3.0),
)
unary(
    "sqrt",
    np.sqrt,
    lambda xp, g, y, x: g * 0.5 / y,
    scalar=math.sqrt,
    summary="The square root.",
    formula="sqrt(x)",
    gradient="dx = g / (2 * y)",
    kinks="The slope at 0 is inf.",
    interval=(0.3, 3.0),
)
unary(
    "square",
    np.square,
    lambda xp, g, y, x: g * (2.0 * x),
    infer=same,
    scalar=lambda x: x * x,
    summary="The input times itself.",
    formula="x**2",
    gradient="dx = g * 2 * x",
    code="{0} ** 2",
)
unary(
    "sign",
    np.sign,
    None,
    differentiable=False,
    infer=same,
    scalar=lambda x: x if x != x else float((x > 0) - (x < 0)),
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
    scalar=abs,
    summary="The absolute value.",
    formula="|x|",
    gradient="dx = g * sign(x)",
    kinks="The slope at 0 is 0.",
    avoid=(0.0,),
    aliases=("absolute",),
)
unary(
    "sin",
    np.sin,
    lambda xp, g, y, x: g * xp.cos(x),
    scalar=math.sin,
    summary="The sine of an angle in radians.",
    formula="sin(x)",
    gradient="dx = g * cos(x)",
)
unary(
    "cos",
    np.cos,
    lambda xp, g, y, x: -g * xp.sin(x),
    scalar=math.cos,
    summary="The cosine of an angle in radians.",
    formula="cos(x)",
    gradient="dx = -g * sin(x)",
)
unary(
    "tanh",
    np.tanh,
    # 1 - y**2 loses all digits from x = 20 on; this keeps them.
    lambda xp, g, y, x: g * (4.0 * xp.sigmoid(2.0 * x) * xp.sigmoid(-2.0 * x)),
    scalar=math.tanh,
    summary="The hyperbolic tangent.",
    formula="tanh(x)",
    gradient="dx = g * (1 - y**2), computed as 4 * sigmoid(2x) * sigmoid(-2x)",
)
