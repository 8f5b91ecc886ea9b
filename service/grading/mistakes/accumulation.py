"""Gradients add up where a wire forks: `+=`, and once for every edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from service.grading.circuit import Circuit, Edge
from service.grading.mistakes._facts import WireFacts, Wrong

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
"""Up to this fan-out every subset of the terms is tried; above it, all but one, and one alone."""
_STATISTICS = {"mean", "var", "std", "sum", "logsumexp", "vector_norm", "max", "min"}
_USES = {"subtract", "divide", "multiply"}


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
    if not all(_makes_statistic(circuit, number, 0) for number, _ in dropped):
        return False
    return any(
        circuit.gates[number].op.name in _USES and not _makes_statistic(circuit, number, 0)
        for number, _ in kept
    )


def _makes_statistic(circuit: Circuit, number: int, depth: int) -> bool:
    """Whether a gate is a statistic, or a power whose only reader is one."""
    gate = circuit.gates[number]
    if gate.op.name in _STATISTICS:
        return True
    squares = gate.op.name in ("square", "pow") or (
        gate.op.name == "multiply" and gate.sources[0] == gate.sources[1]
    )
    readers = circuit.readers.get(gate.outputs[0], [])
    return (
        squares and depth == 0 and len(readers) == 1 and _makes_statistic(circuit, readers[0][0], 1)
    )
