"""Small scalar graphs that come again and again: generated straight-line Python.

To go through the nodes in a loop costs more than their arithmetic. For a graph that has
come often its forward and backward sweep are written out as one Python function, one line
for each step and in the order of the loops in `scalar`, so that both give the same bits.
Nothing that a client wrote stands in the generated text: names and literals are its
arguments, and of attributes only numbers and choices that the registration knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.engine.program import Program
from service.engine.run.floats import RAISED
from service.engine.run.number_code import FUNCTIONS, Number, NumberCode

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
            len(graph) + sum(map(len, graph.many.values())) > MOST_NODES
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
        except RAISED:
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


def written(program: Program) -> Sweeps:
    """Forward and backward sweep of the program's only output as one function."""
    graph = program.graph
    names: dict[str, Any] = dict(FUNCTIONS)
    lines = ["def sweeps(inputs):", " get = inputs.get"]

    def argument(value: Any) -> str:
        name = f"k{len(names)}"
        names[name] = value
        return name

    for position, leaf in sorted(graph.leaves.items()):
        key, default = argument(graph.ids[position]), argument(leaf.value)
        lines.append(f" v{position} = float(get({key}, {default}))")

    def numbers(code: NumberCode, positions: Sequence[int]) -> list[Number]:
        return [
            Number(code, f"v{p}") if p >= 0 else Number(code, literals[-1 - p], graph.literal(p))
            for p in positions
        ]

    literals = [argument(value) for value in graph.literals]
    for i in graph.order:
        text, op = NumberCode(), graph.operator(i)
        result = text.emit(op, numbers(text, graph.sources(i)), graph.attributes(i))
        lines += [f" {line}" for line in text.lines]
        lines.append(f" v{i} = {result.name}")
    output = graph.index[program.outputs[0]]
    reached = {output}
    lines.append(f" g{output} = 1.0")
    for i in reversed(graph.order):
        op = graph.operator(i)
        if i not in reached or not op.differentiable:
            continue
        text, sources = NumberCode(), graph.sources(i)
        inputs = numbers(text, sources)
        wanted = [index for index, source in enumerate(sources) if source >= 0]
        g, y = Number(text, f"g{i}"), Number(text, f"v{i}")
        parts = text.pull_back(op, wanted, g, y, inputs, graph.attributes(i))
        lines += [f" {line}" for line in text.lines]
        for index, part in parts.items():
            source = sources[index]
            lines.append(f" g{source} = {f'g{source} + ' * (source in reached)}{part.name}")
            reached.add(source)
    values = "".join(f"v{i}, " for i in range(len(graph)))
    found = [graph.index[name] for name in program.floating_inputs]
    gradients = "".join(f"g{i}, " if i in reached else "0.0, " for i in found)
    lines.append(f" return ({values}), ({gradients})")
    exec("\n".join(lines), names)
    made: Sweeps = names["sweeps"]
    return made
