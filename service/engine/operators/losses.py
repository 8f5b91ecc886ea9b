"""Losses, with a reduction over the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.errors import OperatorError
from service.engine.operators._batch import native
from service.engine.registry import (
    REGISTRY,
    Attribute,
    Domain,
    Example,
    Operator,
    Scales,
    TensorSpec,
)
from service.engine.shapes import broadcast, floating, promote

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
        analytic=True,
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
        indices=(0,),
        code=lambda labels, *, classes, dtype: (
            f"np.eye({classes}{'' if dtype == 'float64' else f', dtype=np.{dtype}'})[{labels}]"
        ),
        domain=Domain(examples=(Example(((4,),), {"classes": 3}, ("int64",), 3),)),
    )
)


def class_labels(labels: Any, *, classes: int, ignore_index: int | None = None) -> Any:
    """Labels as int64, 0 for those that are ignored; OperatorError for what is none."""
    given = np.asarray(labels)
    index = given.astype(np.int64)
    if ignore_index is not None:
        index = np.where(index == ignore_index, 0, index)
        given = np.where(given == ignore_index, 0, given)
    if not np.array_equal(index, given) or np.any(index < 0) or np.any(index >= classes):
        raise OperatorError(f"labels must be integers from 0 to {classes - 1}", code="dtype")
    return index


def _plain_labels(xp: Any, labels: Any, *, classes: int, ignore_index: int | None) -> Any:
    if ignore_index is None:
        return xp.identity(labels)
    none, first = (np.asarray(one, str(labels.dtype)) for one in (ignore_index, 0))
    return xp.where(xp.equal(labels, none), first, labels)


REGISTRY.register(
    Operator(
        name="class_labels",
        onnx=_plain_labels,
        analytic=True,
        batch=native("class_labels"),
        group="indexing",
        inputs=("labels",),
        summary="Labels that are checked to be class numbers; 0 in place of those to ignore.",
        infer=lambda labels, *, classes, ignore_index: TensorSpec(labels.shape, "int64"),
        forward=class_labels,
        vjp=(None,),
        attributes={
            "classes": Attribute("int", doc="how many classes there are", minimum=1),
            "ignore_index": Attribute("int", None, "a label that stands for none", nullable=True),
        },
        formula="labels, each of 0 to classes - 1",
        gradient_formula="none",
        differentiable=False,
        indices=(0,),
        code=lambda labels, *, classes, ignore_index: (
            f"{labels}"
            if ignore_index is None
            else f"np.where({labels} == {ignore_index}, 0, {labels})"
        ),
        domain=Domain(examples=(Example(((4,),), {"classes": 3}, ("int64",), 3),)),
    )
)


def picked(xp: Any, x: Any, labels: Any) -> Any:
    """The element of each row of `x` that the label names."""
    index = xp.expand_dims(labels, axis=-1)
    return xp.squeeze(xp.take_along_axis(x, index, axis=-1), axis=-1)


_IGNORE = Attribute("int", None, "a label whose rows count for nothing", nullable=True)
_WEIGHT = Attribute("floats", None, "a weight for each class", nullable=True)
_SMOOTHING = Attribute(
    "float", 0.0, "the share of each label that is spread over all classes", minimum=0
)


def _labelled_loss(
    xp: Any,
    logs: Any,
    labels: Any,
    *,
    reduction: str,
    weight: Any,
    ignore_index: int | None,
    label_smoothing: float = 0.0,
) -> Any:
    """Minus the log-probabilities of the labels; a mean is one weighted by the labels' classes."""
    classes = logs.shape[-1]
    index = xp.class_labels(labels, classes=classes, ignore_index=ignore_index)
    losses = -picked(xp, logs, index)
    share: Any = None
    if weight is not None:
        weight = np.asarray(weight, dtype=str(logs.dtype))
        share = xp.take(weight, index, axis=0)
        losses = losses * share
    if label_smoothing:
        every = -xp.sum(logs if weight is None else logs * weight, axis=-1)
        losses = (1.0 - label_smoothing) * losses + (label_smoothing / classes) * every
    if ignore_index is not None:
        counts = xp.not_equal(labels, np.asarray(ignore_index, str(labels.dtype)))
        losses = xp.where(counts, losses, 0.0)
        share = xp.where(counts, 1.0 if share is None else share, 0.0)
    if reduction == "mean" and share is not None:
        return xp.sum(losses) / xp.sum(xp.cast(share, dtype=str(logs.dtype)))
    return reduce_loss(xp, losses, reduction)


def _cross_entropy(xp: Any, logits: Any, labels: Any, **attrs: Any) -> Any:
    logs = xp.log_softmax(logits, axis=-1)
    if labels.ndim < logits.ndim:
        return _labelled_loss(xp, logs, labels, **attrs)
    smoothing, weight = attrs["label_smoothing"], attrs["weight"]
    if smoothing:
        labels = (1.0 - smoothing) * labels + smoothing / logits.shape[-1]
    if weight is not None:
        labels = labels * np.asarray(weight, dtype=str(logits.dtype))
    losses = -xp.sum(labels * logs, axis=-1)
    return reduce_loss(xp, losses, attrs["reduction"])


def _checked_weight(
    x: TensorSpec, weight: Any = None, label_smoothing: float = 0.0, **_: Any
) -> None:
    if weight is not None and len(weight) != x.shape[-1]:
        raise OperatorError(
            f"{len(weight)} weights for {x.shape[-1]} classes", code="attribute", shapes=(x.shape,)
        )
    if not 0.0 <= label_smoothing <= 1.0:
        raise OperatorError("label_smoothing is at least 0 and at most 1", code="attribute")


def _cross_entropy_infer(logits: TensorSpec, labels: TensorSpec, **attrs: Any) -> TensorSpec:
    if logits.ndim == 0 or labels.shape not in (logits.shape, logits.shape[:-1]):
        raise OperatorError(
            f"logits {logits.shape} want labels of shape {logits.shape[:-1]} "
            f"or probabilities of their own shape, not {labels.shape}",
            shapes=(logits.shape, labels.shape),
        )
    _checked_weight(logits, **attrs)
    shape = logits.shape[:-1] if attrs["reduction"] == "none" else ()
    return TensorSpec(shape, floating(logits.dtype))


_LABELS_OF_THREE = ("float64", "int64")

REGISTRY.register(
    Operator(
        name="cross_entropy",
        scales=Scales(parts=("size", "offset")),
        group="loss",
        inputs=("logits", "labels"),
        summary="Softmax cross-entropy from logits; labels are class numbers or probabilities.",
        infer=_cross_entropy_infer,
        expand=_cross_entropy,
        attributes={
            "reduction": REDUCTION,
            "weight": _WEIGHT,
            "ignore_index": _IGNORE,
            "label_smoothing": _SMOOTHING,
        },
        formula="-log softmax(logits)[label]",
        gradient_formula="dlogits = g * (softmax(logits) - onehot), over the batch for a mean",
        domain=Domain(
            examples=(
                Example(((4, 3), (4,)), {}, _LABELS_OF_THREE, 3),
                Example(((4, 3), (4,)), {"reduction": "none"}, _LABELS_OF_THREE, 3),
                Example(((2, 3), (2, 3)), {"reduction": "sum"}),
                Example(((3,), ()), {}, _LABELS_OF_THREE, 3),
                Example(
                    ((4, 3), (4,)),
                    {"weight": [0.5, 1.0, 2.0], "ignore_index": 2, "label_smoothing": 0.1},
                    _LABELS_OF_THREE,
                    3,
                ),
                Example(((2, 3), (2, 3)), {"weight": [0.5, 1.0, 2.0], "label_smoothing": 0.1}),
            )
        ),
    )
)


def _pair_infer(prediction: TensorSpec, target: TensorSpec, **attrs: Any) -> TensorSpec:
    shape = broadcast(prediction.shape, target.shape)
    reduced = attrs["reduction"] != "none"
    return TensorSpec(() if reduced else shape, floating(promote(prediction, target)))


def _huber(xp: Any, prediction: Any, target: Any, *, delta: float, reduction: str) -> Any:
    difference = prediction - target
    size = xp.abs(difference)
    inside = 0.5 * xp.square(difference)
    outside = delta * (size - 0.5 * delta)
    return reduce_loss(xp, xp.where(xp.less_equal(size, delta), inside, outside), reduction)


def _binary_cross_entropy(xp: Any, logits: Any, target: Any, *, reduction: str) -> Any:
    # softplus(logits) - logits * target without a difference of near numbers.
    loss = target * xp.softplus(-logits) + (1.0 - target) * xp.softplus(logits)
    return reduce_loss(xp, loss, reduction)


_PAIR_EXAMPLES = (
    Example(((4, 3), (4, 3))),
    Example(((4,), (4,)), {"reduction": "sum"}),
    Example(((2, 3), (3,)), {"reduction": "none"}),
)


def _pair(
    name: str,
    expand: Any,
    summary: str,
    formula: str,
    gradient: str,
    kinks: str = "",
    ranges: tuple[tuple[float, float], ...] = ((-2.0, -0.1), (0.1, 0.4)),
    **attributes: Attribute,
) -> None:
    """Register a loss of a prediction and a target of shapes that broadcast."""
    REGISTRY.register(
        Operator(
            name=name,
            group="loss",
            inputs=("logits" if name.startswith("binary") else "prediction", "target"),
            summary=summary,
            infer=_pair_infer,
            expand=expand,
            attributes={**attributes, "reduction": REDUCTION},
            formula=formula,
            gradient_formula=gradient,
            kinks=kinks,
            domain=Domain(ranges=ranges, examples=_PAIR_EXAMPLES),
        )
    )


_pair(
    "mse",
    lambda xp, p, t, *, reduction: reduce_loss(xp, xp.square(p - t), reduction),
    "The squared difference.",
    "(p - t)²",
    "dp = g * 2 * (p - t), over n for a mean",
)
_pair(
    "l1",
    lambda xp, p, t, *, reduction: reduce_loss(xp, xp.abs(p - t), reduction),
    "The absolute difference.",
    "|p - t|",
    "dp = g * sign(p - t), over n for a mean",
    kinks="The slope where both are equal is 0.",
)
_pair(
    "huber",
    _huber,
    "Squared for small differences, straight for large ones.",
    "(p - t)² / 2 up to delta, then delta * (|p - t| - delta / 2)",
    "dp = g * clip(p - t, -delta, delta), over n for a mean",
    ranges=((-2.0, -1.2), (0.1, 0.4)),
    delta=Attribute("float", 1.0, "where the straight part begins"),
)
_pair(
    "binary_cross_entropy",
    _binary_cross_entropy,
    "Cross-entropy of yes-or-no targets, from logits.",
    "log(1 + exp(x)) - x * t",
    "dx = g * (sigmoid(x) - t), over n for a mean",
)


def _labelled_infer(x: TensorSpec, labels: TensorSpec, **attrs: Any) -> TensorSpec:
    if x.ndim == 0 or labels.shape != x.shape[:-1]:
        raise OperatorError(
            f"{x.shape} wants labels of shape {x.shape[:-1]}, not {labels.shape}",
            shapes=(x.shape, labels.shape),
        )
    _checked_weight(x, **attrs)
    return TensorSpec(x.shape[:-1] if attrs["reduction"] == "none" else (), floating(x.dtype))


_LABELLED_EXAMPLES = (
    Example(((4, 3), (4,)), {}, ("float64", "int64"), 3),
    Example(((4, 3), (4,)), {"reduction": "none"}, ("float64", "int64"), 3),
    Example(((3,), ()), {"reduction": "sum"}, ("float64", "int64"), 3),
)

REGISTRY.register(
    Operator(
        name="nll",
        group="loss",
        inputs=("log_probabilities", "labels"),
        summary="Minus the log-probability of the right class.",
        infer=_labelled_infer,
        expand=_labelled_loss,
        attributes={"reduction": REDUCTION, "weight": _WEIGHT, "ignore_index": _IGNORE},
        formula="-x[label]",
        gradient_formula="dx[label] = -g, over n for a mean",
        domain=Domain(
            examples=(
                *_LABELLED_EXAMPLES,
                Example(
                    ((4, 3), (4,)),
                    {"weight": [0.5, 1.0, 2.0], "ignore_index": 2},
                    _LABELS_OF_THREE,
                    3,
                ),
            )
        ),
    )
)


def _hinge(xp: Any, scores: Any, labels: Any, *, margin: float, reduction: str) -> Any:
    labels = xp.class_labels(labels, classes=scores.shape[-1])
    right = xp.expand_dims(picked(xp, scores, labels), axis=-1)
    margins = xp.relu(scores - right + margin)
    others = 1.0 - xp.one_hot(labels, classes=scores.shape[-1], dtype=str(scores.dtype))
    return reduce_loss(xp, xp.sum(margins * others, axis=-1), reduction)


REGISTRY.register(
    Operator(
        name="hinge",
        group="loss",
        inputs=("scores", "labels"),
        summary="The multiclass hinge (support vector machine) loss of class scores.",
        infer=_labelled_infer,
        expand=_hinge,
        attributes={
            "margin": Attribute("float", 1.0, "by how much the right score is to lead"),
            "reduction": REDUCTION,
        },
        aliases=("svm",),
        formula="Σ over wrong classes of max(0, s - s[label] + margin)",
        gradient_formula="g to each score over the margin, minus their number to the right one",
        kinks="A margin of exactly 0 has gradient 0.",
        domain=Domain(ranges=((-0.4, 0.4),), examples=_LABELLED_EXAMPLES),
    )
)
