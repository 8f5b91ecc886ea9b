"""What flows back along every single edge of a graph: local gradient times upstream.

The sweep goes over the nodes as the graph was written, so that a composite operator is
one gate, and keeps every term of every sum. It is for looking at a graph; `compute`
is for computing with one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.engine.compute import checked_cotangent, chosen_output, forward
from service.engine.control import Control
from service.engine.gate import gate_at, output_names, sources_of
from service.engine.program import Program, as_tensor

Tensor = Any


@dataclass(frozen=True, slots=True)
class Contribution:
    """One edge of the backward pass.

    `local` is the derivative of the reader's output by this input, element by element;
    None for gates whose derivative is no such tensor (a matrix product). `value` is
    what the edge adds to its source's gradient, in the source's shape. `total` is the
    source's gradient once this has been added; `place` counts the additions from 0.
    """

    target: int
    input_index: int
    source: int
    output: int
    upstream: Tensor
    local: Tensor | None
    value: Tensor
    total: Tensor
    place: int


@dataclass(slots=True)
class Backward:
    """A whole backward pass, edge by edge in the order in which it was done.

    `values` and `gradients` are by (node position, output); a gradient that no path
    joins to the output is missing.
    """

    output: str
    values: dict[tuple[int, int], Tensor]
    gradients: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    edges: list[Contribution] = field(default_factory=list)
    seed: Tensor = 1.0


def output_place(program: Program, name: str) -> tuple[int, int]:
    """The (position, output) that a node name, `s` or `s.1`, stands for."""
    position = program.graph.index.get(name)
    if position is not None:
        return position, 0
    base, _, index = name.rpartition(".")
    return program.graph.index[base], int(index)


def contributions(
    program: Program,
    inputs: Mapping[str, Tensor],
    *,
    output: str | None = None,
    cotangent: Tensor | None = None,
    control: Control | None = None,
) -> Backward:
    """The backward pass from one output with every edge's contribution.

    Tensors have the shape and dtype of the place they belong to. Raises what
    `compute.gradient` raises, and LimitExceeded: every edge has tensors of its own.
    """
    graph = program.graph
    program.limits.check("elements_total", 3 * program.cost.read)
    name = chosen_output(program, output)
    seed = checked_cotangent(program, name, cotangent)
    named = forward(program, inputs, control=control).values or {}
    values: dict[tuple[int, int], Tensor] = {}
    for position in range(len(graph.ids)):
        for index, part in enumerate(output_names(program, position)):
            values[position, index] = as_tensor(named[part], program.spec(part))
    found = Backward(name, values, seed=seed)
    found.gradients[output_place(program, name)] = seed
    places: dict[tuple[int, int], int] = {}
    with np.errstate(all="ignore"):
        for position in reversed(graph.order):
            if control is not None:
                control.check()
            _through_gate(program, position, found, places)
    return found


def _through_gate(
    program: Program, position: int, found: Backward, places: dict[tuple[int, int], int]
) -> None:
    """Add the contributions of one gate to the gradients of what it read."""
    names = output_names(program, position)
    upstream = [found.gradients.get((position, index)) for index in range(len(names))]
    if all(g is None for g in upstream):
        return
    gate = gate_at(program, position)
    if not gate.op.differentiable:
        return
    sources = sources_of(program, position)
    inputs = [
        literal if source.position is None else found.values[source.position, source.output]
        for source, literal in zip(sources, gate.literals, strict=True)
    ]
    outputs = [found.values[position, index] for index in range(len(names))]
    wanted = [
        index
        for index, (source, spec) in enumerate(zip(sources, gate.specs, strict=True))
        if source.position is not None
        and spec.floating
        and program.graph.operator(source.position).name != "constant"
    ]
    terms = gate.pull(upstream, inputs, outputs, wanted)
    locals_ = gate.slopes(inputs, outputs, wanted)
    for index in wanted:
        term = terms.get(index)
        source = sources[index]
        if term is None or source.position is None:
            continue
        key = (source.position, source.output)
        held = found.gradients.get(key)
        total = term if held is None else held + term
        found.gradients[key] = total
        place = places.get(key, 0)
        places[key] = place + 1
        found.edges.append(
            Contribution(
                target=position,
                input_index=index,
                source=source.position,
                output=source.output,
                upstream=upstream[0] if len(upstream) == 1 else tuple(upstream),
                local=locals_.get(index),
                value=term,
                total=total,
                place=place,
            )
        )
