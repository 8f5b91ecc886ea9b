"""Scalar graphs on Python floats: forward and backward in plain loops over flat lists.

No 0-d arrays: they are an order of magnitude slower. The commonest gates are written
out in the loops; the others go through the functions and rules of their registration.
Where Python raises (division by zero, overflow, a logarithm of zero), the value is the
one that NumPy, and so IEEE 754, gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from service.engine.control import Control
from service.engine.graph import Graph
from service.engine.namespaces import ARRAYS, FLOATS, exact, float_function
from service.engine.operators import REGISTRY
from service.engine.registry import Rule

_RAISED = (ZeroDivisionError, OverflowError, ValueError)
_CHUNK = 50_000

_ADD, _SUB, _MUL = (REGISTRY.codes[name] for name in ("add", "subtract", "multiply"))

_UNARY: list[Callable[[float], float] | None] = [
    float_function(op) if op.elementwise and op.arity == (1, 1) and not op.attributes else None
    for op in REGISTRY
]
_UNARY_RULE: list[Rule | None] = [
    op.rule(0) if _UNARY[code] is not None else None for code, op in enumerate(REGISTRY)
]


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
    mul, add, sub, unary, many = _MUL, _ADD, _SUB, _UNARY, graph.many
    for steps in _chunks(graph.order, graph.codes, graph.first, graph.second, control=control):
        for i, code, a, b in steps:
            try:
                if code == mul:
                    v[i] = v[a] * v[b]
                elif code == add:
                    v[i] = v[a] + v[b]
                elif code == sub:
                    v[i] = v[a] - v[b]
                elif (function := unary[code]) is not None:
                    v[i] = function(v[a])
                elif i in many:
                    v[i] = _general(graph, i, code, [v[source] for source in many[i]])
                elif i in graph.attrs:
                    v[i] = _general(graph, i, code, [v[a], v[b]][: 1 + (a != b)])
                else:
                    v[i] = _BINARY[code](v[a], v[b])
            except _RAISED:
                op = REGISTRY.by_code(code)
                args = [v[source] for source in graph.sources(i)]
                v[i] = exact(op, *args, **graph.attributes(i))
    return v


def _binary(code: int) -> Callable[..., float]:
    op = REGISTRY.by_code(code)
    function = float_function(op)
    if op.arity == (1, 1):  # a function of one input that takes attributes, at its defaults
        defaults = {name: attribute.default for name, attribute in op.attributes.items()}
        return lambda a, _: function(a, **defaults)
    return function


_BINARY: list[Callable[..., float]] = [_binary(code) for code in range(len(REGISTRY))]


def _general(graph: Graph, position: int, code: int, args: list[float]) -> float:
    op = REGISTRY.by_code(code)
    result: float = float_function(op)(*args, **graph.attributes(position))
    return result


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
    mul, add, sub, unary, many = _MUL, _ADD, _SUB, _UNARY_RULE, graph.many
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
            elif (rule := unary[code]) is not None:
                try:
                    part = rule(FLOATS, g, v[i], v[a])
                except _RAISED:
                    part = _exact_rule(rule, g, v[i], [v[a]], {})
                held = grads[a]
                grads[a] = part if held is None else held + part
            else:
                sources = many[i] if i in many else graph.sources(i)
                _pull_back_general(graph, v, grads, i, code, sources)
    return grads


def _pull_back_general(
    graph: Graph, v: Sequence[float], grads: list[Any], i: int, code: int, sources: Sequence[int]
) -> None:
    """Add the contributions of one node of any kind to the gradients of its inputs."""
    op = REGISTRY.by_code(code)
    attrs = graph.attributes(i) if op.attributes else {}
    args = [v[source] for source in sources]
    for index, source in enumerate(sources):
        rule = op.rule(index) if source >= 0 else None
        if rule is None:
            continue
        try:
            part = rule(FLOATS, grads[i], v[i], *args, **attrs)
        except _RAISED:
            part = _exact_rule(rule, grads[i], v[i], args, attrs)
        held = grads[source]
        grads[source] = part if held is None else held + part


def _exact_rule(
    rule: Rule, g: float, y: float, args: Sequence[float], attrs: dict[str, Any]
) -> float:
    """The rule run on NumPy scalars, where its Python form raised."""
    with np.errstate(all="ignore"):
        numbers = [np.bool_(x) if isinstance(x, bool) else np.float64(x) for x in args]
        return float(rule(ARRAYS, np.float64(g), np.float64(y), *numbers, **attrs))


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
