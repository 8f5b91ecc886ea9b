"""Gradients add up where a wire forks: `+=`, and once for every edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from service.grading.circuit import Circuit, Edge
from service.grading.mistakes._facts import EdgeFacts, WireFacts, Wrong

TEXTS = {
    "missing_accumulation": "'{wire}' is used in more than one place, and its gradient is the sum "
    "of what flows back from all of them. Only a part of these terms is in yours: is there a = "
    "where += is needed, or a use that was forgotten?",
    "normalisation_path_dropped": "'{wire}' acts on the result in more than one way: directly, and "
    "through a statistic or sum that is computed from it. The path through that statistic (the "
    "mean, the variance, the normalising sum) is missing, as if it were a constant.",
    "double_counted": "A term of the gradient of '{wire}' is counted twice: is one of the += done "
    "in two places?",
    "not_zeroed": "The gradient of '{wire}' still has that of an earlier backward pass in it: "
    "gradients have to be set to zero before the next pass.",
}
WEIGHTS = {
    "missing_accumulation": 10.0,
    "normalisation_path_dropped": 11.0,
    "double_counted": 4.0,
    "not_zeroed": 1.5,
}
MAX_FAN_OUT = 8
_MOST_PLACES = 400
"""Up to this fan-out every subset of the terms is tried; above it, all but one, and one alone."""
_STATISTICS = {"mean", "var", "std", "sum", "logsumexp", "vector_norm", "max", "min"}
_USES = {"subtract", "divide", "multiply"}


_GATHERS = {"take", "take_along_axis", "unfold", "slice"}
_WINDOWS = {"conv", "max_pool", "average_pool"}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """What was assigned where places repeat, or where a loop adds up: the last one is left."""
    code = "missing_accumulation"
    if facts.op in _GATHERS and facts.index == 0:
        yield from _assigned(facts)
    elif facts.op in _WINDOWS and np.size(facts.g) <= _MOST_PLACES:
        yield from _windows(facts)
    elif facts.op == "matmul" and np.ndim(facts.part) == 2 and np.ndim(facts.g) == 2:
        a, b = np.asarray(facts.inputs[0]), np.asarray(facts.inputs[1])
        g = np.asarray(facts.g)
        if a.ndim == b.ndim == 2 and (a.shape[0] if facts.index else b.shape[1]) > 1:
            for name, n in (("last", slice(-1, None)), ("first", slice(0, 1))):
                term = a[n].T @ g[n] if facts.index else g[:, n] @ b[:, n].T
                yield Wrong(code, f"{name} of the loop", term, f"the {name} example alone")


def _assigned(facts: EdgeFacts) -> Iterator[Wrong]:
    """For a gate that copies elements: each place holds what was written there last."""
    numbers = 1.0 + np.arange(np.size(facts.x)).reshape(facts.shape)
    copied = facts.gate.evaluate([numbers, *facts.inputs[1:]])[0]
    places, g = np.ravel(copied).astype(int) - 1, np.ravel(facts.g)
    if len(set(places.tolist())) == places.size:
        return
    for name, order in (("last", slice(None)), ("first", slice(None, None, -1))):
        for kind, kept in (("", places >= 0), (" not 0", (places >= 0) & (g != 0.0))):
            held = np.zeros(np.size(facts.x))
            held[places[kept][order]] = g[kept][order]
            text = "assigned, not added, where places repeat"
            yield Wrong("missing_accumulation", f"{name}{kind}", held.reshape(facts.shape), text)


def _windows(facts: EdgeFacts) -> Iterator[Wrong]:
    """For a gate with windows: a loop over its places that assigns."""
    g = np.asarray(facts.g)
    held, nonzero = np.zeros(facts.shape), np.zeros(facts.shape)
    term: Any = None
    inputs = list(facts.inputs)
    inputs[1:2] = [np.ones(np.shape(one)) for one in inputs[1:2]]
    for place in np.ndindex(*g.shape[2:]):
        at = (slice(None), slice(None), *place)
        one, everything = np.zeros(g.shape), np.zeros(g.shape)
        one[at], everything[at] = g[at], 1.0
        term, seen = facts.pull(upstream=[one]), facts.pull(upstream=[everything], inputs=inputs)
        if term is None or seen is None:
            return
        if facts.index == 0:
            window = _box(np.asarray(seen) != 0.0, facts)
            held = np.where(window, term, held)
            nonzero = np.where(np.asarray(term) != 0.0, term, nonzero)
    if facts.index == 0:
        yield Wrong("missing_accumulation", "last", held, "assigned where windows overlap")
        yield Wrong("missing_accumulation", "last not 0", nonzero, "assigned where windows overlap")
    elif term is not None:
        yield Wrong("missing_accumulation", "last of the loop", term, "the last window alone")


def _box(seen: Any, facts: EdgeFacts) -> Any:
    """The whole window around the elements that a place of the result depends on."""
    if facts.op != "max_pool":
        return seen
    spots = np.argwhere(seen)
    box = np.zeros(seen.shape, bool)
    if spots.size:
        low, high = spots.min(axis=0), spots.max(axis=0) + 1
        box[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return box


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """Proper subsets of the terms, a term twice, and the sum on top of an earlier pass."""
    edges = sorted(facts.parts)
    for kept in _subsets(edges):
        dropped = [edge for edge in edges if edge not in kept]
        code = "missing_accumulation"
        if _through_statistic(facts.circuit, dropped, kept):
            code = "normalisation_path_dropped"
        names = ", ".join(_name(facts, edge) for edge in dropped)
        variant = ",".join(f"{gate}.{index}" for gate, index in kept)
        yield Wrong(code, variant, facts.sum(kept), f"without the term from {names}")
    if len(edges) >= 2:
        for edge in edges:
            double = facts.total + facts.parts[edge]
            variant = f"{edge[0]}.{edge[1]}"
            yield Wrong("double_counted", variant, double, f"{_name(facts, edge)} twice")
    yield Wrong("not_zeroed", "", facts.total + facts.truth, "the gradient of two passes")


def _name(facts: WireFacts, edge: Edge) -> str:
    return f"'{facts.gate(edge).node}'"


def _subsets(edges: Sequence[Edge]) -> Iterator[tuple[Edge, ...]]:
    """Proper, not empty subsets; the last writer alone comes first."""
    count = len(edges)
    if count < 2:
        return
    if count <= MAX_FAN_OUT:
        for size in range(1, count):
            yield from combinations(edges, size)
        return
    for edge in edges:
        yield (edge,)
    for edge in edges:
        yield tuple(other for other in edges if other != edge)


def _through_statistic(circuit: Circuit, dropped: Sequence[Edge], kept: Sequence[Edge]) -> bool:
    """Whether only uses in a statistic were dropped, and a use of it was kept."""
    if not all(_makes_statistic(circuit, number) for number, _ in dropped):
        return False
    if {number for number, _ in dropped} & {number for number, _ in kept}:
        return False
    return any(
        circuit.gates[number].op.name in _USES and not _makes_statistic(circuit, number)
        for number, _ in kept
    )


def _makes_statistic(circuit: Circuit, number: int, depth: int = 0) -> bool:
    """Whether a gate is a statistic that is used again, or a step on the way to one alone."""
    gate = circuit.gates[number]
    readers = circuit.readers.get(gate.outputs[0], [])
    if gate.op.name in _STATISTICS:
        return bool(readers)
    return (
        gate.op.elementwise
        and depth < 3
        and bool(readers)
        and all(_makes_statistic(circuit, reader, depth + 1) for reader, _ in readers)
    )
