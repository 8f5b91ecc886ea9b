"""The graph that computes a graph's gradients, in the form in which graphs are written.

It can be sent like any other graph: to run it gives the gradients, to differentiate it
gives the next order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.engine.compute import checked_cotangent, chosen_inputs, chosen_output, document_names
from service.engine.control import Control
from service.engine.errors import Fault, GraphError
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.operators import REGISTRY
from service.engine.operators.leaves import PROJECT
from service.engine.program import Program
from service.engine.run.backward import pull_back
from service.engine.trace import Builder, Traced
from service.engine.transform import replay, stand_ins, zeros

_INPUT, _CONSTANT = REGISTRY["input"], REGISTRY["constant"]
_IDENTITY = REGISTRY["identity"]


@dataclass(slots=True)
class GradientGraph:
    """`gradients` names, per input (per sequence of inputs, joined by a space, for higher
    orders), the node of `spec` that holds the derivative."""

    spec: GraphSpec
    gradients: dict[str, str]


def gradient_graph(
    program: Program,
    *,
    output: str | None = None,
    wrt: Sequence[str] | None = None,
    order: int = 1,
    control: Control | None = None,
) -> GradientGraph:
    """The graph of the derivatives of a scalar output, up to `order`.

    Its outputs are the derivatives of that order; nodes that the gradient needs keep
    their names, the gradient on `x` is called `dx`. Raises GraphError (not_scalar,
    not_differentiable, ...), LimitExceeded (order, derived_nodes).
    """
    program.limits.check("order", order)
    name = chosen_output(program, output)
    checked_cotangent(program, name, None)
    targets = chosen_inputs(program, wrt)
    builder = Builder(
        program.dtype, share=True, limits=program.limits, control=control, derived=True
    )
    values = replay(builder, program.code)
    labels: dict[int, str] = {}
    for node, slot in document_names(program):
        labels.setdefault(values[slot].slot, node)
    taken = set(labels.values()) | set(program.graph.ids)
    places = {target: values[program.slot(target)] for target in targets}
    frontier: dict[str, tuple[str, Traced]] = {"": ("", values[program.slot(name)])}
    for _ in range(order):
        frontier = _next_order(builder, frontier, places, labels, taken, control)
    made = {key: stand_in.slot for key, (_, stand_in) in frontier.items()}
    return _as_spec(program, builder, made, labels, taken)


def _next_order(
    builder: Builder,
    frontier: Mapping[str, tuple[str, Traced]],
    places: Mapping[str, Traced],
    labels: dict[int, str],
    taken: set[str],
    control: Control | None,
) -> dict[str, tuple[str, Traced]]:
    """Differentiate everything in `frontier` with respect to every place."""
    found: dict[str, tuple[str, Traced]] = {}
    for key, (path, function) in frontier.items():
        if function.shape != ():
            raise GraphError(
                [
                    Fault(
                        "not_scalar",
                        f"the derivative with respect to '{key}' has shape {function.shape}; "
                        "only that of a scalar can be taken further",
                        shapes=(function.shape,),
                        pointer="#/order",
                        hint="use /v1/hessian or /v1/hvp for tensors",
                    )
                ]
            )
        nodes = dict(labels)
        one = builder.literal(1.0, function.dtype)
        every = {place.slot for place in places.values()}
        if not path:
            every |= set(nodes)
        grads = pull_back(
            builder,
            builder.code,
            stand_ins(builder),
            {function.slot: one},
            every,
            control=control,
        )
        for target, place in places.items():
            made = grads.get(place.slot)
            if made is None:
                made = zeros(builder, place.spec)
            found[f"{key} {target}".strip()] = (f"{path}d{target}", made)
        for slot, node in nodes.items():
            if slot in grads and grads[slot].slot not in labels:
                labels[grads[slot].slot] = _free(f"{path}d{node}", taken)
    for key, (path, made) in found.items():
        if labels.get(made.slot, path) != path:
            # Two inputs with the same derivative: each gets a node of its own name.
            made = builder.step(_IDENTITY, (made.slot,), {}, made.spec)
            found[key] = (path, made)
        if made.slot not in labels:
            labels[made.slot] = _free(path, taken)
    return found


def _free(wanted: str, taken: set[str]) -> str:
    """`wanted`, or the first of its numbered forms that isn't taken."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    taken.add(name)
    return name


def _as_spec(
    program: Program,
    builder: Builder,
    results: Mapping[str, int],
    labels: dict[int, str],
    taken: set[str],
) -> GradientGraph:
    """The steps that the results need, as a graph with names; scalar constants as literals."""
    steps = builder.code.steps
    needed = bytearray(len(steps))
    for slot in results.values():
        needed[slot] = 1
    for slot in range(len(steps) - 1, -1, -1):
        if needed[slot]:
            for source in steps[slot].inputs:
                needed[source] = 1
    program.limits.check("derived_nodes", sum(needed))
    leaves = program.graph.inputs
    spec = GraphSpec([], [], [])
    written: dict[int, Any] = {}
    outputs = set(results.values())
    for slot, step in enumerate(steps):
        if not needed[slot]:
            continue
        literal = step.operator is _CONSTANT and step.spec.shape == () and slot not in labels
        if literal and slot not in outputs:
            written[slot] = np.asarray(step.value).item()
            continue
        if step.operator is PROJECT:
            whole = step.inputs[0]
            written[slot] = f"{written[whole]}.{step.attrs['index']}"
            continue
        label = labels.get(slot)
        if step.specs:  # several outputs: its label stands on the first of them, as "name.0"
            label = labels.get(slot + 1, "").removesuffix(".0") or None
        label = label or _free(f"_{len(spec.ids) + 1}", taken)
        written[slot] = label
        position = len(spec.ids)
        spec.ids.append(label)
        spec.ops.append(step.operator.name)
        spec.inputs.append([written[source] for source in step.inputs])
        if step.operator is _INPUT:
            leaf = leaves[label]
            spec.leaves[position] = Leaf("input", leaf.value, step.spec.shape, leaf.dtype)
        elif step.operator is _CONSTANT:
            spec.leaves[position] = Leaf("constant", step.value, step.spec.shape, step.spec.dtype)
        elif step.attrs:
            spec.attrs[position] = dict(step.attrs)
    # An input that no derivative depends on stays declared, so that the same inputs fit.
    for name, leaf in leaves.items():
        if name not in spec.ids:
            spec.leaves[len(spec.ids)] = Leaf("input", leaf.value, leaf.shape, leaf.dtype)
            spec.ids.append(name)
            spec.ops.append("input")
            spec.inputs.append(())
    gradients = {key: str(written[slot]) for key, slot in results.items()}
    spec.output = list(dict.fromkeys(gradients.values()))
    if len(spec.output) == 1:
        spec.output = spec.output[0]
    return GradientGraph(spec, gradients)
