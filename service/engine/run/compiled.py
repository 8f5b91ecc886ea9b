"""Graphs of numbers by the compiled loop: rows of operations over one flat memory.

The memory holds the nodes by position, the literals, and the numbers among attributes. The
order of summation is that of the loops over floats, and the functions are those that Python
calls, so that both give the same bits. Gradients begin at -0.0, which leaves what is added to
it as it is, the sign of a zero too; flags tell what a path joins to the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from service.engine.control import Control
from service.engine.graph import Graph
from service.engine.operators import REGISTRY
from service.engine.run.loops import NODE_FIELDS, library
from service.engine.run.number_code import split
from service.engine.run.numbers import Numbers
from service.engine.run.opcodes import opcodes

_OPERATION, _RULES, _PLACE, _INPUTS, _ATTRIBUTES = 0, 1, 2, slice(3, 6), 6
_TRUTHS = ("comparison", "logic")
_CHUNK = 500_000
"""Rows between two looks at the clock."""


class Plan:
    """Rows in evaluation order, and what stands behind the nodes in the memory."""

    def __init__(self, graph: Graph, rows: Any, tail: Sequence[float]) -> None:
        self._rows = rows
        self._address = rows.ctypes.data
        self._tail = np.array(tail)
        self._size = len(graph)
        self._leaves = np.array(sorted(graph.leaves), np.int64)
        used = {code for code in set(graph.codes) if REGISTRY.by_code(code).group in _TRUTHS}
        self._truths: tuple[int, ...] = ()
        if used:
            steps = zip(graph.order, graph.codes, strict=True)
            self._truths = tuple(position for position, code in steps if code in used)

    def forward(self, leaves: Sequence[float], control: Control | None) -> Sequence[Any]:
        memory = np.empty(self._size + len(self._tail))
        self._forward(memory, memory.ctypes.data, leaves, control)
        return self._numbers(memory)

    def gradient(
        self,
        leaves: Sequence[float],
        position: int,
        seed: float,
        wanted: Sequence[int] | None,
        control: Control | None,
    ) -> tuple[Sequence[Any], Sequence[float | None]]:
        # Values, gradients and flags side by side: one array to make, one address to ask for.
        size = self._size + len(self._tail)
        memory = np.empty(2 * size + (size + 7) // 8)
        v, g, joined = memory[:size], memory[size : 2 * size], memory[2 * size :].view(np.int8)
        address = memory.ctypes.data
        self._forward(v, address, leaves, control)
        g.fill(-0.0)
        joined.fill(0)
        g[position], joined[position] = seed, 1
        places = (address, address + 8 * size, address + 16 * size)
        self._run("numbers_backward", places, -1, control)
        return self._numbers(v), Numbers(g[: self._size], joined=joined[: self._size])

    def _numbers(self, memory: Any) -> Numbers:
        return Numbers(memory[: self._size], truths=self._truths)

    def _forward(
        self, memory: Any, address: int, leaves: Sequence[float], control: Control | None
    ) -> None:
        memory[self._leaves] = leaves
        memory[self._size :] = self._tail
        self._run("numbers_forward", (address, address, address), 1, control)

    def _run(
        self, name: str, memory: tuple[int, int, int], step: int, control: Control | None
    ) -> None:
        function, count = library().functions[name], len(self._rows)
        for start in range(0, count, _CHUNK)[::step]:
            if control is not None:
                control.check()
            function(*memory, self._address, start, min(count, start + _CHUNK))


@cache
def _defaults() -> tuple[Any, Any, dict[int, tuple[float, ...]]]:
    """By operator: its operation, those of its rules by bits, and its attributes' numbers."""
    table = opcodes()
    forward = np.full(len(REGISTRY), -1, np.int32)
    rules = np.zeros((len(REGISTRY), 8), np.int32)
    numbers: dict[int, tuple[float, ...]] = {}
    for code, op in enumerate(REGISTRY):
        attrs = {name: a.default for name, a in op.attributes.items()}
        if not op.elementwise or any(a.required for a in op.attributes.values()):
            continue
        shape, given = split(op, attrs)
        key = (code, shape)
        if key not in table.forward:
            continue
        forward[code] = table.forward[key]
        most = (1 << op.arity[0]) - 1
        rules[code] = [table.backward[key, bits & most] for bits in range(8)]
        if given:
            numbers[code] = given
    return forward, rules, numbers


def plan_of(graph: Graph) -> Plan | None:
    """The rows of a graph of numbers; None where an operator is not in the table."""
    forward, rules, numbers = _defaults()
    table = opcodes()
    count, order = len(graph.codes), graph.order
    codes = np.array(graph.codes, np.intp)
    rows = np.zeros((count, NODE_FIELDS), np.int32)
    rows[:, _OPERATION] = forward[codes]
    if rows[:, _OPERATION].min() < 0:
        return None
    rows[:, _PLACE] = np.arange(order.start, order.stop) if isinstance(order, range) else order
    inputs = rows[:, _INPUTS]
    inputs[:, 0], inputs[:, 1] = graph.first, graph.second
    for position, sources in graph.many.items():
        rank = graph.rank(position)
        if len(sources) != REGISTRY.by_code(graph.codes[rank]).arity[0]:
            return None
        inputs[rank, : len(sources)] = sources
    tail: list[float] = list(graph.literals[::-1])
    wanted = np.full(count, 7)
    if tail:
        wanted = (inputs >= 0) @ [1, 2, 4]
        inputs += (inputs < 0) * np.int32(len(graph) + len(tail))
    rows[:, _RULES] = rules[codes, wanted]
    pool: dict[tuple[float, ...], int] = {}

    def pooled(found: tuple[float, ...]) -> int:
        if found and found not in pool:
            pool[found] = len(graph) + len(tail)
            tail.extend(found)
        return pool.get(found, 0)

    if not numbers.keys().isdisjoint(graph.codes):
        attributes = np.zeros(len(REGISTRY), np.int32)
        for code, found in numbers.items():
            attributes[code] = pooled(found)
        rows[:, _ATTRIBUTES] = attributes[codes]
    for position, attrs in graph.attrs.items():
        rank = graph.rank(position)
        op = REGISTRY.by_code(graph.codes[rank])
        shape, found = split(op, attrs)
        key, bits = (graph.codes[rank], shape), int(wanted[rank]) & ((1 << op.arity[0]) - 1)
        rows[rank, [_OPERATION, _RULES]] = table.forward[key], table.backward[key, bits]
        rows[rank, _ATTRIBUTES] = pooled(found)
    return Plan(graph, rows, tail)


def prepare() -> None:
    """Have the loops and the table there."""
    library()
    _defaults()
