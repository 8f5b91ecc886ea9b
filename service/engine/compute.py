"""Forward values and gradients of a Program, whichever way it runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from service.engine.code import Code
from service.engine.control import Control
from service.engine.derived_code import cotangent_of, vjp_code
from service.engine.errors import Fault, GraphError, LimitExceeded
from service.engine.namespaces import ARRAYS
from service.engine.program import Program, as_tensor
from service.engine.run import choose, execute
from service.engine.run.backward import pull_back, reached_from
from service.engine.run.generated import straight
from service.engine.structural import all_finite, run_structural

Tensor = Any
"""A NumPy array or scalar, or a Python float or bool for a 0-d one."""


@dataclass(frozen=True, slots=True)
class NotFinite:
    """The first node in evaluation order where a value, or a gradient, stopped being finite.

    Or, for second derivatives, one at a kink. `point` is the first such point of a batch.
    """

    kind: Literal["value", "gradient", "kink"]
    node: str
    detail: str
    point: int | None = None


@dataclass(slots=True)
class Forward:
    """`values` holds every named node in document order, or is None when not asked for."""

    outputs: dict[str, Tensor]
    values: dict[str, Tensor] | None
    warnings: list[NotFinite] = field(default_factory=list)


@dataclass(slots=True)
class Gradient:
    """`gradients` has one entry for every input in `wrt`, of that input's shape."""

    output: str
    value: Tensor
    gradients: dict[str, Tensor]
    values: dict[str, Tensor] | None
    node_gradients: dict[str, Tensor] | None
    warnings: list[NotFinite] = field(default_factory=list)


def forward(
    program: Program,
    inputs: Mapping[str, Tensor],
    *,
    values: bool = True,
    control: Control | None = None,
) -> Forward:
    """Run the program. `inputs` override the leaves' own values.

    Raises GraphError for a value that an operator refuses, DeadlineExceeded, Cancelled.
    """
    if program.floats:
        v = choose.plan_of(program.graph).forward(float_leaves(program, inputs), control)
        position = program.graph.index
        outputs: dict[str, Tensor] = {name: v[position[name]] for name in program.outputs}
        everything = dict(zip(program.graph.ids, v, strict=False)) if values else None
        bad = _first_bad_float(program, v, list(outputs.values()))
        return Forward(outputs, everything, bad)
    code = program.code
    kept = None if values else frozenset(program.slot(name) for name in program.outputs)
    leaves = tensor_leaves(program, inputs)
    slots = execute.forward(code, leaves, keep=kept, control=control)
    outputs = {name: slots[program.slot(name)] for name in program.outputs}
    everything = named_values(program, slots) if values else None
    return Forward(outputs, everything, _first_bad_value(program, slots, outputs.values()))


def gradient(
    program: Program,
    inputs: Mapping[str, Tensor],
    *,
    output: str | None = None,
    wrt: Sequence[str] | None = None,
    cotangent: Tensor | None = None,
    values: bool = True,
    node_gradients: bool = False,
    control: Control | None = None,
) -> Gradient:
    """The gradient of one output with respect to inputs (all floating ones by default).

    `cotangent` has the output's shape; it may be left out for a scalar output (then 1).
    Raises GraphError: not_scalar, ambiguous_output, unknown_node, not_differentiable,
    shape_mismatch.
    """
    found = _plain_gradient(
        program, inputs, output, wrt, cotangent, values, node_gradients, control
    )
    if not all_finite(found.gradients.values()):
        _without_structural_zeros(program, inputs, found, cotangent, control)
    return found


def _without_structural_zeros(
    program: Program,
    inputs: Mapping[str, Tensor],
    found: Gradient,
    cotangent: Tensor | None,
    control: Control | None,
) -> None:
    """Put gradients in place of NaN where a branch that was not taken has an infinite slope."""
    targets = list(found.gradients)
    try:
        code = vjp_code(program, [found.output], targets, control)
    except LimitExceeded:
        return
    seed = {cotangent_of(found.output): checked_cotangent(program, found.output, cotangent)}
    slots = run_structural(code, {**tensor_leaves(program, inputs), **seed}, seed, control)
    for target in targets:
        if not all_finite([found.gradients[target]]):
            better = slots[code.names[f"d {target}"]]
            found.gradients[target] = float(better) if program.floats else np.asarray(better)
    if all_finite(found.gradients.values()):
        found.warnings = [one for one in found.warnings if one.kind != "gradient"]


def _plain_gradient(
    program: Program,
    inputs: Mapping[str, Tensor],
    output: str | None,
    wrt: Sequence[str] | None,
    cotangent: Tensor | None,
    values: bool,
    node_gradients: bool,
    control: Control | None,
) -> Gradient:
    if program.floats and output is wrt is cotangent is None and not node_gradients:
        quick = straight(program)
        found = quick.run(program, inputs)
        if found is not None:
            return Gradient(
                quick.output,
                found[0][quick.position],
                dict(zip(quick.targets, found[1], strict=True)),
                dict(zip(quick.ids, found[0], strict=True)) if values else None,
                None,
            )
    name = chosen_output(program, output)
    targets = chosen_inputs(program, wrt)
    seed = checked_cotangent(program, name, cotangent)
    if program.floats:
        return _float_gradient(
            program,
            inputs,
            name,
            targets,
            wrt is not None,
            float(seed),
            values,
            node_gradients,
            control,
        )
    code = program.code
    slots = execute.forward(code, tensor_leaves(program, inputs), control=control)
    wanted = {target: program.slot(target) for target in targets}
    nodes: dict[str, int] = {}
    if node_gradients:
        nodes = {n: s for n, s in document_names(program) if code.steps[s].spec.floating}
    asked = {*wanted.values(), *nodes.values()}
    grads = execute.backward(code, slots, {program.slot(name): seed}, asked, control)
    everything = {slot: _full(grads, slot, program) for slot in asked}
    warnings = _first_bad_value(program, slots, [slots[program.slot(name)]])
    if not all_finite(everything.values()):
        warnings += _first_bad_gradient(program, slots, name, seed)
    return Gradient(
        output=name,
        value=slots[program.slot(name)],
        gradients={target: everything[slot] for target, slot in wanted.items()},
        values=named_values(program, slots) if values else None,
        node_gradients={n: everything[s] for n, s in nodes.items()} if node_gradients else None,
        warnings=warnings,
    )


def not_finite(
    program: Program,
    inputs: Mapping[str, Tensor],
    values: Iterable[Tensor],
    derivatives: Iterable[tuple[str, Tensor]],
) -> list[NotFinite]:
    """What to say of values, and of derivatives by name, that are not finite.

    The program is run forward once more where one is not, so that the first node is found.
    """
    bad = next(((name, d) for name, d in derivatives if not all_finite([d])), None)
    if bad is None and all_finite(values):
        return []
    found = forward(program, inputs).warnings
    if bad is not None:
        found.append(_bad("gradient", *bad))
    return found


def _float_gradient(
    program: Program,
    inputs: Mapping[str, Tensor],
    name: str,
    targets: Sequence[str],
    chosen: bool,
    seed: float,
    values: bool,
    node_gradients: bool,
    control: Control | None,
) -> Gradient:
    graph = program.graph
    index = graph.index
    positions = [index[target] for target in targets]
    v, grads = choose.plan_of(graph).gradient(
        float_leaves(program, inputs),
        index[name],
        seed,
        positions if chosen and not node_gradients else None,
        control,
    )
    found = [0.0 if grads[position] is None else grads[position] for position in positions]
    warnings = _first_bad_float(program, v, [v[index[name]]])
    if not all(map(math.isfinite, found)):  # type: ignore[arg-type]
        slots = execute.forward(program.code, tensor_leaves(program, inputs), control=control)
        warnings += _first_bad_gradient(program, slots, name, as_tensor(seed, program.spec(name)))
    per_node = None
    if node_gradients:
        per_node = {
            node: 0.0 if g is None else g
            for position, (node, g) in enumerate(zip(graph.ids, grads, strict=False))
            if type(v[position]) is not bool
        }
    return Gradient(
        output=name,
        value=v[index[name]],
        gradients=dict(zip(targets, found, strict=True)),
        values=dict(zip(graph.ids, v, strict=False)) if values else None,
        node_gradients=per_node,
        warnings=warnings,
    )


def float_leaves(program: Program, inputs: Mapping[str, Tensor]) -> list[float]:
    """The values of all leaves in document order, for a program that runs on floats."""
    ids = program.graph.ids
    return [
        float(inputs.get(ids[position], leaf.value))
        for position, leaf in sorted(program.graph.leaves.items())
    ]


def tensor_leaves(program: Program, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs' values as arrays of the program's shapes and dtypes."""
    return {
        name: as_tensor(inputs.get(name, leaf.value), program.spec(name))
        for name, leaf in program.graph.inputs.items()
    }


def document_names(program: Program) -> list[tuple[str, int]]:
    """(name, slot) of every node in document order, all outputs of a node with several."""
    names = program.code.names
    found: list[tuple[str, int]] = []
    for node in program.graph.ids:
        if f"{node}.0" in names and f"{node}.0" not in program.graph.index:
            index = 0
            while (part := f"{node}.{index}") in names:
                found.append((part, names[part]))
                index += 1
        else:
            found.append((node, names[node]))
    return found


def named_values(program: Program, slots: Sequence[Tensor]) -> dict[str, Tensor]:
    """Every node's value by name, in document order."""
    return {name: slots[slot] for name, slot in document_names(program)}


def chosen_output(program: Program, output: str | None) -> str:
    """`output`, or the graph's only one; GraphError when there are several or none such."""
    if output is None:
        if len(program.outputs) != 1:
            names = ", ".join(f"'{name}'" for name in program.outputs)
            raise GraphError(
                [
                    Fault(
                        "ambiguous_output",
                        f"the graph has the outputs {names}: name one",
                        pointer="#/output",
                    )
                ]
            )
        output = program.outputs[0]
    output = program.graph.find(output)
    if output not in program.graph.index and output not in program.code.names:
        raise GraphError(
            [
                Fault(
                    "unknown_node", f"no node '{output[:64]}'", node=output[:64], pointer="#/output"
                )
            ]
        )
    return output


def chosen_inputs(program: Program, wrt: Sequence[str] | None) -> tuple[str, ...]:
    """`wrt`, or every floating input; GraphError for one that has no gradient."""
    if wrt is None:
        return program.floating_inputs
    faults = []
    for place, name in enumerate(wrt):
        pointer = f"#/wrt/{place}"
        if name not in program.graph.inputs:
            what = "is not an input" if name in program.graph.index else "is no node of the graph"
            faults.append(
                Fault("unknown_node", f"'{name[:64]}' {what}", node=name[:64], pointer=pointer)
            )
        elif name not in program.floating_inputs:
            faults.append(
                Fault(
                    "not_differentiable",
                    f"'{name}' holds {program.spec(name).dtype}, which has no gradient",
                    node=name,
                    pointer=pointer,
                )
            )
    if faults:
        raise GraphError(faults)
    return tuple(dict.fromkeys(wrt))


def checked_cotangent(program: Program, output: str, cotangent: Tensor | None) -> Tensor:
    """The cotangent as a tensor of the output's shape and dtype; 1 for a scalar's."""
    spec = program.spec(output)
    if not spec.floating:
        raise GraphError(
            [
                Fault(
                    "not_differentiable",
                    f"'{output}' holds {spec.dtype}, which has no gradient",
                    node=output,
                    pointer="#/output",
                )
            ]
        )
    if cotangent is None:
        if spec.shape != ():
            raise GraphError(
                [
                    Fault(
                        "not_scalar",
                        f"the output '{output}' has shape {spec.shape}; a gradient is of a scalar",
                        node=output,
                        shapes=(spec.shape,),
                        pointer="#/output",
                        hint="reduce it (sum, mean), or give a cotangent of its shape",
                    )
                ]
            )
        return as_tensor(1.0, spec)
    shape = np.shape(cotangent)
    if shape != spec.shape:
        raise GraphError(
            [
                Fault(
                    "shape_mismatch",
                    f"the cotangent has shape {shape}, the output '{output}' {spec.shape}",
                    node=output,
                    shapes=(shape, spec.shape),
                    pointer="#/cotangent",
                )
            ]
        )
    return as_tensor(cotangent, spec)


def _full(grads: Mapping[int, Tensor], slot: int, program: Program) -> Tensor:
    """The gradient at `slot`: zeros where no path leads to the output."""
    spec = program.code.steps[slot].spec
    g = grads.get(slot)
    return np.zeros(spec.shape, spec.dtype) if g is None else np.asarray(g, spec.dtype)


def _bad(kind: Literal["value", "gradient"], node: str, value: Tensor) -> NotFinite:
    what = "NaN" if bool(np.any(np.isnan(value))) else "infinite"
    return NotFinite(kind, node, f"the {kind} of '{node}' is the first that is {what}")


def _first_bad_float(
    program: Program, v: Sequence[float], results: Sequence[float]
) -> list[NotFinite]:
    """A warning naming the first non-finite value, when a result is not finite."""
    if all(map(math.isfinite, results)):
        return []
    graph = program.graph
    for position in [*sorted(graph.leaves), *graph.order]:
        if not math.isfinite(v[position]):
            return [_bad("value", graph.ids[position], v[position])]
    return []


def _first_bad_value(
    program: Program, slots: Sequence[Tensor], results: Iterable[Tensor]
) -> list[NotFinite]:
    if all_finite(results):
        return []
    owner = owners(program)
    for slot, value in enumerate(slots):
        if value is not None and not all_finite([value]) and owner[slot] is not None:
            return [_bad("value", owner[slot] or "", value)]
    return []


def owners(program: Program) -> list[str | None]:
    """For every slot the node it belongs to: its own name, or that of the node it is part of."""
    owner: list[str | None] = [None] * len(program.code.steps)
    name: str | None = None
    for slot in range(len(owner) - 1, -1, -1):
        name = program.code.steps[slot].name or name
        owner[slot] = name
    return owner


def _first_bad_gradient(
    program: Program, slots: Sequence[Tensor], output: str, seed: Tensor
) -> list[NotFinite]:
    """The first node on the way back whose gradient is not finite; a second sweep finds it."""
    code = program.code
    reached = reached_from(code, list(code.inputs.values()))
    every = [slot for slot, step in enumerate(code.steps) if reached[slot] and not step.specs]
    with np.errstate(all="ignore"):
        grads = pull_back(ARRAYS, code, slots, {program.slot(output): seed}, every)
    owner = owners(program)
    leaves = set(code.inputs.values())
    for slot in (*sorted(grads.keys() - leaves, reverse=True), *sorted(leaves & grads.keys())):
        if not all_finite([grads[slot]]) and owner[slot] is not None:
            warning = _bad("gradient", owner[slot] or "", grads[slot])
            return [replace(warning, detail=warning.detail + _why(code, grads, slot, owner))]
    return []


def _why(code: Code, grads: Mapping[int, Tensor], slot: int, owner: Sequence[str | None]) -> str:
    """What to say where a gradient of 0 met an infinite slope: which gate, and a safe form."""
    for reader, step in enumerate(code.steps):
        upstream = grads.get(reader)
        if slot not in step.inputs or upstream is None or not all_finite([upstream]):
            continue
        if np.any(upstream == 0) and np.any(np.isnan(grads[slot])):
            gate, name, x = step.operator.name, owner[reader], owner[slot]
            return (
                f": a gradient of 0 meets an infinite slope of '{name}' ({gate}); where c is the "
                f"condition under which '{name}' counts, "
                f"where(c, {gate}(where(c, {x}, 1)), 0) is safe"
            )
    return ""
