"""What flows back along every single edge of a graph: local gradient times upstream.

The sweep goes over the nodes as the graph was written, so that a composite operator is
one gate, and keeps every term of every sum. It is for looking at a graph; `compute`
is for computing with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.engine.compute import checked_cotangent, chosen_output, forward
from service.engine.control import Control
from service.engine.namespaces import ARRAYS
from service.engine.program import Program, as_tensor
from service.engine.registry import Operator, TensorSpec
from service.engine.run.backward import pull_back, unbroadcast
from service.engine.run.forward import run
from service.engine.trace import Builder, Traced

Tensor = Any


@dataclass(frozen=True, slots=True)
class Source:
    """What an input of a node is: output `output` of node `position`, or a literal."""

    position: int | None
    output: int = 0
    literal: float | bool | None = None


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


def sources_of(program: Program, position: int) -> tuple[Source, ...]:
    """The inputs of the node at `position`."""
    graph = program.graph
    found = []
    for source in graph.sources(position):
        if source >= 0:
            found.append(Source(source))
        elif source in graph.projections:
            found.append(Source(*graph.projections[source]))
        else:
            found.append(Source(None, literal=graph.literal(source)))
    return tuple(found)


def output_names(program: Program, position: int) -> tuple[str, ...]:
    """The names of a node's outputs: its own, or `id.0`, `id.1`, ..."""
    name, names = program.graph.ids[position], program.code.names
    if f"{name}.0" not in names or f"{name}.0" in program.graph.index:
        return (name,)
    count = 0
    while f"{name}.{count}" in names:
        count += 1
    return tuple(f"{name}.{index}" for index in range(count))


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
    `compute.gradient` raises.
    """
    graph = program.graph
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
    op = program.graph.operator(position)
    if not op.differentiable:
        return
    sources = sources_of(program, position)
    specs = [_spec_of(program, source) for source in sources]
    inputs = [
        as_tensor(source.literal, spec)
        if source.position is None
        else found.values[source.position, source.output]
        for source, spec in zip(sources, specs, strict=True)
    ]
    outputs = [found.values[position, index] for index in range(len(names))]
    attrs = program.graph.attributes(position)
    wanted = [
        index
        for index, (source, spec) in enumerate(zip(sources, specs, strict=True))
        if source.position is not None
        and spec.floating
        and program.graph.operator(source.position).name != "constant"
    ]
    terms = gate_terms(op, attrs, specs, inputs, outputs, upstream, wanted, program.dtype)
    locals_ = _locals(op, attrs, specs, inputs, outputs, wanted, program.dtype)
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


def _spec_of(program: Program, source: Source) -> TensorSpec:
    if source.position is None:
        return TensorSpec((), "bool" if isinstance(source.literal, bool) else program.dtype)
    return program.spec(output_names(program, source.position)[source.output])


def gate_terms(
    op: Operator,
    attrs: Mapping[str, Any],
    specs: Sequence[TensorSpec],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    upstream: Sequence[Tensor | None],
    wanted: Sequence[int],
    dtype: str = "float64",
) -> dict[int, Tensor]:
    """What one gate sends back to each of its `wanted` inputs, by input index."""
    if op.composite:
        return _composite_terms(op, attrs, specs, inputs, upstream, wanted, dtype)
    several = op.outputs > 1 or len(outputs) > 1
    g, y = (tuple(upstream), tuple(outputs)) if several else (upstream[0], outputs[0])
    terms = {}
    for index, term in op.contributions(wanted, ARRAYS, g, y, inputs, attrs):
        if term is not None:
            term = unbroadcast(ARRAYS, term, specs[index])
            terms[index] = np.asarray(term, dtype=specs[index].dtype)[()]
    return terms


def _composite_terms(
    op: Operator,
    attrs: Mapping[str, Any],
    specs: Sequence[TensorSpec],
    inputs: Sequence[Tensor],
    upstream: Sequence[Tensor | None],
    wanted: Sequence[int],
    dtype: str,
) -> dict[int, Tensor]:
    """The terms of an operator that is made of others, by a sweep over its expansion."""
    builder = Builder(dtype)
    stand_ins = [builder.input(str(index), spec) for index, spec in enumerate(specs)]
    assert op.expand is not None
    made: Traced | tuple[Traced, ...] = op.expand(builder, *stand_ins, **attrs)
    results = made if isinstance(made, tuple) else (made,)
    values = run(builder.code, {str(index): value for index, value in enumerate(inputs)})
    cotangents: dict[int, Tensor] = {}
    for result, g in zip(results, upstream, strict=True):
        if g is not None:
            held = cotangents.get(result.slot)
            cotangents[result.slot] = g if held is None else held + g
    slots = {index: stand_ins[index].slot for index in wanted}
    grads = pull_back(ARRAYS, builder.code, values, cotangents, list(slots.values()))
    return {index: grads[slot] for index, slot in slots.items() if slot in grads}


def _locals(
    op: Operator,
    attrs: Mapping[str, Any],
    specs: Sequence[TensorSpec],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    wanted: Sequence[int],
    dtype: str,
) -> dict[int, Tensor]:
    """The derivative by each input, where it is a number per element of the output.

    So it is for elementwise operators, and wherever input and output are both scalars.
    """
    if len(outputs) != 1:
        return {}
    y = np.asarray(outputs[0])
    wanted = [i for i in wanted if op.elementwise or (specs[i].shape == () and y.shape == ())]
    if not wanted:
        return {}
    ones = np.ones(y.shape, y.dtype)[()]
    same = TensorSpec(y.shape, str(y.dtype))
    spread = [
        same if index in wanted and spec.floating else spec for index, spec in enumerate(specs)
    ]
    if op.composite:
        inputs = [
            np.broadcast_to(x, y.shape) if index in wanted else x for index, x in enumerate(inputs)
        ]
    return gate_terms(op, attrs, spread, inputs, outputs, [ones], wanted, dtype)
