"""Softmax, and the losses that begin with class scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.engine.operators.losses import one_hot
from service.engine.operators.neural import softmax
from service.grading.mistakes._facts import EdgeFacts, Wrong

TEXTS = {
    "softmax_ce": "The gradient of the softmax cross-entropy loss '{gate}' by its scores is "
    "softmax(scores) - onehot(labels), divided by the number of rows when the loss is their mean. "
    "One of these parts is missing or turned around.",
    "softmax_jacobian": "Each output of softmax depends on *all* inputs of its row. The gradient "
    "of '{wire}' leaves the other outputs of '{gate}' out, as if softmax worked element by "
    "element.",
    "hinge": "The gradient of the hinge loss '{gate}' isn't right: every class over the margin "
    "gets +1, the right class minus their number, and a mean divides by the number of rows.",
}
WEIGHTS = {"softmax_ce": 9.5, "softmax_jacobian": 9.0, "hinge": 9.0}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """What is left of p - onehot, of the softmax's Jacobian, of the margins' count."""
    if facts.index != 0:
        return
    match facts.op:
        case "cross_entropy":
            yield from _cross_entropy(facts)
        case "softmax":
            g, y = facts.g, facts.y
            yield Wrong("softmax_jacobian", "diagonal", g * y * (1 - y), "g * p * (1 - p)")
            yield Wrong("softmax_jacobian", "p", g * y, "g * p")
            total = np.sum(g * y, axis=facts.gate.attrs["axis"], keepdims=True)
            yield Wrong("softmax_jacobian", "sum", g - total, "g - Σ g p")
        case "log_softmax":
            g, y = facts.g, facts.y
            yield Wrong("softmax_jacobian", "diagonal", g - np.exp(y) * g, "g * (1 - p)")
            total = np.sum(g, axis=facts.gate.attrs["axis"], keepdims=True)
            yield Wrong("softmax_jacobian", "y", g - y * total, "g - log p Σ g")
        case "hinge":
            yield from _hinge(facts)


def _rows(facts: EdgeFacts) -> tuple[Any, float]:
    """The upstream gradient per row, and how many rows a mean divides by."""
    scores = np.asarray(facts.x)
    rows = scores.size / scores.shape[-1]
    if facts.gate.attrs["reduction"] == "none":
        return np.asarray(facts.g)[..., None], rows
    return facts.g, rows


def _cross_entropy(facts: EdgeFacts) -> Iterator[Wrong]:
    scores, labels = np.asarray(facts.inputs[0]), np.asarray(facts.inputs[1])
    target = labels
    if labels.ndim < scores.ndim:
        target = one_hot(labels, classes=scores.shape[-1])
    p = softmax(scores, axis=-1)
    g, rows = _rows(facts)
    mean = facts.gate.attrs["reduction"] == "mean"
    scale = 1.0 / rows if mean else 1.0
    yield Wrong("softmax_ce", "p", g * p * scale, "p without - onehot")
    yield Wrong("softmax_ce", "turned", g * (target - p) * scale, "onehot - p")
    yield Wrong("softmax_ce", "-onehot", -g * target * scale, "-onehot without p")
    yield Wrong("softmax_ce", "label alone", g * (p - 1) * target * scale, "p - 1 at the label")
    yield Wrong("softmax_ce", "scores", g * (scores - target) * scale, "scores - onehot")
    if mean and rows > 1:
        yield Wrong("softmax_ce", "no mean", g * (p - target), "without 1/N")
        yield Wrong("softmax_ce", "p, no mean", g * p, "p without - onehot and 1/N")
    elif rows > 1:
        yield Wrong("softmax_ce", "mean", g * (p - target) / rows, "with 1/N")


def _hinge(facts: EdgeFacts) -> Iterator[Wrong]:
    scores, labels = np.asarray(facts.inputs[0]), np.asarray(facts.inputs[1])
    right = one_hot(labels, classes=scores.shape[-1])
    margins = scores - np.sum(scores * right, axis=-1, keepdims=True) + facts.gate.attrs["margin"]
    over = np.where(margins > 0, 1.0, 0.0) * (1.0 - right)
    g, rows = _rows(facts)
    mean = facts.gate.attrs["reduction"] == "mean"
    scale = 1.0 / rows if mean else 1.0
    count = over.sum(axis=-1, keepdims=True)
    yield Wrong("hinge", "right class", g * over * scale, "the right class left out")
    yield Wrong("hinge", "-1", g * (over - right) * scale, "-1 for the right class, not the count")
    yield Wrong("hinge", "wrong classes", -g * right * count * scale, "the other classes left out")
    yield Wrong("hinge", "margins", g * (over * margins - right * count) * scale, "margins, not 1")
    if mean and rows > 1:
        yield Wrong("hinge", "no mean", g * (over - right * count), "without 1/N")
