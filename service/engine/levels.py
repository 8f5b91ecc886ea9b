"""Wide scalar graphs, level by level: a NumPy gather, one operation and a scatter for each
operator of each level, in place of a Python step for each node.

Whether a graph goes this way depends on the graph alone, so that the same request gives
the same bytes every time. The order of summation is defined: contributions to a gradient
are added level by level from the output back; within a level operator by operator in the
registry's order, an operator's first inputs before its second ones, and those in
document order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from service.engine.control import Control
from service.engine.graph import Graph
from service.engine.namespaces import ARRAYS
from service.engine.operators import REGISTRY
from service.engine.registry import Operator

LEAST_NODES = 20_000
LEAST_WIDTH = 300
"""Nodes per level, on average, from which on gathers are worth their overhead."""
_LOOK = 10_000


@dataclass(frozen=True, slots=True)
class Group:
    """The nodes of one operator on one level: slots `start` to `stop` of the plan."""

    operator: Operator
    start: int
    stop: int


@dataclass(slots=True)
class Plan:
    """The nodes renumbered so that a group's results lie side by side.

    slots     the slot of every node by position, then of the literals, last one first
    first     the slot of each node's first input, by slot (unset for leaves)
    second    likewise of its last input
    groups    in the order in which they run
    """

    slots: Any
    first: Any
    second: Any
    groups: list[Group]
    reached: dict[int, tuple[list[_Backward], Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Backward:
    """The nodes of a group that a path joins to an output: their slots and their inputs'."""

    operator: Operator
    at: Any
    first: Any
    second: Any


def plan_of(graph: Graph) -> Plan | None:
    """The graph's plan, made once; None for a graph that is small, deep or of many kinds."""
    if graph.plan is None:
        graph.plan = _plan(graph) or False
    return graph.plan or None


def _plan(graph: Graph) -> Plan | None:
    count = len(graph.order)
    if count < LEAST_NODES or not graph.scalar or graph.attrs:
        return None
    if any(len(sources) != 2 for sources in graph.many.values()):
        return None
    levels = _levels(graph, count // LEAST_WIDTH)
    if levels is None:
        return None
    codes = np.fromiter(graph.codes, np.int64, count)
    key = levels * len(REGISTRY) + codes
    # Small keys take the quicker of NumPy's stable sorts.
    narrow = key.astype(np.uint16) if key.max() < 2**16 else key
    rank = np.argsort(narrow, kind="stable")
    total, literals = len(graph), len(graph.literals)
    order = np.asarray(graph.order)
    leaves = np.array(sorted(graph.leaves), np.int64)
    slots = np.empty(total + literals, np.int64)
    slots[leaves] = np.arange(len(leaves))
    slots[total:] = len(leaves) + np.arange(literals)
    base = len(leaves) + literals
    slots[order[rank]] = base + np.arange(count)
    first = np.empty(base + count, np.int64)
    second = np.empty(base + count, np.int64)
    first[base:] = slots[np.fromiter(graph.first, np.int64, count)[rank]]
    second[base:] = slots[np.fromiter(graph.second, np.int64, count)[rank]]
    sorted_key = key[rank]
    starts = np.flatnonzero(np.diff(sorted_key, prepend=-1))
    stops = np.append(starts[1:], count)
    groups = [
        Group(REGISTRY.by_code(int(codes[rank[start]])), base + int(start), base + int(stop))
        for start, stop in zip(starts, stops, strict=True)
    ]
    return Plan(slots, first, second, groups)


def _levels(graph: Graph, allowed: int) -> Any | None:
    """The level of every computed node, in evaluation order; None when there are too many."""
    level = [0] * (len(graph) + len(graph.literals))
    deepest = 0
    steps = zip(graph.order, graph.first, graph.second, strict=True)
    for start in range(0, len(graph.order), _LOOK):
        for i, a, b in islice(steps, _LOOK):
            x, y = level[a], level[b]
            level[i] = x + 1 if x > y else y + 1
        deepest = max(map(level.__getitem__, graph.order[start : start + _LOOK]))
        if deepest > allowed:
            return None
    return np.fromiter(map(level.__getitem__, graph.order), np.int64, len(graph.order))


def forward(
    graph: Graph, plan: Plan, leaves: Sequence[float], control: Control | None = None
) -> Any:
    """The value of every slot, as an array."""
    v = np.empty(len(plan.first))
    v[: len(leaves)] = leaves
    literals = graph.literals[::-1]
    v[len(leaves) : len(leaves) + len(literals)] = literals
    with np.errstate(all="ignore"):
        for group in plan.groups:
            if control is not None:
                control.check()
            part = slice(group.start, group.stop)
            args = [v[plan.first[part]]]
            if group.operator.arity != (1, 1):
                args.append(v[plan.second[part]])
            v[part] = getattr(ARRAYS, group.operator.name)(*args)
    return v


def backward(
    plan: Plan, v: Any, position: int, seed: float, control: Control | None = None
) -> tuple[Any, Any]:
    """Gradients by slot, and a flag for each slot that a path joins to the output."""
    groups, joined = _reached(plan, position)
    grads = np.zeros(len(v))
    grads[plan.slots[position]] = seed
    with np.errstate(all="ignore"):
        for group in groups:
            if control is not None:
                control.check()
            op, unary = group.operator, group.operator.arity == (1, 1)
            g, y, a = grads[group.at], v[group.at], v[group.first]
            args = (a,) if unary else (a, v[group.second])
            attrs = {n: attribute.default for n, attribute in op.attributes.items()}
            for index, targets in enumerate((group.first, group.second)[: len(args)]):
                rule = op.rule(index)
                if rule is not None:
                    np.add.at(grads, targets, rule(ARRAYS, g, y, *args, **attrs))
    return grads, joined


def _reached(plan: Plan, position: int) -> tuple[list[_Backward], Any]:
    """What a backward sweep from an output visits; the last few outputs are remembered."""
    known = plan.reached.get(position)
    if known is not None:
        return known
    joined = np.zeros(len(plan.first), bool)
    joined[plan.slots[position]] = True
    visited = []
    for group in reversed(plan.groups):
        at = group.start + np.flatnonzero(joined[group.start : group.stop])
        if not at.size or not group.operator.differentiable:
            continue
        first, second = plan.first[at], plan.second[at]
        joined[first] = True
        joined[second] = True
        visited.append(_Backward(group.operator, at, first, second))
    if len(plan.reached) >= 4:
        plan.reached.clear()
    plan.reached[position] = (visited, joined)
    return visited, joined
