"""Many points through one program: values and gradients with a leading axis.

The points go through in blocks that stay in cache and bound the memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from service.engine.code import Code
from service.engine.compute import (
    Gradient,
    NotFinite,
    Tensor,
    checked_cotangent,
    chosen_inputs,
    chosen_output,
    document_names,
    gradient,
    tensor_leaves,
)
from service.engine.control import DEFAULT_LIMITS, Control, Limits
from service.engine.derived_code import cotangent_of, vjp_code
from service.engine.errors import Fault, GraphError, LimitExceeded
from service.engine.graph import Graph
from service.engine.namespaces import ARRAYS
from service.engine.program import Program, program_for
from service.engine.run import tiled
from service.engine.run.backward import pull_back
from service.engine.run.forward import run
from service.engine.structural import all_finite, run_structural
from service.engine.vmap import batched

_BLOCK_ELEMENTS = 1 << 17
_ROWS = 256
"""Points with a gradient that is not finite that are looked at again together."""
Reduction = Literal["none", "sum", "mean"]


@dataclass(slots=True)
class Batch:
    """Points for a program: `inputs` with the leading axis of length `size` on `names`."""

    program: Program
    inputs: Mapping[str, Tensor]
    names: tuple[str, ...]
    size: int


def batch(
    graph: Graph,
    inputs: Mapping[str, Tensor],
    names: bool | Sequence[str],
    dtype: str = "float64",
    limits: Limits = DEFAULT_LIMITS,
) -> Batch:
    """The program for one point, and the points. `names` True means every input given.

    Raises GraphError when the named inputs have no leading axis of one common length.
    """
    chosen = tuple(inputs) if names is True else tuple(names or ())
    faults = []
    lengths: dict[int, str] = {}
    for name in chosen:
        pointer = f"#/inputs/{name[:64]}"
        if name not in inputs or np.ndim(inputs[name]) == 0:
            detail = f"'{name[:64]}' has no batch axis: give it one, or leave it out of batch"
            faults.append(Fault("shape_mismatch", detail, node=name[:64], pointer=pointer))
        else:
            lengths.setdefault(len(inputs[name]), name)
    if len(lengths) > 1:
        shown = ", ".join(f"'{name}' has {length}" for length, name in lengths.items())
        faults.append(
            Fault("shape_mismatch", f"the batch axes differ in length: {shown}", pointer="#/inputs")
        )
    if not chosen:
        faults.append(Fault("missing_input", "no input carries the batch axis", pointer="#/batch"))
    if faults:
        raise GraphError(faults)
    size = next(iter(lengths))
    if size == 0:
        raise GraphError([Fault("shape_mismatch", "the batch has no points", pointer="#/inputs")])
    point = {
        name: np.asarray(value)[0] if name in chosen else value for name, value in inputs.items()
    }
    return Batch(program_for(graph, point, dtype, limits), inputs, chosen, size)


def batch_gradient(
    points: Batch,
    *,
    output: str | None = None,
    wrt: Sequence[str] | None = None,
    cotangent: Tensor | None = None,
    reduce: Reduction = "none",
    values: bool = True,
    node_gradients: bool = False,
    control: Control | None = None,
) -> Gradient:
    """Value and gradients at every point: each carries the leading axis.

    The gradient of an input that all points share carries it too, one gradient a point,
    unless `reduce` asks for their sum or mean. `cotangent` is of one point's output.
    """
    found = _plain_gradient(points, output, wrt, cotangent, reduce, values, node_gradients, control)
    if reduce == "none":
        _without_structural_zeros(points, found, cotangent, control)
    return found


def _without_structural_zeros(
    points: Batch, found: Gradient, cotangent: Tensor | None, control: Control | None
) -> None:
    """As for one point: gradients in place of NaN where no seed reaches an infinite slope."""
    program, targets = points.program, list(found.gradients)
    bad = np.zeros(points.size, bool)
    for slopes in found.gradients.values():
        if not all_finite([slopes]):
            bad |= ~np.isfinite(slopes).reshape(points.size, -1).all(axis=1)
    rows = np.flatnonzero(bad)
    if not rows.size:
        return
    seed = checked_cotangent(program, found.output, cotangent)
    try:
        code = vjp_code(program, [found.output], targets, control)
        results = {f"d {target}": code.names[f"d {target}"] for target in targets}
        for low in range(0, rows.size, _ROWS):
            some = rows[low : low + _ROWS]
            block = batched(code, results, points.names, some.size, program.limits)
            leaves = tensor_leaves(program, _point(points, 0))
            for name in points.names:
                leaves[name] = np.asarray(points.inputs[name], program.spec(name).dtype)[some]
            given = {**leaves, cotangent_of(found.output): seed}
            slots = run_structural(block, given, [cotangent_of(found.output)], control)
            for target, slopes in found.gradients.items():
                slopes[some] = slots[block.names[f"d {target}"]]
    except LimitExceeded:
        return


def _plain_gradient(
    points: Batch,
    output: str | None,
    wrt: Sequence[str] | None,
    cotangent: Tensor | None,
    reduce: Reduction,
    values: bool,
    node_gradients: bool,
    control: Control | None,
) -> Gradient:
    program = points.program
    name = chosen_output(program, output)
    targets = chosen_inputs(program, wrt)
    seed = checked_cotangent(program, name, cotangent)
    if reduce == "none" and not node_gradients and tiled.fits(program):
        return _blocked_gradient(points, name, targets, float(seed), values, control)
    leaves = tensor_leaves(program, _point(points, 0))
    for batched_name in points.names:
        dtype = program.code.steps[program.slot(batched_name)].spec.dtype
        leaves[batched_name] = np.asarray(points.inputs[batched_name], dtype)
    shared = [target for target in targets if target not in points.names]
    carried = set(points.names)
    if node_gradients:
        carried.update(program.floating_inputs)
    elif reduce == "none":
        carried.update(shared)
    listed = document_names(program) if values or node_gradients else []
    floating = [(n, s) for n, s in listed if program.code.steps[s].spec.floating]
    named = {f"v {node}": slot for node, slot in listed} if values else {}
    if node_gradients:
        named.update({f"v {node}": slot for node, slot in floating})
    results = {"y": program.slot(name), **named}
    whole: dict[str, Tensor] = {}
    for low, high in _blocks(program.code, points.size):
        if control is not None:
            control.check()
        try:
            found = _block(
                program,
                results,
                leaves,
                points.names,
                carried,
                targets,
                high - low,
                low,
                seed,
                node_gradients,
                floating,
                program.limits,
            )
        except GraphError as error:
            raise _of_one_point(points, range(low, high), control) or error from None
        for key, tensor in found.items():
            if reduce != "none" and key.startswith("d ") and key[2:] in shared:
                if key[2:] in carried:
                    tensor = tensor.sum(axis=0)
                whole[key] = whole[key] + tensor if key in whole else tensor
                continue
            if key not in whole:
                whole[key] = np.empty((points.size, *tensor.shape[1:]), tensor.dtype)
            whole[key][low:high] = tensor
    if reduce == "mean":
        for target in shared:
            whole[f"d {target}"] = whole[f"d {target}"] / points.size
    return Gradient(
        output=name,
        value=whole["y"],
        gradients={target: whole[f"d {target}"] for target in targets},
        values={node: whole[f"v {node}"] for node, _ in listed} if values else None,
        node_gradients={n: whole[f"n {n}"] for n, _ in floating} if node_gradients else None,
    )


def _blocked_gradient(
    points: Batch,
    output: str,
    targets: Sequence[str],
    seed: float,
    values: bool,
    control: Control | None,
) -> Gradient:
    """The same for a scalar program, by planned blocks."""
    program = points.program
    named = program.graph.ids if values else []
    planned = tiled.plan(program, output, targets, seed, named)
    leaves: dict[str, Any] = {}
    for name, leaf in program.graph.inputs.items():
        value = points.inputs.get(name, leaf.value)
        leaves[name] = np.asarray(value, np.float64) if name in points.names else float(value)
    whole = tiled.run(planned, leaves, points.size, control)
    return Gradient(
        output=output,
        value=whole["y"],
        gradients={target: whole[f"d {target}"] for target in targets},
        values={name: whole[f"v {name}"] for name in named} if values else None,
        node_gradients=None,
    )


def first_not_finite(
    points: Batch, made: Gradient, cotangent: Tensor | None = None
) -> list[NotFinite]:
    """What the first point has to say that has a value or a gradient which is not finite.

    It is run once more by itself, so that its nodes can be named.
    """
    program = points.program
    whole: list[Tensor] = []
    each: list[Tensor] = [made.value]
    for name, slopes in made.gradients.items():
        carried = np.ndim(slopes) > program.spec(name).ndim
        (each if carried else whole).append(slopes)
    with np.errstate(all="ignore"):  # a sum is quicker looked at than every number
        suspects = [result for result in each if not np.isfinite(np.sum(result))]
    fine = np.ones(points.size, bool)
    for result in suspects:
        fine &= np.isfinite(result).reshape(points.size, -1).all(axis=1)
    if fine.all() and all(np.isfinite(slopes).all() for slopes in whole):
        return []
    at = int(np.argmin(fine))
    alone = gradient(
        program,
        _point(points, at),
        output=made.output,
        wrt=list(made.gradients),
        cotangent=cotangent,
        values=False,
    )
    return [
        replace(warning, point=at, detail=f"at point {at}: {warning.detail}")
        for warning in alone.warnings
    ]


def _of_one_point(
    points: Batch, numbers: Iterable[int], control: Control | None
) -> GraphError | None:
    """The refusal of the first point that is refused when it is run by itself."""
    for number in numbers:
        try:
            run(points.program.code, tensor_leaves(points.program, _point(points, number)))
        except GraphError as error:
            return GraphError(
                replace(fault, detail=f"at point {number}: {fault.detail}")
                for fault in error.faults
            )
        if control is not None:
            control.check()
    return None


def _point(points: Batch, number: int) -> dict[str, Tensor]:
    """The inputs of one point."""
    return {
        name: np.asarray(value)[number] if name in points.names else value
        for name, value in points.inputs.items()
    }


def _blocks(code: Code, size: int) -> list[tuple[int, int]]:
    """Ranges of points whose values stay in cache."""
    per_point = max(1, sum(step.spec.size for step in code.steps) // max(1, len(code.steps)))
    length = max(1, min(size, _BLOCK_ELEMENTS // (8 * per_point)))
    return [(low, min(size, low + length)) for low in range(0, size, length)]


def _block(
    program: Program,
    results: dict[str, int],
    leaves: Mapping[str, Tensor],
    names: Collection[str],
    carried: Collection[str],
    targets: Sequence[str],
    length: int,
    low: int,
    seed: Tensor,
    node_gradients: bool,
    floating: Sequence[tuple[str, int]],
    limits: Limits,
) -> dict[str, Tensor]:
    """Values and gradients of one block: `y`, `v node`, `d input`, `n node`."""
    key = (
        "points",
        length,
        tuple(results.items()),
        tuple(sorted(carried)),
        tuple(targets),
        node_gradients,
    )
    code: Code | None = program.derived.get(key)
    if code is None:
        wanted = {**results, **{f"x {t}": program.slot(t) for t in targets}}
        code = batched(program.code, wanted, carried, length, limits, apart=node_gradients)
        program.derived.put(key, code, code.nbytes)
    given: dict[str, Any] = {}
    for name in code.inputs:
        tensor = leaves[name]
        if name in names:
            tensor = tensor[low : low + length]
        elif name in carried:
            tensor = np.broadcast_to(tensor, (length, *np.shape(tensor)))
        given[name] = tensor
    slots = run(code, given)
    wanted_slots = {t: code.inputs[t] for t in targets if t in code.inputs}
    per_node = {n: code.names[f"v {n}"] for n, _ in floating} if node_gradients else {}
    cotangent = np.broadcast_to(seed, (length, *np.shape(seed)))
    with np.errstate(all="ignore"):
        grads = pull_back(
            ARRAYS,
            code,
            slots,
            {code.names["y"]: cotangent},
            {*wanted_slots.values(), *per_node.values()},
        )
    found = {key: slots[code.names[key]] for key in results}
    for target in targets:
        spec = program.spec(target)
        shape = (length, *spec.shape) if target in carried else spec.shape
        slot = wanted_slots.get(target)
        found[f"d {target}"] = grads[slot] if slot in grads else np.zeros(shape, spec.dtype)
    for node, slot in per_node.items():
        spec = code.steps[slot].spec
        found[f"n {node}"] = grads.get(slot, np.zeros(spec.shape, spec.dtype))
    return found
