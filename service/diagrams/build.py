"""The circuit of a program: what the engine knows, as something that can be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from service.diagrams import numbers, text
from service.diagrams.cells import Cells, cells
from service.diagrams.circuit import Circuit, Edge, Node, Wire
from service.diagrams.summary import summarised
from service.diagrams.symbols import symbol
from service.engine.compute import chosen_output, forward
from service.engine.contributions import (
    Backward,
    Contribution,
    contributions,
    output_place,
)
from service.engine.control import Control
from service.engine.gate import Source, output_names, sources_of
from service.engine.program import Program, as_tensor
from service.engine.registry import Argument

Tensors = Literal["norm", "cells"]

MAX_NODES = 300
"""Graphs with more nodes, or with ten times as many edges, are summarised."""


def is_large(program: Program, max_nodes: int = MAX_NODES) -> bool:
    """Whether the circuit of a program is shown as a summary."""
    return len(program.graph) > max_nodes or program.cost.edges > 10 * max_nodes


def circuit_of(
    program: Program,
    inputs: Mapping[str, Any],
    *,
    output: str | None = None,
    gradients: bool = True,
    cotangent: Any = None,
    tensors: Tensors = "norm",
    max_nodes: int = MAX_NODES,
    control: Control | None = None,
) -> Circuit:
    """The circuit with its values, and the gradients of `output` (or the only one).

    A tensor output needs no cotangent here: ones are taken, and the circuit says so.
    With `tensors` "cells" a tensor is drawn entry by entry, else by its norm.
    Without `gradients` only values are shown. Above `max_nodes` nodes it is summarised,
    without values. Raises what `compute.gradient` raises.
    """
    if is_large(program, max_nodes):
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
    return _circuit(program, output, values, found, note, tensors)


def plain(program: Program, output: str | None = None) -> Circuit:
    """The circuit without values."""
    if output is not None:
        output = chosen_output(program, output)
    return _circuit(program, output, None, None, "", "norm")


def _circuit(
    program: Program,
    output: str | None,
    values: Mapping[tuple[int, int], Any] | None,
    found: Backward | None,
    note: str,
    tensors: Tensors,
) -> Circuit:
    graph = program.graph
    along: dict[tuple[int, int], Contribution] = {}
    if found is not None:
        along = {(edge.target, edge.input_index): edge for edge in found.edges}
    nodes, edges = [], []
    drawn = _drawn(program, output)
    views, labels = _views(program, drawn), _labels(program, drawn)
    for position in drawn:
        name, op = graph.ids[position], graph.operator(position)
        if position in views:
            continue
        inputs = sources_of(program, position)
        whole = position in labels
        wires = _wires(program, position, values, None if whole else found, tensors, whole)
        if not inputs:
            kind = "constant" if op.name == "constant" else "input"
            label = text.clipped(name, 24)
            if kind == "constant" and name.startswith("_"):
                label = wires[0].value or label
            nodes.append(Node(name, label, kind, op.name, wires=wires, tip=name))  # type: ignore[arg-type]
            continue
        sign = _subscript(program, position, views) or symbol(
            op.name, [source.literal for source in inputs]
        )
        caption = "" if name.startswith("_") else text.clipped(name, 18)
        tip = f"{name} = {op.name}" + (f": {op.formula}" if op.formula else "")
        if op.gradient_formula:
            tip += f"\nlocal gradients: {op.gradient_formula}"
        nodes.append(Node(name, text.clipped(sign, 16), "gate", op.name, caption, tip, wires))
        for index, source in enumerate(inputs):
            if source.position is None:
                continue
            edge = along.get((position, index))
            driver = source.position
            if driver in views:
                edge = along.get((driver, 0))
                (source,) = sources_of(program, driver)
                assert source.position is not None
                driver = source.position
            edges.append(
                Edge(
                    graph.ids[driver],
                    name,
                    index,
                    source.output,
                    None if edge is None else numbers.tensor(edge.value),
                    "" if edge is None else _edge_tip(edge),
                    gradient_cells=None if edge is None else _cells(edge.value, tensors),
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
    tensors: Tensors,
    whole_numbers: bool,
) -> tuple[Wire, ...]:
    wires = []
    constant = program.graph.operator(position).name == "constant"
    for index, part in enumerate(output_names(program, position)):
        spec = program.spec(part)
        whole = Wire(shape=spec.shape)
        if values is not None:
            value = np.asarray(values[position, index], np.int64 if whole_numbers else None)
            whole = replace(whole, value=numbers.tensor(value), value_cells=_cells(value, tensors))
        if found is not None and spec.floating and not constant:
            g = found.gradients.get((position, index))
            g = np.zeros(spec.shape) if g is None else g
            whole = replace(whole, gradient=numbers.tensor(g), gradient_cells=_cells(g, tensors))
        wires.append(whole)
    return tuple(wires)


def _cells(value: Any, tensors: Tensors) -> Cells | None:
    return cells(value) if tensors == "cells" else None


def _labels(program: Program, drawn: Sequence[int]) -> set[int]:
    """The leaves that serve as labels or indices alone: whole numbers without a gradient."""
    graph = program.graph
    read: dict[int, bool] = {}
    for position in drawn:
        op, sources = graph.operator(position), sources_of(program, position)
        ranks = [_rank(program, source) for source in sources]
        classes = op.group == "loss" and len(ranks) == 2 and ranks[1] == ranks[0] - 1
        for place, source in enumerate(sources):
            if source.position is not None:
                label = place in op.indices or (classes and place == 1)
                read[source.position] = read.get(source.position, True) and label
    return {position for position in graph.leaves if read.get(position, False)}


def _rank(program: Program, source: Source) -> int:
    if source.position is None:
        return 0
    return len(program.spec(output_names(program, source.position)[source.output]).shape)


def _views(program: Program, drawn: Sequence[int]) -> set[int]:
    """The unnamed slices that one unnamed `squeeze` alone reads: x[0] is drawn as one gate."""
    graph = program.graph
    readers: dict[int, int] = {}
    for position in drawn:
        for source in sources_of(program, position):
            if source.position is not None:
                readers[source.position] = readers.get(source.position, 0) + 1
    found = set()
    for position in drawn:
        if graph.operator(position).name == "squeeze":
            (source,) = sources_of(program, position)
            inner = source.position
            if inner is None or graph.operator(inner).name != "slice":
                continue
            if graph.ids[inner].startswith("_") and readers[inner] == 1:
                found.add(inner)
    return found


def _subscript(program: Program, position: int, views: set[int]) -> str:
    """[0] for a gate that reads a part of its input; "" for any other."""
    graph = program.graph
    shape = None
    if graph.operator(position).name == "squeeze":
        (source,) = sources_of(program, position)
        if source.position not in views:
            return ""
        shape, position = program.spec(graph.ids[position]).shape, source.position
    op = graph.operator(position)
    if op.name != "slice" or not callable(op.code):
        return ""
    (source,) = sources_of(program, position)
    assert source.position is not None
    name = output_names(program, source.position)[source.output]
    whole = Argument("", program.spec(name))
    return op.code(whole, result=shape, **graph.attributes(position)) or ""


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
