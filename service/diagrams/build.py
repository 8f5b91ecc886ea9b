"""The circuit of a program: what the engine knows, as something that can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from service.diagrams import numbers, text
from service.diagrams.circuit import Circuit, Edge, Node, Wire
from service.diagrams.summary import summarised
from service.diagrams.symbols import symbol
from service.engine.compute import forward
from service.engine.contributions import (
    Backward,
    Contribution,
    contributions,
    output_names,
    output_place,
    sources_of,
)
from service.engine.control import Control
from service.engine.program import Program, as_tensor

MAX_NODES = 300
"""Graphs with more nodes are summarised."""


def circuit_of(
    program: Program,
    inputs: Mapping[str, Any],
    *,
    output: str | None = None,
    gradients: bool = True,
    cotangent: Any = None,
    max_nodes: int = MAX_NODES,
    control: Control | None = None,
) -> Circuit:
    """The circuit with its values, and the gradients of `output` (or the only one).

    A tensor output needs no cotangent here: ones are taken, and the circuit says so.
    Without `gradients` only values are shown. Above `max_nodes` nodes it is summarised,
    without values. Raises what `compute.gradient` raises.
    """
    if len(program.graph) > max_nodes:
        return summarised(plain(program, output), max_nodes)
    found, note = None, ""
    if gradients:
        name = output
        if name is None and len(program.outputs) > 1:
            name = program.outputs[0]
        if name is None:
            name = program.outputs[0]
        spec = program.spec(name) if name in program.graph.index else None
        if spec is not None and spec.shape != () and spec.floating and cotangent is None:
            cotangent = np.ones(spec.shape, spec.dtype)
            note = f"gradients are those of sum({name})"
        elif len(program.outputs) > 1:
            note = f"gradients are those of {name}"
        found = contributions(program, inputs, output=name, cotangent=cotangent, control=control)
        values = found.values
    else:
        named = forward(program, inputs, control=control).values or {}
        values = {
            (position, index): as_tensor(named[part], program.spec(part))
            for position in range(len(program.graph.ids))
            for index, part in enumerate(output_names(program, position))
        }
    return _circuit(program, output, values, found, note)


def plain(program: Program, output: str | None = None) -> Circuit:
    """The circuit without values."""
    return _circuit(program, output, None, None, "")


def _circuit(
    program: Program,
    output: str | None,
    values: Mapping[tuple[int, int], Any] | None,
    found: Backward | None,
    note: str,
) -> Circuit:
    graph = program.graph
    along: dict[tuple[int, int], Contribution] = {}
    if found is not None:
        along = {(edge.target, edge.input_index): edge for edge in found.edges}
    nodes, edges = [], []
    drawn = _drawn(program, output)
    for position in drawn:
        name, op = graph.ids[position], graph.operator(position)
        inputs = sources_of(program, position)
        wires = _wires(program, position, values, found)
        if not inputs:
            kind = "constant" if op.name == "constant" else "input"
            label = text.clipped(name, 24)
            if kind == "constant" and name.startswith("_"):
                label = wires[0].value or label
            nodes.append(Node(name, label, kind, op.name, wires=wires, tip=name))  # type: ignore[arg-type]
            continue
        sign = symbol(op.name, [source.literal for source in inputs])
        caption = "" if name.startswith("_") else text.clipped(name, 18)
        tip = f"{name} = {op.name}" + (f": {op.formula}" if op.formula else "")
        if op.gradient_formula:
            tip += f"\nlocal gradients: {op.gradient_formula}"
        nodes.append(Node(name, text.clipped(sign, 16), "gate", op.name, caption, tip, wires))
        for index, source in enumerate(inputs):
            if source.position is None:
                continue
            edge = along.get((position, index))
            edges.append(
                Edge(
                    graph.ids[source.position],
                    name,
                    index,
                    source.output,
                    None if edge is None else numbers.tensor(edge.value),
                    "" if edge is None else _edge_tip(edge),
                )
            )
    outputs = (output,) if output is not None else program.outputs
    places = [output_place(program, one) for one in outputs]
    ends = tuple((graph.ids[position], index) for position, index in places)
    title = "Computation graph of " + ", ".join(outputs[:4])
    return Circuit(tuple(nodes), tuple(edges), ends, title, note)


def _drawn(program: Program, output: str | None) -> list[int]:
    """The positions to draw: all, or those that `output` depends on."""
    graph = program.graph
    every = [*sorted(graph.leaves), *graph.order]
    if output is None:
        return every
    needed = {output_place(program, output)[0]}
    for position in reversed(graph.order):
        if position in needed:
            needed.update(
                source.position
                for source in sources_of(program, position)
                if source.position is not None
            )
    return [position for position in every if position in needed]


def _wires(
    program: Program,
    position: int,
    values: Mapping[tuple[int, int], Any] | None,
    found: Backward | None,
) -> tuple[Wire, ...]:
    wires = []
    constant = program.graph.operator(position).name == "constant"
    for index, part in enumerate(output_names(program, position)):
        spec = program.spec(part)
        value = None if values is None else numbers.tensor(values[position, index])
        gradient = None
        if found is not None and spec.floating and not constant:
            g = found.gradients.get((position, index))
            gradient = numbers.tensor(np.zeros(spec.shape) if g is None else g)
        wires.append(Wire(value, gradient, spec.shape))
    return tuple(wires)


def _edge_tip(edge: Contribution) -> str:
    """Local gradient times upstream gradient, for the tooltip of an edge."""
    if isinstance(edge.upstream, tuple):
        return f"contributes {numbers.full(edge.value)}"
    if edge.local is None:
        return f"upstream {numbers.full(edge.upstream)}\ncontributes {numbers.full(edge.value)}"
    return (
        f"local gradient {numbers.full(edge.local)}\n× upstream {numbers.full(edge.upstream)}\n"
        f"= {numbers.full(edge.value)}"
    )
