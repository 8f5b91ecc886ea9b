"""The nonlinearities of neural networks, element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.operators._define import unary
from service.engine.shapes import same


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) without overflow on either side."""
    e = np.exp(-np.abs(x))
    return np.where(np.greater_equal(x, 0), 1.0, e) / (1.0 + e)


def _sigmoid_float(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


unary(
    "sigmoid",
    sigmoid,
    # y * (1 - y) loses all digits from x = 40 on; this keeps them.
    lambda xp, g, y, x: g * (y * xp.sigmoid(-x)),
    scalar=_sigmoid_float,
    group="activation",
    summary="The logistic function.",
    formula="1 / (1 + exp(-x))",
    gradient="dx = g * y * (1 - y), computed as y * sigmoid(-x)",
    code="1.0 / (1.0 + np.exp(-{0}))",
)
unary(
    "relu",
    lambda x: np.maximum(x, 0),
    lambda xp, g, y, x: xp.where(xp.greater(x, 0.0), g, 0.0),
    scalar=lambda x: 0.0 if x <= 0.0 else x,
    group="activation",
    infer=same,
    summary="The positive part; a router that passes the gradient on or stops it.",
    formula="max(x, 0)",
    gradient="dx = g where x > 0, else 0",
    kinks="The slope at 0 is 0.",
    avoid=(0.0,),
    pattern="router",
    code="np.maximum({0}, 0)",
)
unary(
    "softplus",
    lambda x: np.logaddexp(0.0, x).astype(np.result_type(x, np.float32), copy=False),
    lambda xp, g, y, x: g * xp.sigmoid(x),
    scalar=lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    group="activation",
    summary="A smooth relu.",
    formula="log(1 + exp(x))",
    gradient="dx = g * sigmoid(x)",
    code="np.logaddexp(0.0, {0})",
)
