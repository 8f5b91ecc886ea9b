"""Batch and layer normalisation: the statistics depend on the input too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.grading.mistakes._facts import WireFacts, Wrong
from service.grading.mistakes.blocks import blocks

TEXTS: dict[str, str] = {}
WEIGHTS: dict[str, float] = {}
_CODE = "normalisation_path_dropped"


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """The gradient with a statistic taken for a constant, or over another axis."""
    for block in blocks(facts.done, facts.wire):
        up = facts.done.held.get(block.end)
        if block.kind != "normal" or up is None:
            continue
        x, normal = np.asarray(facts.x), np.asarray(facts.done.values[block.end])
        centred = x - x.mean(axis=block.axes, keepdims=True)
        spread = np.sqrt(
            (centred**2).mean(axis=block.axes, keepdims=True)
            / (normal**2).mean(axis=block.axes, keepdims=True)
        )
        rest = facts.total - _back(up, normal, block.axes) / spread
        for variant, value, text in _variants(up, normal, block.axes):
            yield Wrong(_CODE, variant, rest + value / spread, text)
        for axis in range(x.ndim):
            if (axis,) != block.axes:
                value = rest + _back(up, normal, (axis,)) / spread
                yield Wrong(_CODE, f"axis {axis}", value, "the means over another axis")


def _parts(up: Any, normal: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """What flows back through the mean, and through the variance."""
    along = normal * (up * normal).mean(axis=axes, keepdims=True)
    return up.mean(axis=axes, keepdims=True), along


def _back(up: Any, normal: Any, axes: tuple[int, ...]) -> Any:
    mean, along = _parts(up, normal, axes)
    return up - mean - along


def _variants(up: Any, normal: Any, axes: tuple[int, ...]) -> Iterator[tuple[str, Any, str]]:
    count = float(np.prod([normal.shape[axis] for axis in axes]))
    mean, along = _parts(up, normal, axes)
    yield "both", up, "mean and variance taken for constants"
    yield "variance", up - mean, "the variance taken for a constant"
    yield "mean", up - along, "the mean taken for a constant"
    yield "sums", up - count * (mean + along), "sums for means"
    bessel = count / (count - 1.0)
    yield "N - 1", up - mean - bessel * along, "the variance over N - 1"
