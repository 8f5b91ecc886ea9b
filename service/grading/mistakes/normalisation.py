"""Batch and layer normalisation: the statistics depend on the input too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.grading.mistakes._facts import EdgeFacts, Wrong

TEXTS: dict[str, str] = {}
WEIGHTS: dict[str, float] = {}
_CODE = "normalisation_path_dropped"


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """The gradient by the input with a statistic taken for a constant; that by the scale."""
    if facts.op not in ("batch_norm", "layer_norm") or len(facts.inputs) > 3:
        return
    x = np.asarray(facts.x if facts.index == 0 else facts.inputs[0])
    axes, scale = _layout(facts, x)
    spread = np.sqrt(x.var(axis=axes, keepdims=True) + facts.gate.attrs["epsilon"])
    normal = (x - x.mean(axis=axes, keepdims=True)) / spread
    g = np.asarray(facts.g)
    if facts.index == 0:
        yield from _by_input(g * scale, normal, spread, axes)
    elif facts.index == 1:
        for variant, value in (("own input", g * x), ("no scale", g)):
            fitted = _to_channel(facts, value)
            if fitted is not None:
                yield Wrong("mul_not_swapped", variant, fitted, "")


def _by_input(up: Any, normal: Any, spread: Any, axes: tuple[int, ...]) -> Iterator[Wrong]:
    mean = up.mean(axis=axes, keepdims=True)
    along = normal * (up * normal).mean(axis=axes, keepdims=True)
    yield Wrong(_CODE, "variance", (up - mean) / spread, "the variance taken for a constant")
    yield Wrong(_CODE, "mean", (up - along) / spread, "the mean taken for a constant")
    yield Wrong(_CODE, "both", up / spread, "mean and variance taken for constants")
    yield Wrong("missing_local", "spread", up - mean - along, "not divided by the deviation")


def _layout(facts: EdgeFacts, x: Any) -> tuple[tuple[int, ...], Any]:
    """The axes that statistics are over, and the scale in a shape that broadcasts."""
    if facts.op == "batch_norm":
        column = (1, -1, *(1,) * (x.ndim - 2))
        return (0, *range(2, x.ndim)), np.reshape(facts.inputs[1], column)
    axes = tuple(range(facts.gate.attrs["axis"] % x.ndim, x.ndim))
    return axes, facts.inputs[1] if len(facts.inputs) > 1 else 1.0


def _to_channel(facts: EdgeFacts, value: Any) -> Any:
    if facts.op == "batch_norm":
        return value.sum(axis=(0, *range(2, value.ndim)))
    return facts.fit(value)
