"""Gates that route: the gradient goes to the input that was chosen, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.engine.gate import Gate, Refused
from service.engine.operators import REGISTRY
from service.grading.mistakes._facts import EdgeFacts, Wrong

TEXTS = {
    "max_misrouted": "'{gate}' ({op}) sends the gradient to the input that it chose. On the way "
    "to '{wire}' it was sent to the wrong one.",
    "max_broadcast": "'{gate}' ({op}) sends the gradient only to the input that it chose, and 0 "
    "to the others. On the way to '{wire}' all of them got it.",
    "relu_mask_missing": "'{gate}' ({op}) lets the gradient through only where its input was in "
    "the open range, and stops it elsewhere. For '{wire}' that mask is missing, or is taken "
    "from something else than the input.",
}
WEIGHTS = {"max_misrouted": 8.0, "max_broadcast": 8.0, "relu_mask_missing": 9.5}
_MASKED = {"relu", "leaky_relu", "clip", "hard_sigmoid", "elu", "selu"}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """To the loser, to all, past the mask."""
    op = facts.op
    if op in ("maximum", "minimum"):
        yield from _gate(facts)
    elif op in ("max", "min"):
        yield from _reduction(facts)
    elif op == "max_pool":
        yield from _pool(facts)
    elif op in _MASKED:
        yield from _mask(facts)
    elif op == "where" and facts.index > 0:
        condition = facts.inputs[0]
        taken = condition if facts.index == 1 else ~np.asarray(condition)
        yield from _fitted(facts, "max_misrouted", "", np.where(taken, 0.0, facts.g))
        yield from _fitted(facts, "max_broadcast", "", np.broadcast_to(facts.g, np.shape(facts.y)))
    elif op == "abs":
        yield from _fitted(facts, "relu_mask_missing", "sign", facts.g, "g")


def _gate(facts: EdgeFacts) -> Iterator[Wrong]:
    """Maximum or minimum of several inputs; of a number, it is a relu written out."""
    g, y = facts.g, facts.y
    mine = np.equal(facts.x, y)
    whole = np.broadcast_to(g, np.shape(y))
    clipped = any(
        source is None for place, source in enumerate(facts.gate.sources) if place != facts.index
    )
    code = "relu_mask_missing" if clipped else "max_broadcast"
    yield from _fitted(facts, code, "all", whole, "g")
    yield from _fitted(facts, "max_misrouted", "", np.where(mine, 0.0, whole), "g to the loser")
    if clipped:
        yield from _fitted(
            facts, "relu_mask_missing", "upstream", np.where(whole > 0, whole, 0.0), "g where g > 0"
        )
    if clipped:
        yield from _fitted(facts, code, "activation", whole * y, "g * its output")
    yield from _fitted(facts, "max_broadcast", "half", whole * 0.5, "g / 2 to both")


def _reduction(facts: EdgeFacts) -> Iterator[Wrong]:
    """The extremum over axes: to all, to the other extremum, to the first element."""
    x = np.asarray(facts.x)
    twin = REGISTRY["min" if facts.op == "max" else "max"]
    spread = facts.pull(inputs=[np.zeros(x.shape)], outputs=[np.zeros(np.shape(facts.y))])
    if spread is not None and x.size:
        # Where all are equal each gets its share: times their number, each gets the whole.
        count = x.size / max(1, np.size(facts.y))
        yield Wrong("max_broadcast", "all", np.asarray(spread) * count, "g to all")
        yield Wrong("max_broadcast", "mean", np.asarray(spread), "g shared by all")
        first = _first_place(x, facts.gate.attrs.get("axis"))
        yield Wrong("max_misrouted", "first", np.asarray(spread) * count * first, "g to the first")
    assert twin.forward is not None
    other = twin.forward(x, **facts.gate.attrs)
    moved = facts.pull(outputs=[other])
    if moved is not None:
        yield Wrong("max_misrouted", "", np.asarray(moved), "g to the other extremum")


def _first_place(x: Any, axis: Any) -> Any:
    """1.0 at the first place along the reduced axes, else 0.0."""
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    mask = np.ones(x.shape)
    for one in axes:
        length = x.shape[one]
        shape = [1] * x.ndim
        shape[one] = length
        mask = mask * (np.arange(length) == 0).reshape(shape)
    return mask


def _pool(facts: EdgeFacts) -> Iterator[Wrong]:
    """A window's gradient to all of it; to its smallest element."""
    attrs = facts.gate.attrs
    kernel = tuple(attrs["kernel_shape"])
    area = float(np.prod(kernel))
    flat = np.zeros(np.shape(facts.x))
    strides, pads = attrs.get("strides"), attrs.get("pads")
    if attrs.get("dilations") in (None, (1,) * len(kernel)):
        given = {"kernel_shape": kernel, "strides": strides, "pads": pads}
        try:
            terms = _average_gate(facts, given).pull([facts.g], [flat], [], [0])
        except Refused:
            terms = {}
        if 0 in terms:
            yield Wrong("max_broadcast", "all", terms[0] * area, "g to the whole window")
            yield Wrong("max_broadcast", "mean", terms[0], "g shared by the window")
    lowest = facts.pull(inputs=[-np.asarray(facts.x)])
    if lowest is not None:
        yield Wrong("max_misrouted", "", lowest, "g to the smallest of the window")
    first = facts.pull(inputs=[flat])
    if first is not None:
        yield Wrong("max_misrouted", "first", first, "g to the first of the window")


def _average_gate(facts: EdgeFacts, given: dict[str, Any]) -> Gate:
    """The pool of the same windows that takes their mean."""
    op, gate = REGISTRY["average_pool"], facts.gate
    attrs = op.attrs({name: value for name, value in given.items() if value is not None})
    attrs["count_include_pad"] = True
    return Gate(gate.node, op, attrs, gate.sources, gate.literals, gate.outputs, gate.specs)


def _mask(facts: EdgeFacts) -> Iterator[Wrong]:
    g = np.broadcast_to(facts.g, np.shape(facts.y))
    yield from _fitted(facts, "relu_mask_missing", "", g, "g")
    yield from _fitted(
        facts, "relu_mask_missing", "upstream", np.where(g > 0, g, 0.0), "g where g > 0"
    )
    yield from _fitted(facts, "relu_mask_missing", "activation", g * facts.y, "g * its output")
    inverse = facts.pull(inputs=[-np.asarray(facts.x)])
    if inverse is not None and facts.op == "relu":
        yield Wrong("max_misrouted", "inverse", inverse, "g where x < 0")
    if facts.op == "leaky_relu":
        stopped = np.where(np.greater(facts.x, 0), g, 0.0)
        yield from _fitted(facts, "relu_mask_missing", "slope", stopped, "0 where x < 0")


def _fitted(
    facts: EdgeFacts, code: str, variant: str, value: Any, text: str = ""
) -> Iterator[Wrong]:
    fitted = facts.fit(value)
    if fitted is not None:
        yield Wrong(code, variant, fitted, text)
