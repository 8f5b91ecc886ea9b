"""What a graph is without being run: order, shapes, dtypes and cost, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.engine.compute import document_names
from service.engine.control import Limits
from service.engine.errors import Fault, GraphError, escaped
from service.engine.graph import Graph
from service.engine.program import SCALAR, Program, abstract_program, tensor_spec
from service.engine.registry import TensorSpec
from service.wire.tensors import check_shape


def analysis(
    graph: Graph,
    shapes: Mapping[str, Sequence[int]],
    inputs: Mapping[str, Any],
    dtype: str,
    limits: Limits,
) -> dict[str, Any]:
    """Evaluation order; per node shape, dtype, flops, bytes; totals of one forward run.

    Raises GraphError with every shape that doesn't fit, LimitExceeded for a graph that is
    too large to be run.
    """
    specs = _input_specs(graph, shapes, inputs, dtype, limits)
    program = abstract_program(graph, specs, dtype, limits)
    if graph.scalar and dtype == "float64" and set(specs.values()) <= {SCALAR}:
        program = Program(graph, dtype, None, limits, {})
        nodes = _scalar_nodes(graph, program)
    else:
        nodes = _nodes(program)
    cost = program.cost
    return {
        "outputs": list(program.outputs),
        "order": program.order,
        "nodes": nodes,
        "totals": {
            "nodes": len(graph),
            "elements": cost.elements,
            "flops": cost.flops,
            "bytes": sum(node["bytes"] for node in nodes.values()),
        },
    }


def _input_specs(
    graph: Graph,
    shapes: Mapping[str, Sequence[int]],
    inputs: Mapping[str, Any],
    dtype: str,
    limits: Limits,
) -> dict[str, TensorSpec]:
    """The specs of the inputs that shapes or values were given for."""
    leaves = graph.inputs
    specs: dict[str, TensorSpec] = {}
    faults = []
    for name, value in inputs.items():
        if name in leaves:
            specs[name] = tensor_spec(value, leaves[name], dtype)
        else:
            place = f"#/inputs/{escaped(name)}"
            detail = f"'{name[:64]}' is not an input"
            faults.append(Fault("unused_input", detail, node=name[:64], pointer=place))
    for name, shape in shapes.items():
        leaf = leaves.get(name)
        known = check_shape(shape, f"#/shapes/{escaped(name)}", limits)
        specs[name] = TensorSpec(known, (leaf and leaf.dtype) or dtype)
        if leaf is not None and leaf.shape not in (None, tuple(shape)):
            declared = leaf.shape or ()
            faults.append(
                Fault(
                    "shape_mismatch",
                    f"input '{name}' is declared {declared}, its shape here is {tuple(shape)}",
                    node=name,
                    shapes=(declared, tuple(shape)),
                    pointer=f"#/shapes/{escaped(name)}",
                )
            )
    if faults:
        raise GraphError(faults)
    return specs


def _scalar_nodes(graph: Graph, program: Program) -> dict[str, dict[str, Any]]:
    nodes = {}
    for position, name in enumerate(graph.ids):
        spec = program.spec(name)
        flops = int(position not in graph.leaves)
        nodes[name] = {"shape": [], "dtype": spec.dtype, "flops": flops, "bytes": spec.nbytes}
    return nodes


def _nodes(program: Program) -> dict[str, dict[str, Any]]:
    """By node in document order; a composite's steps are counted with their node."""
    code = program.code
    flops: dict[str, int] = {}
    pending = 0
    for slot, step in enumerate(code.steps):
        pending += code.flops(slot)
        if step.name is not None:
            flops[step.name] = pending
            pending = 0
    nodes = {}
    for name, slot in document_names(program):
        spec = code.steps[slot].spec
        nodes[name] = {
            "shape": list(spec.shape),
            "dtype": spec.dtype,
            "flops": flops.get(name, 0),
            "bytes": spec.nbytes,
        }
    return nodes
