"""Scalar graphs on Python floats: forward and backward in plain loops over flat lists.

No 0-d arrays: they are an order of magnitude slower. The commonest gates are written
out in the loops; the others are functions made of their registration's text. Where Python
raises (division by zero, overflow, a logarithm of zero), the value is the one that NumPy,
and so IEEE 754, gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, reduce
from itertools import islice
from typing import Any

import numpy as np

from service.engine.control import Control
from service.engine.graph import Graph
from service.engine.namespaces import ARRAYS, exact
from service.engine.operators import REGISTRY
from service.engine.registry import Operator
from service.engine.run.number_code import Shape, backward_function, forward_function, split

RAISED = (ZeroDivisionError, OverflowError, ValueError)
_CHUNK = 50_000
_WRITTEN_INPUTS = 16
"""A gate with more has no text of its own, which would be as long as the gate is wide."""

ADD, SUB, MUL = (REGISTRY.codes[name] for name in ("add", "subtract", "multiply"))


_DEFAULTS = [{name: a.default for name, a in op.attributes.items()} for op in REGISTRY]


def _plain(count: int, make: Callable[[int, Shape], Any]) -> list[Any]:
    """`make` of every elementwise operator of `count` inputs, its attributes at their defaults."""
    return [
        make(code, tuple(_DEFAULTS[code].items()))
        if op.elementwise and op.scalar and (op.arity[0] == count and op.arity[1] in (count, None))
        else None
        for code, op in enumerate(REGISTRY)
    ]


def _rule(wanted: tuple[int, ...]) -> Callable[[int, Shape], Any]:
    """What makes the rules of an operator; None for one without any."""

    def make(code: int, shape: Shape) -> Any:
        op = REGISTRY.by_code(code)
        if not op.differentiable or not all(op.rule(index) for index in wanted):
            return None
        return backward_function(code, len(wanted), wanted, shape)

    return make


_UNARY = _plain(1, lambda code, shape: forward_function(code, 1, shape))
_BINARY = _plain(2, lambda code, shape: forward_function(code, 2, shape))
_UNARY_RULE = _plain(1, _rule((0,)))
_BINARY_RULE = _plain(2, _rule((0, 1)))
_PLAIN = frozenset(code for code in range(len(REGISTRY)) if _UNARY[code] or _BINARY[code])


class Gate:
    """A node that is not of the plain kinds: its functions, made once for the graph."""

    __slots__ = ("back", "forward", "numbers", "operator", "sources", "wanted")

    def __init__(self, op: Operator, sources: tuple[int, ...], attrs: dict[str, Any]) -> None:
        code, count = REGISTRY.codes[op.name], len(sources)
        shape, numbers = split(op, attrs)
        self.operator, self.sources, self.numbers = op, sources, numbers
        self.forward: Callable[..., Any]
        self.back: Callable[..., Any] | None = None
        wanted = [i for i, source in enumerate(sources) if source >= 0 and op.rule(i) is not None]
        self.wanted = tuple(wanted) if op.differentiable else ()
        if count > _WRITTEN_INPUTS:
            pair = forward_function(code, 2, shape)
            self.forward = lambda *numbers: reduce(pair, numbers)
            if self.wanted:
                self.back = partial(_exact_function, op, self.wanted, attrs)
            return
        self.forward = forward_function(code, count, shape)
        if self.wanted:
            self.back = backward_function(code, count, self.wanted, shape)


def gates_of(graph: Graph) -> Mapping[int, Gate]:
    """The nodes with attributes, with literals, or not of one or two inputs, by position."""
    if graph.gates is None:
        gates: dict[int, Gate] = {}
        if graph.attrs or graph.literals or graph.many or not _PLAIN.issuperset(graph.codes):
            columns = zip(graph.order, graph.codes, graph.first, graph.second, strict=True)
            gates.update(
                (i, _gate(graph, i, code))
                for i, code, a, b in columns
                if _is_special(graph, i, code, a, b)
            )
        graph.gates = gates
    found: Mapping[int, Gate] = graph.gates
    return found


def _is_special(graph: Graph, i: int, code: int, a: int, b: int) -> bool:
    if code in (MUL, ADD, SUB):
        return False
    if i in graph.attrs or len(graph.many.get(i, (a, b))) > 2:
        return True
    return a < 0 or b < 0 or code not in _PLAIN


def _gate(graph: Graph, i: int, code: int) -> Gate:
    op = REGISTRY.by_code(code)
    attrs = graph.attrs.get(i) or _DEFAULTS[code]
    return Gate(op, graph.sources(i), attrs)


def _chunks(
    order: Sequence[int], *columns: Sequence[int], control: Control | None
) -> Iterator[Iterator[tuple[int, ...]]]:
    """The steps in runs of bounded length, with a look at the clock before each."""
    steps = zip(order, *columns, strict=True)
    for _ in range(0, len(order), _CHUNK):
        if control is not None:
            control.check()
        yield islice(steps, _CHUNK)


def forward(graph: Graph, leaves: Sequence[float], control: Control | None = None) -> list[float]:
    """The value of every node by position, then those of the literals, last one first.

    `leaves` are the values of `graph.leaves` in document order.
    """
    v: list[float] = [0.0] * (len(graph) + len(graph.literals))
    for position, value in zip(sorted(graph.leaves), leaves, strict=True):
        v[position] = value
    for j, literal in enumerate(graph.literals):
        v[-1 - j] = literal
    mul, add, sub, unary, binary, gates = MUL, ADD, SUB, _UNARY, _BINARY, gates_of(graph)
    for steps in _chunks(graph.order, graph.codes, graph.first, graph.second, control=control):
        for i, code, a, b in steps:
            try:
                if code == mul:
                    v[i] = v[a] * v[b]
                elif code == add:
                    v[i] = v[a] + v[b]
                elif code == sub:
                    v[i] = v[a] - v[b]
                elif i in gates:
                    gate = gates[i]
                    v[i] = gate.forward(*[v[source] for source in gate.sources], *gate.numbers)
                elif (function := unary[code]) is not None:
                    v[i] = function(v[a])
                else:
                    v[i] = binary[code](v[a], v[b])
            except RAISED:
                op = REGISTRY.by_code(code)
                args = [v[source] for source in graph.sources(i)]
                v[i] = exact(op, *args, **graph.attributes(i))
    return v


def backward(
    graph: Graph,
    v: Sequence[float],
    seeds: Sequence[tuple[int, float]],
    needed: bytes | None = None,
    control: Control | None = None,
) -> list[float | None]:
    """The gradient at every position that a path joins to a seed, None elsewhere.

    `seeds` are positions with their cotangents; with `needed` (a flag per position), only
    flagged nodes are visited. The entries of literals mean nothing.
    """
    grads: list[Any] = [None] * len(v)
    for position, cotangent in seeds:
        grads[position] = cotangent
    mul, add, sub, gates = MUL, ADD, SUB, gates_of(graph)
    unary, binary = _UNARY_RULE, _BINARY_RULE
    columns = (graph.order, graph.codes, graph.first, graph.second)
    for steps in _chunks(*(column[::-1] for column in columns), control=control):
        for i, code, a, b in steps:
            g = grads[i]
            if g is None or (needed is not None and not needed[i]):
                continue
            if code == mul:
                held = grads[a]
                grads[a] = g * v[b] if held is None else held + g * v[b]
                held = grads[b]
                grads[b] = g * v[a] if held is None else held + g * v[a]
            elif code == add:
                held = grads[a]
                grads[a] = g if held is None else held + g
                held = grads[b]
                grads[b] = g if held is None else held + g
            elif code == sub:
                held = grads[a]
                grads[a] = g if held is None else held + g
                held = grads[b]
                grads[b] = -g if held is None else held - g
            elif i in gates:
                _pull_back(graph, v, grads, i, gates[i])
            elif (rule := unary[code]) is not None:
                try:
                    part = rule(g, v[i], v[a])
                except RAISED:
                    op = REGISTRY.by_code(code)
                    (part,) = exact_parts(op, (0,), _DEFAULTS[code], g, v[i], v[a])
                held = grads[a]
                grads[a] = part if held is None else held + part
            elif (pair := binary[code]) is not None:
                try:
                    part, other = pair(g, v[i], v[a], v[b])
                except RAISED:
                    op = REGISTRY.by_code(code)
                    part, other = exact_parts(op, (0, 1), _DEFAULTS[code], g, v[i], v[a], v[b])
                held = grads[a]
                grads[a] = part if held is None else held + part
                held = grads[b]
                grads[b] = other if held is None else held + other
    return grads


def _pull_back(graph: Graph, v: Sequence[float], grads: list[Any], i: int, gate: Gate) -> None:
    """Add what a gate of another kind contributes to the gradients of its inputs."""
    if gate.back is None:
        return
    args = [v[source] for source in gate.sources]
    try:
        parts = gate.back(grads[i], v[i], *args, *gate.numbers)
        if len(gate.wanted) == 1:
            parts = (parts,)
    except RAISED:
        attrs = graph.attributes(i)
        parts = exact_parts(gate.operator, gate.wanted, attrs, grads[i], v[i], *args)
    for index, part in zip(gate.wanted, parts, strict=True):
        source = gate.sources[index]
        held = grads[source]
        grads[source] = part if held is None else held + part


def _exact_function(op: Operator, wanted: Sequence[int], *rest: Any) -> Any:
    """What `backward_function` gives, by the rule on NumPy scalars."""
    parts = exact_parts(op, wanted, *rest)
    return parts if len(wanted) > 1 else parts[0]


def exact_parts(
    op: Operator,
    wanted: Sequence[int],
    attrs: Mapping[str, Any],
    g: float,
    y: float,
    *args: float,
) -> list[float]:
    """What a gate sends back to the inputs `wanted`, by its rule on NumPy scalars."""
    with np.errstate(all="ignore"):
        numbers = [np.bool_(x) if isinstance(x, bool) else np.float64(x) for x in args]
        parts = op.contributions(wanted, ARRAYS, np.float64(g), np.float64(y), numbers, attrs)
        return [float(part) for _, part in parts]


class Loops:
    """The plan of a graph that runs this way."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def forward(self, leaves: Sequence[float], control: Control | None) -> Sequence[Any]:
        return forward(self._graph, leaves, control)

    def gradient(
        self,
        leaves: Sequence[float],
        position: int,
        seed: float,
        wanted: Sequence[int] | None,
        control: Control | None,
    ) -> tuple[Sequence[Any], Sequence[float | None]]:
        v = forward(self._graph, leaves, control)
        needed = None if wanted is None else reached_from(self._graph, wanted)
        return v, backward(self._graph, v, [(position, seed)], needed, control)


def reached_from(graph: Graph, wanted: Sequence[int]) -> bytes:
    """A flag per position: whether the node depends on a wanted one."""
    reached = bytearray(len(graph) + len(graph.literals))
    for position in wanted:
        reached[position] = 1
    for i, a, b in zip(graph.order, graph.first, graph.second, strict=True):
        sources = graph.many.get(i, (a, b))
        if any(reached[source] for source in sources):
            reached[i] = 1
    return bytes(reached)
