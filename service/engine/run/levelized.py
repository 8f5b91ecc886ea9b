"""Wide scalar graphs, level by level: a NumPy gather, one operation and a scatter for each
operator of each level, in place of a Python step for each node.

Whether a graph goes this way depends on the graph alone, so that the same request gives
the same bytes every time. The order of summation is defined: contributions to a gradient
are added level by level from the output back; within a level operator by operator in the
registry's order, an operator's first inputs before its second ones, and those in
document order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

import numpy as np

from service.engine.control import Control
from service.engine.graph import Graph
from service.engine.namespaces import ARRAYS
from service.engine.operators import REGISTRY
from service.engine.registry import Operator, Rule
from service.engine.run.numbers import Numbers

LEAST_GROUP = 30
"""Nodes of a group, on average, from which on gathers are worth their overhead."""
_LOOK = 10_000
_OUTPUTS_KEPT = 4


@dataclass(frozen=True, slots=True)
class Group:
    """The nodes of one operator on one level: slots `start` to `stop` of the plan."""

    operator: Operator
    function: Callable[..., Any]
    inputs: int
    level: int
    start: int
    stop: int


@dataclass(slots=True)
class Plan:
    """The nodes renumbered so that a group's results lie side by side.

    leaves    how many there are; they come first
    literals  the values of the literals, which come next
    slots     the slot of every node by position, then of the literals, last one first
    first     the slot of each node's first input, by slot (unset for leaves)
    second    likewise of its last input
    groups    in the order in which they run
    """

    leaves: int
    literals: Any
    slots: Any
    first: Any
    second: Any
    groups: list[Group]
    sweeps: dict[int, _Sweep] = field(default_factory=dict)

    def forward(self, leaves: Sequence[float], control: Control | None) -> Sequence[Any]:
        return Numbers(forward(self, leaves, control), self.slots)

    def gradient(
        self,
        leaves: Sequence[float],
        position: int,
        seed: float,
        wanted: Sequence[int] | None,
        control: Control | None,
    ) -> tuple[Sequence[Any], Sequence[float | None]]:
        gathered: list[tuple[Any, ...]] = []
        v = forward(self, leaves, control, gathered)
        slopes, joined = backward(self, v, position, seed, control, gathered)
        return Numbers(v, self.slots), Numbers(slopes, self.slots, joined)

    def sweep(self, position: int) -> _Sweep:
        """How gradients come back from a node; those of the last few are remembered."""
        known = self.sweeps.get(position)
        if known is None:
            if len(self.sweeps) >= _OUTPUTS_KEPT:
                self.sweeps.clear()
            known = self.sweeps[position] = _sweep(self, position)
        return known


@dataclass(frozen=True, slots=True)
class _Part:
    """The nodes of a group that a path joins to the output.

    `at` are their slots, `whole` says that they are all of the group's. Each rule's
    contributions go where its slice of the level's contributions says.
    """

    group: int
    whole: bool
    at: Any
    inputs: tuple[Any, ...]
    rules: tuple[tuple[Rule, dict[str, Any], slice], ...]


@dataclass(frozen=True, slots=True)
class _Sweep:
    """The parts of each level, from the output back, and the slots they contribute to.

    `joined` is a flag for each slot that a path joins to the output.
    """

    levels: list[tuple[list[_Part], Any]]
    joined: Any


def plan_of(graph: Graph) -> Plan | None:
    """The graph's plan; None for a graph with less than `LEAST_GROUP` nodes in a group."""
    count = len(graph.order)
    if not graph.scalar or graph.attrs:
        return None
    if any(len(sources) != 2 for sources in graph.many.values()):
        return None
    used = {code: REGISTRY.by_code(code) for code in set(graph.codes)}
    if any(op.group in ("comparison", "logic") for op in used.values()):
        return None
    levels = _levels(graph, count // LEAST_GROUP)
    if levels is None:
        return None
    codes = _array(graph.codes)
    key = levels * len(REGISTRY) + codes
    # Small keys take the quicker of NumPy's stable sorts.
    narrow = key.astype(np.uint16) if key.max() < 2**16 else key
    rank = np.argsort(narrow, kind="stable")
    total, literals = len(graph), len(graph.literals)
    order = _array(graph.order)
    leaves = np.array(sorted(graph.leaves), np.int64)
    slots = np.empty(total + literals, np.int64)
    slots[leaves] = np.arange(len(leaves))
    slots[total:] = len(leaves) + np.arange(literals)
    base = len(leaves) + literals
    slots[order[rank]] = base + np.arange(count)
    first = np.empty(base + count, np.int64)
    second = np.empty(base + count, np.int64)
    first[base:] = slots[_array(graph.first)[rank]]
    second[base:] = slots[_array(graph.second)[rank]]
    sorted_key = key[rank]
    starts = np.flatnonzero(np.diff(sorted_key, prepend=-1))
    if count < LEAST_GROUP * len(starts):
        return None
    stops = np.append(starts[1:], count)
    groups = []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        level, code = divmod(int(sorted_key[start]), len(REGISTRY))
        op = used[code]
        function = getattr(ARRAYS, op.name)
        inputs = 1 if op.arity == (1, 1) else 2
        groups.append(Group(op, function, inputs, level, base + start, base + stop))
    return Plan(len(leaves), np.array(graph.literals[::-1]), slots, first, second, groups)


def _levels(graph: Graph, allowed: int) -> Any | None:
    """The level of every computed node, in evaluation order; None when there are too many."""
    order = graph.order
    level = [0] * (len(graph) + len(graph.literals))
    steps = zip(order, graph.first, graph.second, strict=True)
    for start in range(0, len(order), _LOOK):
        for i, a, b in islice(steps, _LOOK):
            x, y = level[a], level[b]
            level[i] = x + 1 if x > y else y + 1
        # One look at each stretch is enough to leave a deep graph soon.
        if level[order[min(start + _LOOK, len(order)) - 1]] > allowed:
            return None
    found = _array(level)[_array(order)]
    return found if found.max() <= allowed else None


def _array(column: Sequence[int]) -> Any:
    if isinstance(column, range):
        return np.arange(column.start, column.stop)
    return np.array(column, np.int64)


def forward(
    plan: Plan,
    leaves: Sequence[float],
    control: Control | None = None,
    gathered: list[tuple[Any, ...]] | None = None,
) -> Any:
    """The value of every slot, as an array; each group's inputs are put into `gathered`."""
    v = np.empty(len(plan.first))
    v[: plan.leaves] = leaves
    v[plan.leaves : plan.leaves + len(plan.literals)] = plan.literals
    first, second = plan.first, plan.second
    with np.errstate(all="ignore"):
        for group in plan.groups:
            if control is not None:
                control.check()
            start, stop = group.start, group.stop
            args: tuple[Any, ...] = (v[first[start:stop]],)
            if group.inputs == 2:
                args = (args[0], v[second[start:stop]])
            v[start:stop] = group.function(*args)
            if gathered is not None:
                gathered.append(args)
    return v


def backward(
    plan: Plan,
    v: Any,
    position: int,
    seed: float,
    control: Control | None = None,
    gathered: Sequence[tuple[Any, ...]] | None = None,
) -> tuple[Any, Any]:
    """Gradients by slot, and a flag for each slot that a path joins to the output.

    `gathered` are the inputs of the groups, where `forward` has kept them.
    """
    sweep = plan.sweep(position)
    grads = np.zeros(len(v))
    grads[plan.slots[position]] = seed
    with np.errstate(all="ignore"):
        for parts, targets in sweep.levels:
            if control is not None:
                control.check()
            contributions = np.empty(len(targets))
            for part in parts:
                if part.whole and gathered is not None:
                    args = gathered[part.group]
                else:
                    args = tuple(v[source] for source in part.inputs)
                g, y = grads[part.at], v[part.at]
                for rule, attrs, place in part.rules:
                    contributions[place] = rule(ARRAYS, g, y, *args, **attrs)
            np.add.at(grads, targets, contributions)
    return grads, sweep.joined


def _sweep(plan: Plan, position: int) -> _Sweep:
    joined = np.zeros(len(plan.first), bool)
    joined[plan.slots[position]] = True
    levels: list[tuple[list[_Part], Any]] = []
    numbered = reversed(list(enumerate(plan.groups)))
    for _, members in groupby(numbered, key=lambda one: one[1].level):
        parts: list[_Part] = []
        targets: list[Any] = []
        count = 0
        # Within a level in the registry's order, as it runs forward.
        for number, group in reversed(list(members)):
            op, flags = group.operator, joined[group.start : group.stop]
            if not op.differentiable or not flags.any():
                continue
            whole = bool(flags.all())
            at: Any = slice(group.start, group.stop)
            if not whole:
                at = group.start + np.flatnonzero(flags)
            inputs = (plan.first[at], plan.second[at])[: group.inputs]
            attrs = {name: attribute.default for name, attribute in op.attributes.items()}
            rules = []
            for index, sources in enumerate(inputs):
                joined[sources] = True
                rule = op.rule(index)
                if rule is not None:
                    place = slice(count, count + len(sources))
                    rules.append((rule, attrs, place))
                    targets.append(sources)
                    count = place.stop
            parts.append(_Part(number, whole, at, inputs, tuple(rules)))
        if targets:
            levels.append((parts, np.concatenate(targets)))
    return _Sweep(levels, joined)
