"""Small scalar graphs that come again and again: generated straight-line Python.

To go through the nodes in a loop costs more than their arithmetic. For a graph that has
come often its forward and backward sweep are written out as one Python function, one line
for each step and in the order of the loops in `scalar`, so that both give the same bits.
Nothing that a client wrote stands in the generated text: names, literals and operators are
its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from service.engine.namespaces import FLOATS
from service.engine.operators import REGISTRY
from service.engine.program import Program
from service.engine.run.floats import _ADD, _BINARY, _MUL, _RAISED, _SUB, _UNARY, _UNARY_RULE

MOST_NODES = 100
"""The text of a larger graph would cost more memory and time than it gains."""
OFTEN = 32
"""It is written when the graph comes for this time; by then the work is repaid."""

Sweeps = Callable[[Mapping[str, float]], tuple[tuple[float, ...], tuple[float, ...]]]


class Straight:
    """How often a program's plain gradient was asked for, and then its sweeps.

    "Plain" is the gradient of the only output by all inputs, with cotangent 1.
    """

    __slots__ = ("_asked", "_sweeps", "ids", "output", "position", "targets")

    def __init__(self, program: Program) -> None:
        graph = program.graph
        self.output = program.outputs[0]
        self.position = graph.index.get(self.output, -1)
        self.ids = graph.ids
        self.targets = program.floating_inputs
        self._asked = 0
        self._sweeps: Sweeps | None = None
        if (
            len(graph) > MOST_NODES
            or len(program.outputs) != 1
            or self.position < 0
            or not program.spec(self.output).floating
        ):
            self._asked = OFTEN + 1

    def run(
        self, program: Program, inputs: Mapping[str, float]
    ) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """All values by position, and the gradients of `targets`.

        None where the loops must do it: not often yet, too large, or something isn't finite.
        """
        sweeps = self._sweeps
        if sweeps is None:
            if self._asked > OFTEN:
                return None
            self._asked += 1
            if self._asked == OFTEN:
                self._sweeps = written(program)
                self._asked += 1
            return None
        try:
            values, gradients = sweeps(inputs)
        except _RAISED:
            return None
        if math.isfinite(values[self.position]) and math.isfinite(sum(gradients)):
            return values, gradients
        return None


def straight(program: Program) -> Straight:
    """The program's own, made once."""
    if program.straight is None:
        program.straight = Straight(program)
    found: Straight = program.straight
    return found


def written(program: Program) -> Sweeps | None:
    """Forward and backward sweep as one function; None for operators that take attributes."""
    graph = program.graph
    names: dict[str, Any] = {"F": FLOATS}
    lines = ["def sweeps(inputs):", " get = inputs.get"]

    def argument(value: Any) -> str:
        name = f"k{len(names)}"
        names[name] = value
        return name

    def slot(position: int) -> str:
        return f"v{position}" if position >= 0 else literals[-1 - position]

    literals = [argument(value) for value in graph.literals]
    for position, leaf in sorted(graph.leaves.items()):
        key, default = argument(graph.ids[position]), argument(leaf.value)
        lines.append(f" v{position} = float(get({key}, {default}))")
    steps = list(zip(graph.order, graph.codes, graph.first, graph.second, strict=True))
    for i, code, a, b in steps:
        if i in graph.many or REGISTRY.by_code(code).attributes:
            return None
        x, y = slot(a), slot(b)
        if code in _SIGNS:
            lines.append(f" v{i} = {x} {_SIGNS[code]} {y}")
        elif _UNARY[code] is not None:
            lines.append(f" v{i} = {argument(_UNARY[code])}({x})")
        else:
            lines.append(f" v{i} = {argument(_BINARY[code])}({x}, {y})")
    reached = {graph.index[program.outputs[0]]}
    lines.append(f" g{graph.index[program.outputs[0]]} = 1.0")

    def add(source: int, part: str, sign: str = "+") -> None:
        if source < 0:
            return
        if source in reached:
            lines.append(f" g{source} = g{source} {sign} {part}")
        else:
            reached.add(source)
            lines.append(f" g{source} = {'-' if sign == '-' else ''}{part}")

    for i, code, a, b in reversed(steps):
        if i not in reached:
            continue
        x, y, g = slot(a), slot(b), f"g{i}"
        if code == _MUL:
            add(a, f"{g} * {y}")
            add(b, f"{g} * {x}")
        elif code == _ADD:
            add(a, g)
            add(b, g)
        elif code == _SUB:
            add(a, g)
            add(b, g, "-")
        elif (rule := _UNARY_RULE[code]) is not None:
            add(a, f"{argument(rule)}(F, {g}, v{i}, {x})")
        else:
            for place, source in enumerate(graph.sources(i)):
                rule = REGISTRY.by_code(code).rule(place) if source >= 0 else None
                if rule is not None:
                    taken = ", ".join(map(slot, graph.sources(i)))
                    add(source, f"{argument(rule)}(F, {g}, v{i}, {taken})")
    values = "".join(f"v{i}, " for i in range(len(graph)))
    found = [graph.index[name] for name in program.floating_inputs]
    gradients = "".join(f"g{i}, " if i in reached else "0.0, " for i in found)
    lines.append(f" return ({values}), ({gradients})")
    exec("\n".join(lines), names)
    made: Sweeps = names["sweeps"]
    return made


_SIGNS = {_MUL: "*", _ADD: "+", _SUB: "-"}
