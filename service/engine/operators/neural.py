"""Layers of neural networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.operators._batch import shift_axis
from service.engine.errors import OperatorError
from service.engine.registry import REGISTRY, Attribute, Domain, Example, Operator, TensorSpec
from service.engine.shapes import checked_axis, floating

AXIS = {"axis": Attribute("axis", -1, "the axis of the classes")}
EXAMPLES = (
    Example(((3, 4),)),
    Example(((3, 4),), {"axis": 0}),
    Example(((5,),)),
)


def _infer(x: TensorSpec, *, axis: int) -> TensorSpec:
    checked_axis(axis, x.ndim)
    if x.shape[axis] == 0:
        raise OperatorError("the axis is empty", shapes=(x.shape,))
    return TensorSpec(x.shape, floating(x.dtype))


def log_softmax(x: Any, *, axis: int) -> Any:
    """x - log Σ exp(x) along `axis`, without overflow."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def softmax(x: Any, *, axis: int) -> Any:
    """exp(x) / Σ exp(x) along `axis`, without overflow."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


REGISTRY.register(
    Operator(
        name="softmax",
        batch=shift_axis("softmax"),
        group="neural network",
        inputs=("x",),
        summary="Positive shares that sum to 1 along an axis.",
        infer=_infer,
        forward=softmax,
        vjp=(lambda xp, g, y, x, axis: y * (g - xp.sum(g * y, axis=axis, keepdims=True)),),
        attributes=AXIS,
        flops=lambda x, axis: 5 * x.size,
        formula="exp(x) / Σ exp(x)",
        gradient_formula="dx = y * (g - Σ g * y)",
        domain=Domain(examples=EXAMPLES),
    )
)
REGISTRY.register(
    Operator(
        name="log_softmax",
        batch=shift_axis("log_softmax"),
        group="neural network",
        inputs=("x",),
        summary="The logarithm of softmax, without overflow.",
        infer=_infer,
        forward=log_softmax,
        vjp=(lambda xp, g, y, x, axis: g - xp.exp(y) * xp.sum(g, axis=axis, keepdims=True),),
        attributes=AXIS,
        flops=lambda x, axis: 5 * x.size,
        formula="x - log Σ exp(x)",
        gradient_formula="dx = g - softmax(x) * Σ g",
        domain=Domain(examples=EXAMPLES),
    )
)
