"""Softmax, and the losses that begin with class scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.engine.operators.neural import softmax
from service.grading.mistakes._facts import EdgeFacts, WireFacts, Wrong
from service.grading.mistakes.blocks import blocks

TEXTS = {
    "softmax_ce": "The gradient of a cross-entropy loss by its scores '{wire}' is prediction minus "
    "target (the softmax or sigmoid of the scores, minus the labels), divided by the number of "
    "examples where the loss is their mean. One of these parts is missing or turned around.",
    "softmax_jacobian": "Each output of a softmax depends on *all* inputs of its row: "
    "p * (g - sum(g * p)). The gradient of '{wire}' leaves the other outputs out, or sums over "
    "something else.",
    "hinge": "The gradient of a hinge loss by its scores '{wire}' isn't right: every class over "
    "the margin gets +1, the right class minus their number, and a mean divides by the number of "
    "rows.",
}
WEIGHTS = {"softmax_ce": 12.0, "softmax_jacobian": 11.5, "hinge": 11.0}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """The Jacobian of the logarithm of a softmax."""
    if facts.op == "log_softmax":
        g, y = facts.g, facts.y
        yield Wrong("softmax_jacobian", "log diagonal", g - np.exp(y) * g, "g * (1 - p)")
        total = np.sum(g, axis=facts.gate.attrs["axis"], keepdims=True)
        yield Wrong("softmax_jacobian", "y", g - y * total, "g - log p Σ g")


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """What is left of the softmax's Jacobian, of p - onehot, of the margins' count."""
    for block in blocks(facts.done, facts.wire):
        up = facts.done.held.get(block.end)
        if block.kind == "softmax" and up is not None:
            yield from _jacobian(facts, up, np.asarray(facts.done.values[block.end]), block.axes)
    total, z = np.asarray(facts.total), np.asarray(facts.x)
    if total.shape != z.shape or z.ndim == 0 or not total.any():
        return
    yield from _hinge(total)
    scores = {"softmax": softmax(z, axis=-1), "sigmoid": 1.0 / (1.0 + np.exp(-z))}
    for name, p in scores.items():
        found = _target(facts, total, p)
        if found is not None:
            yield from _cross_entropy(name, z, p, *found)
            return


def _jacobian(facts: WireFacts, g: Any, p: Any, axes: tuple[int, ...]) -> Iterator[Wrong]:
    inner = np.sum(g * p, axis=axes, keepdims=True)
    rest = facts.total - p * (g - inner)
    variants = [
        ("diagonal", g * p * (1 - p), "g * p * (1 - p)"),
        ("p", g * p, "g * p"),
        ("p alone", p * (1 - p), "p * (1 - p)"),
        ("sum", g - inner, "g - Σ g p"),
        ("off-diagonal", p * (g * p - inner), "-p Σ of the others"),
        ("plus", p * (g + inner), "p * (g + Σ g p)"),
        ("no p in the sum", p * (g - np.sum(g, axis=axes, keepdims=True)), "p * (g - Σ g)"),
    ]
    for axis in range(p.ndim):
        if (axis,) != axes:
            other = np.sum(g * p, axis=axis, keepdims=True)
            variants.append((f"axis {axis}", p * (g - other), "summed over another axis"))
    for variant, value, text in variants:
        yield Wrong("softmax_jacobian", variant, rest + value, text)


def _target(facts: WireFacts, total: Any, p: Any) -> tuple[Any, float] | None:
    """Target and factor, where the gradient is factor * (p - target) with labels or an input."""
    with np.errstate(all="ignore"):
        ratio = np.ravel(total / p)
    guesses = {float(np.median(ratio[sign])) for sign in (ratio > 0, ratio < 0) if sign.any()}
    for factor in guesses:
        target = p - total / factor
        if target.max() > 0.5 and np.allclose(target * (1 - target), 0.0, atol=1e-7):
            return np.round(target), factor
    for name in facts.done.circuit.inputs:
        target = np.asarray(facts.done.values[name])
        if target.shape == p.shape and np.abs(target).max(initial=0.0) <= 1.0:
            off = p - target
            place = np.unravel_index(np.argmax(np.abs(off)), off.shape)
            factor = float(total[place] / off[place])
            if np.isfinite(factor) and np.allclose(total, factor * off, rtol=1e-7, atol=1e-12):
                return target, factor
    return None


def _cross_entropy(name: str, z: Any, p: Any, t: Any, c: float) -> Iterator[Wrong]:
    rows = z.size / z.shape[-1] if name == "softmax" else z.size
    e = np.exp(z)
    shifted = np.exp(z - z.max(axis=-1, keepdims=True))
    shapes = [
        ("p", p, "p without - target"),
        ("turned", t - p, "target - p"),
        ("-onehot", -t, "-target without p"),
        ("label alone", (p - 1) * t, "p - 1 at the label"),
        ("p at the label", p * t, "p at the label"),
        ("scores", z - t, "scores - target"),
        ("not normalised", e - t, "exp(scores) - target"),
        ("shifted, not normalised", shifted - t, "exp(scores - max) - target"),
        ("plus", p + t, "p + target"),
    ]
    for mean, factor in (("", c), (", no mean", c * rows)):
        for variant, value, text in shapes:
            yield Wrong("softmax_ce", variant + mean, factor * value, text + mean)
        slope = factor * (p - t) * p * (1 - p)
        yield Wrong("extra_local", f"p(1 - p){mean}", slope, "(p - target) * p * (1 - p)")
    if rows > 1:
        yield Wrong("softmax_ce", "no mean", c * rows * (p - t), "without 1/N")
        yield Wrong("softmax_ce", "mean", c / rows * (p - t), "with 1/N")


def _hinge(total: Any) -> Iterator[Wrong]:
    """Rows in which each gradient is a factor, or minus their sum."""
    if total.ndim < 2 or not (total > 0).any():
        return
    factor = float(total[total > 0].min())
    over = total > 0
    count = over.sum(axis=-1, keepdims=True)
    right = total < 0
    if not np.array_equal(right.sum(axis=-1, keepdims=True), 1 * (count > 0)):
        return
    if not np.allclose(total, factor * (over - right * count), rtol=1e-9, atol=0.0):
        return
    rows = total.size / total.shape[-1]
    for mean, c in (("", factor), (", no mean", factor * rows)):
        yield Wrong("hinge", "right class" + mean, c * over, "the right class left out")
        yield Wrong("hinge", "-1" + mean, c * (1.0 * over - right), "-1 for the right class")
        yield Wrong("hinge", "wrong classes" + mean, -c * right * count, "the others left out")
    yield Wrong("hinge", "no mean", total * rows, "without 1/N")
