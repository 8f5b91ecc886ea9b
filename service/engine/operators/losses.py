"""Losses, with a reduction over the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.operators._batch import native
from service.engine.errors import OperatorError
from service.engine.registry import REGISTRY, Attribute, Domain, Example, Operator, TensorSpec
from service.engine.shapes import floating

REDUCTION = Attribute(
    "choice",
    "mean",
    "over the batch: its mean, its sum, or no reduction",
    choices=("mean", "sum", "none"),
)


def reduce_loss(xp: Any, losses: Any, reduction: str) -> Any:
    """`losses` reduced over all axes as `reduction` says."""
    if reduction == "mean":
        return xp.mean(losses)
    return xp.sum(losses) if reduction == "sum" else losses


def one_hot(labels: Any, *, classes: int, dtype: str = "float64") -> Any:
    """1.0 at the label's place along a new last axis; OperatorError for a label out of range."""
    index = np.asarray(labels).astype(np.int64)
    if not np.array_equal(index, labels) or np.any(index < 0) or np.any(index >= classes):
        raise OperatorError(f"labels must be integers from 0 to {classes - 1}", code="dtype")
    return (index[..., None] == np.arange(classes)).astype(dtype)


REGISTRY.register(
    Operator(
        name="one_hot",
        batch=native("one_hot"),
        group="indexing",
        inputs=("labels",),
        summary="Rows of zeros with a one at the label's place.",
        infer=lambda labels, *, classes, dtype: TensorSpec((*labels.shape, classes), dtype),
        forward=one_hot,
        vjp=(None,),
        attributes={
            "classes": Attribute("int", doc="how many classes there are", minimum=1),
            "dtype": Attribute(
                "choice", "float64", "of the result", choices=("float64", "float32")
            ),
        },
        formula="[labels == c for c in classes]",
        gradient_formula="none",
        differentiable=False,
        code="np.eye({classes})[{0}]",
        domain=Domain(examples=(Example(((4,),), {"classes": 3}, ("int64",), 3),)),
    )
)


def _cross_entropy(xp: Any, logits: Any, labels: Any, *, reduction: str) -> Any:
    target = labels
    if labels.ndim < logits.ndim:
        target = xp.one_hot(labels, classes=logits.shape[-1], dtype=str(logits.dtype))
    losses = -xp.sum(target * xp.log_softmax(logits, axis=-1), axis=-1)
    return reduce_loss(xp, losses, reduction)


def _cross_entropy_infer(logits: TensorSpec, labels: TensorSpec, *, reduction: str) -> TensorSpec:
    if logits.ndim == 0 or labels.shape not in (logits.shape, logits.shape[:-1]):
        raise OperatorError(
            f"logits {logits.shape} want labels of shape {logits.shape[:-1]} "
            f"or probabilities of their own shape, not {labels.shape}",
            shapes=(logits.shape, labels.shape),
        )
    shape = logits.shape[:-1] if reduction == "none" else ()
    return TensorSpec(shape, floating(logits.dtype))


REGISTRY.register(
    Operator(
        name="cross_entropy",
        group="loss",
        inputs=("logits", "labels"),
        summary="Softmax cross-entropy from logits; labels are class numbers or probabilities.",
        infer=_cross_entropy_infer,
        expand=_cross_entropy,
        attributes={"reduction": REDUCTION},
        formula="-log softmax(logits)[label]",
        gradient_formula="dlogits = g * (softmax(logits) - onehot), over the batch for a mean",
        domain=Domain(
            examples=(
                Example(((4, 3), (4,)), {}, ("float64", "int64"), 3),
                Example(((4, 3), (4,)), {"reduction": "none"}, ("float64", "int64"), 3),
                Example(((2, 3), (2, 3)), {"reduction": "sum"}),
                Example(((3,), ()), {}, ("float64", "int64"), 3),
            )
        ),
    )
)
