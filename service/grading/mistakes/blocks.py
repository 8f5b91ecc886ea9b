"""Pieces of a circuit that are known by what they compute, however they are spelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from service.engine.operators.neural import softmax
from service.grading.circuit import Pass

Tensor = Any
_MOST = 100_000
_TRIED = 40


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "tanh": np.tanh,
}


class Block(NamedTuple):
    """From one wire to another: a function, or over axes "softmax", or "normal".

    The latter is what has mean 0 and variance 1.
    """

    kind: str
    end: str
    axes: tuple[int, ...]


def blocks(done: Pass, wire: str) -> list[Block]:
    """The blocks that begin at a wire; found once for a circuit, from its values."""
    known = done.circuit.blocks.get(wire)
    if known is None:
        known = list(_found(done, wire))
        done.circuit.blocks[wire] = known
    return known


def _found(done: Pass, wire: str) -> Iterator[Block]:
    x = np.asarray(done.values[wire], np.float64)
    if x.size > _MOST or not np.isfinite(x).all():
        return
    circuit, wires = done.circuit, done.circuit.wires
    after = wires[wires.index(wire) + 1 :]
    same = [w for w in after if circuit.shape(w) == x.shape and w in circuit.maker][:_TRIED]
    for kind, function in FUNCTIONS.items():
        y = function(x)
        for end in same:
            close = np.allclose(done.values[end], y, rtol=1e-11, atol=0.0)
            if close and circuit.gates[circuit.maker[end]].op.name != kind:
                yield Block(kind, end, ())
                break
    choices = {(axis,) for axis in range(x.ndim)} | {tuple(range(1, x.ndim))}
    if x.ndim > 2:
        choices.add((0, *range(2, x.ndim)))
    for axes in sorted(axes for axes in choices if axes):
        if np.prod([x.shape[axis] for axis in axes]) < 2:
            continue
        centred = x - x.mean(axis=axes, keepdims=True)
        p = softmax(x, axis=axes[0]) if len(axes) == 1 else None
        for end in same:
            y = np.asarray(done.values[end])
            if p is not None and np.allclose(y, p, rtol=1e-9, atol=0.0):
                yield Block("softmax", end, axes)
            elif _is_normal(centred, y, axes):
                yield Block("normal", end, axes)


def _is_normal(centred: Tensor, y: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether `y` is `centred` divided by its deviation (with a small number added to it)."""
    variance = (centred**2).mean(axis=axes, keepdims=True)
    mine = (y**2).mean(axis=axes, keepdims=True)
    with np.errstate(all="ignore"):
        spread = np.sqrt(variance / mine)
        added = spread**2 - variance
    if not np.isfinite(spread).all() or not np.allclose(added, added.flat[0], atol=1e-9):
        return False
    return bool(abs(added.flat[0]) < 0.2 and np.allclose(y * spread, centred, atol=1e-9))
