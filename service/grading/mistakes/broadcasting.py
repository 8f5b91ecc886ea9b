"""What was repeated on the way forward is summed on the way back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from service.grading.mistakes._facts import EdgeFacts, Wrong

TEXTS = {
    "missing_unbroadcast": "'{wire}' was broadcast in '{gate}' ({op}): each of its elements was "
    "used several times, so its gradient is the *sum* over the axes along which it was "
    "repeated. Check the axis, that it is a sum and not a mean, and that the shape is that of "
    "'{wire}'.",
}
WEIGHTS = {"missing_unbroadcast": 9.5}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """The gradient left in the output's shape; a mean; other axes; one row alone."""
    raw = _raw(facts)
    if raw is None or raw.shape == facts.shape:
        return
    code = "missing_unbroadcast"
    yield Wrong(code, "kept", raw, "not summed")
    repeats = raw.size / max(1, np.size(facts.x))
    yield Wrong(code, "mean", np.asarray(facts.part / repeats)[()], "the mean, not the sum")
    seen = {facts.shape}
    right = _summed_axes(raw.shape, facts.shape)
    for count in range(1, min(raw.ndim, 4) + 1):
        for axes in combinations(range(raw.ndim), count):
            for keepdims in (False, True):
                wrong = raw.sum(axis=axes, keepdims=keepdims)
                if axes == right and wrong.shape == facts.shape:
                    continue
                if wrong.shape == facts.shape or wrong.shape not in seen:
                    seen.add(wrong.shape)
                    name = f"axis {axes}{' kept' if keepdims else ''}"
                    yield Wrong(code, name, np.asarray(wrong)[()], f"summed over {axes}")
    if right and raw.shape[right[0]] > 1:
        kept = raw.sum(axis=right, keepdims=True)
        if kept.shape != facts.shape:
            yield Wrong(code, "keepdims", kept, "axes of length 1 kept")
        for name, place in (("first", 0), ("last", -1)):
            row = np.take(raw, place, axis=right[0])
            if row.shape == facts.shape:
                yield Wrong(code, name, np.asarray(row)[()], f"the {name} row alone")


def _raw(facts: EdgeFacts) -> Any:
    """The contribution before it is brought to the input's shape."""
    if facts.op in ("broadcast_to", "repeat", "tile") or (facts.op == "conv" and facts.index == 2):
        return np.asarray(facts.g)
    if not facts.gate.op.elementwise or np.shape(facts.y) == facts.shape:
        return None
    raw = facts.pull(raw=True)
    return None if raw is None else np.asarray(raw)


def _summed_axes(have: tuple[int, ...], want: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that are summed to get from one shape to the other by NumPy's rules."""
    lead = len(have) - len(want)
    if lead < 0:
        return ()
    return tuple(
        axis
        for axis, length in enumerate(have)
        if axis < lead or (want[axis - lead] == 1 and length > 1)
    )
