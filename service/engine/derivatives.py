"""Derivatives of every mode and order, by tracing the one set of rules.

A vjp is one backward sweep. A jvp is the vjp of the vjp, which is linear in its
cotangent. A Jacobian runs a whole basis of cotangents, or of tangents where there are
fewer of those, as one batch; a Hessian is the Jacobian of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.engine.code import Code
from service.engine.compute import (
    Tensor,
    checked_cotangent,
    chosen_inputs,
    chosen_output,
    tensor_leaves,
)
from service.engine.control import Control
from service.engine.derived_code import (
    cotangent_of,
    hvp_code,
    jvp_code,
    tangent_of,
    vjp_code,
)
from service.engine.errors import Fault, GraphError
from service.engine.program import Program, as_tensor
from service.engine.registry import TensorSpec
from service.engine.run import execute
from service.engine.structural import all_finite, run_structural
from service.engine.vmap import batched

_BLOCK_ELEMENTS = 1 << 24


@dataclass(slots=True)
class Vjp:
    """`gradients[input]`: Σ over outputs of the cotangent times the Jacobian."""

    outputs: dict[str, Tensor]
    gradients: dict[str, Tensor]


@dataclass(slots=True)
class Jvp:
    """`tangents[output]`: Σ over inputs of the Jacobian times the tangent."""

    outputs: dict[str, Tensor]
    tangents: dict[str, Tensor]


@dataclass(slots=True)
class Jacobian:
    """`jacobian[output][input]` has the output's shape followed by the input's."""

    outputs: dict[str, Tensor]
    jacobian: dict[str, dict[str, Tensor]]


@dataclass(slots=True)
class Hessian:
    """`hessian[a][b]` has the shape of input a followed by that of input b."""

    value: Tensor
    gradients: dict[str, Tensor]
    hessian: dict[str, dict[str, Tensor]]


@dataclass(slots=True)
class Hvp:
    """`hvp[input]`: the Hessian times the vector, without the Hessian being formed."""

    value: Tensor
    gradients: dict[str, Tensor]
    hvp: dict[str, Tensor]


def vjp(
    program: Program,
    inputs: Mapping[str, Tensor],
    cotangents: Mapping[str, Tensor],
    *,
    wrt: Sequence[str] | None = None,
    batch: bool = False,
    control: Control | None = None,
) -> Vjp:
    """Vector-Jacobian products.

    `cotangents[output]` has that output's shape, with `batch` a leading axis before it,
    which the gradients then carry too. Raises GraphError as `compute.gradient` does.
    """
    targets = chosen_inputs(program, wrt)
    names = _checked_outputs(program, list(cotangents), "#/cotangents")
    cotangents = dict(zip(names, cotangents.values(), strict=False))
    leaves = tensor_leaves(program, inputs)
    if not batch:
        code = program.code
        seeds: dict[int, Tensor] = {}
        for name in names:
            seed = checked_cotangent(program, name, cotangents[name])
            slot = program.slot(name)
            seeds[slot] = seeds[slot] + seed if slot in seeds else seed
        slots = execute.forward(code, leaves, control=control)
        wanted = {name: program.slot(name) for name in targets}
        found = execute.backward(code, slots, seeds, set(wanted.values()), control)
        gradients = {
            name: found[slot] if slot in found else _zeros(code.steps[slot].spec)
            for name, slot in wanted.items()
        }
        if not all_finite(gradients.values()):
            derived = vjp_code(program, names, targets, control)
            given = {
                cotangent_of(name): checked_cotangent(program, name, cotangents[name])
                for name in names
            }
            again = run_structural(derived, {**leaves, **given}, given, control)
            gradients = {name: again[derived.names[f"d {name}"]] for name in targets}
        return Vjp({name: slots[program.slot(name)] for name in names}, gradients)
    size = _common_length(program, cotangents)
    code = vjp_code(program, names, targets, control)
    rows = {cotangent_of(name): _rows(program, name, cotangents[name]) for name in names}
    results = {f"d {name}": code.names[f"d {name}"] for name in targets}
    gradients = _in_blocks(program, code, leaves, rows, size, results, control)
    once = execute.forward(program.code, leaves, control=control)
    return Vjp(
        {name: once[program.slot(name)] for name in names},
        {name: gradients[f"d {name}"] for name in targets},
    )


def jvp(
    program: Program,
    inputs: Mapping[str, Tensor],
    tangents: Mapping[str, Tensor],
    *,
    outputs: Sequence[str] | None = None,
    control: Control | None = None,
) -> Jvp:
    """The Jacobian-vector product: how the outputs move when inputs move along `tangents`.

    Inputs without a tangent stay put. Each tangent has its input's shape.
    """
    names = _checked_outputs(program, list(outputs or program.outputs), "#/outputs")
    moved = chosen_inputs(program, list(tangents))
    given = {tangent_of(name): _like_input(program, name, tangents[name]) for name in moved}
    code = jvp_code(program, names, moved, control)
    slots = _run(code, {**tensor_leaves(program, inputs), **given}, given, control)
    return Jvp(
        {name: slots[code.names[f"y {name}"]] for name in names},
        {name: slots[code.names[f"t {name}"]] for name in names},
    )


def jacobian(
    program: Program,
    inputs: Mapping[str, Tensor],
    *,
    outputs: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    control: Control | None = None,
) -> Jacobian:
    """All partial derivatives; by whichever mode needs fewer directions."""
    names = _checked_outputs(program, list(outputs or program.outputs), "#/outputs")
    targets = chosen_inputs(program, wrt)
    leaves = tensor_leaves(program, inputs)
    out_specs = {name: program.spec(name) for name in names}
    in_specs = {name: program.spec(name) for name in targets}
    rows, columns = _total(out_specs), _total(in_specs)
    program.limits.check("elements_total", rows * columns)
    once = execute.forward(program.code, leaves, control=control)
    found: dict[str, dict[str, Tensor]] = {name: {} for name in names}
    if columns < rows:
        code = jvp_code(program, names, targets, control)
        basis = _basis(in_specs, tangent_of)
        results = {f"t {name}": code.names[f"t {name}"] for name in names}
        parts = _in_blocks(program, code, leaves, basis, columns, results, control)
        start = 0
        for target, spec in in_specs.items():
            for name in names:
                block = parts[f"t {name}"][start : start + spec.size]
                moved = np.moveaxis(block, 0, -1)
                found[name][target] = moved.reshape(out_specs[name].shape + spec.shape)
            start += spec.size
    else:
        code = vjp_code(program, names, targets, control)
        basis = _basis(out_specs, cotangent_of)
        results = {f"d {name}": code.names[f"d {name}"] for name in targets}
        parts = _in_blocks(program, code, leaves, basis, rows, results, control)
        start = 0
        for name, spec in out_specs.items():
            for target in targets:
                block = parts[f"d {target}"][start : start + spec.size]
                found[name][target] = block.reshape(spec.shape + in_specs[target].shape)
            start += spec.size
    return Jacobian({name: once[program.slot(name)] for name in names}, found)


def hessian(
    program: Program,
    inputs: Mapping[str, Tensor],
    *,
    output: str | None = None,
    wrt: Sequence[str] | None = None,
    control: Control | None = None,
) -> Hessian:
    """All second derivatives of a scalar output."""
    name = chosen_output(program, output)
    checked_cotangent(program, name, None)
    targets = chosen_inputs(program, wrt)
    leaves = tensor_leaves(program, inputs)
    specs = {target: program.spec(target) for target in targets}
    size = _total(specs)
    program.limits.check("elements_total", size * size)
    code = hvp_code(program, name, targets, control)
    results = {f"h {target}": code.names[f"h {target}"] for target in targets}
    parts = _in_blocks(program, code, leaves, _basis(specs, tangent_of), size, results, control)
    found: dict[str, dict[str, Tensor]] = {}
    start = 0
    for row, spec in specs.items():
        found[row] = {
            column: parts[f"h {column}"][start : start + spec.size].reshape(
                spec.shape + specs[column].shape
            )
            for column in targets
        }
        start += spec.size
    value, gradients = _value_and_gradients(program, leaves, name, targets, control)
    return Hessian(value, gradients, found)


def hvp(
    program: Program,
    inputs: Mapping[str, Tensor],
    vector: Mapping[str, Tensor],
    *,
    output: str | None = None,
    control: Control | None = None,
) -> Hvp:
    """The Hessian of a scalar output times a vector; the inputs in `vector` are the variables."""
    name = chosen_output(program, output)
    checked_cotangent(program, name, None)
    targets = chosen_inputs(program, list(vector))
    given = {tangent_of(target): _like_input(program, target, vector[target]) for target in targets}
    leaves = tensor_leaves(program, inputs)
    code = hvp_code(program, name, targets, control)
    slots = _run(code, {**leaves, **given}, given, control)
    value, gradients = _value_and_gradients(program, leaves, name, targets, control)
    return Hvp(value, gradients, {t: slots[code.names[f"h {t}"]] for t in targets})


def _value_and_gradients(
    program: Program,
    leaves: Mapping[str, Tensor],
    output: str,
    targets: Sequence[str],
    control: Control | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    code = program.code
    slots = execute.forward(code, leaves, control=control)
    wanted = {name: program.slot(name) for name in targets}
    seed = {program.slot(output): checked_cotangent(program, output, None)}
    found = execute.backward(code, slots, seed, set(wanted.values()), control)
    return slots[program.slot(output)], {
        name: found[slot] if slot in found else _zeros(code.steps[slot].spec)
        for name, slot in wanted.items()
    }


def _run(
    code: Code, given: Mapping[str, Tensor], seeds: Collection[str], control: Control | None
) -> Sequence[Tensor]:
    """Run derived code, which is linear in `seeds`; zeros among these meet no infinity.

    A cotangent that is left in it stands for any: it is linear there.
    """
    values = dict(given)
    for name, slot in code.inputs.items():
        if name not in values:
            values[name] = _zeros(code.steps[slot].spec)
    kept = frozenset(code.names.values())
    slots = execute.forward(code, values, keep=kept, control=control)
    if all_finite(slots[slot] for slot in kept if code.steps[slot].spec.floating):
        return slots
    return run_structural(code, values, seeds, control)


def _zeros(spec: TensorSpec) -> Tensor:
    return np.zeros(spec.shape, spec.dtype)[()]


def _total(specs: Mapping[str, TensorSpec]) -> int:
    return sum(spec.size for spec in specs.values())


def _basis(specs: Mapping[str, TensorSpec], label: Callable[[str], str]) -> Any:
    """A function from a range of directions to the tensors of those unit directions."""
    starts, at = {}, 0
    for name, spec in specs.items():
        starts[name] = at
        at += spec.size

    def block(low: int, high: int) -> dict[str, Tensor]:
        made = {}
        for name, spec in specs.items():
            flat = np.zeros((high - low, spec.size), spec.dtype)
            first, last = max(low, starts[name]), min(high, starts[name] + spec.size)
            rows = np.arange(first, last)
            flat[rows - low, rows - starts[name]] = 1.0
            made[label(name)] = flat.reshape((high - low, *spec.shape))
        return made

    return block


def _in_blocks(
    program: Program,
    code: Code,
    leaves: Mapping[str, Tensor],
    directions: Any,
    size: int,
    results: dict[str, int],
    control: Control | None,
) -> dict[str, Tensor]:
    """Run `code` once per direction, as many at a time as memory bears.

    `directions` is a dict of tensors with a leading axis of length `size`, or a function
    that makes such for a range. Raises LimitExceeded where that is too much to compute.
    """
    program.limits.check("elements_total", code.elements)
    program.limits.check("flops", size * sum(map(code.flops, range(len(code.steps)))))
    per_row = max(1, code.elements)
    length = int(max(1, min(size, _BLOCK_ELEMENTS // per_row)))
    whole = {
        name: np.empty((size, *code.steps[slot].spec.shape), code.steps[slot].spec.dtype)
        for name, slot in results.items()
    }
    blocks: dict[int, Code] = {}
    for low, high in _ranges(size, length):
        rows = (
            directions(low, high)
            if callable(directions)
            else {name: tensor[low:high] for name, tensor in directions.items()}
        )
        block = blocks.get(high - low)
        if block is None:
            block = batched(code, results, rows.keys(), high - low, program.limits, control=control)
            blocks[high - low] = block
        slots = _run(block, {**leaves, **rows}, rows, control)
        for name in results:
            whole[name][low:high] = slots[block.names[name]]
    return whole


def _ranges(size: int, length: int) -> Iterator[tuple[int, int]]:
    for low in range(0, size, length):
        yield low, min(size, low + length)


def _checked_outputs(program: Program, names: Sequence[str], pointer: str) -> list[str]:
    """`names` as nodes with floating values; GraphError for others."""
    names = [chosen_output(program, name) for name in names]
    for name in names:
        if not program.spec(name).floating:
            checked_cotangent(program, name, None)
    if not names:
        raise GraphError([Fault("ambiguous_output", "no output is named", pointer=pointer)])
    return list(dict.fromkeys(names))


def _like_input(program: Program, name: str, tangent: Tensor) -> Tensor:
    """A tangent in its input's dtype; GraphError when the shapes differ."""
    spec, shape = program.spec(name), np.shape(tangent)
    if shape != spec.shape:
        raise GraphError(
            [
                Fault(
                    "shape_mismatch",
                    f"the tangent of '{name}' has shape {shape}, the input {spec.shape}",
                    node=name,
                    shapes=(shape, spec.shape),
                )
            ]
        )
    return as_tensor(tangent, spec)


def _common_length(program: Program, cotangents: Mapping[str, Tensor]) -> int:
    """The one length of the leading axes; GraphError when shapes do not fit."""
    lengths = {np.shape(tensor)[:1] for tensor in cotangents.values()}
    for name, tensor in cotangents.items():
        spec, shape = program.spec(name), np.shape(tensor)
        if len(lengths) != 1 or () in lengths or shape[1:] != spec.shape:
            raise GraphError(
                [
                    Fault(
                        "shape_mismatch",
                        f"the cotangents of '{name}' have shape {shape}; a batch of them is "
                        f"one axis of a common length before {spec.shape}",
                        node=name,
                        shapes=(shape, spec.shape),
                    )
                ]
            )
    return int(next(iter(lengths))[0])


def _rows(program: Program, name: str, tensor: Tensor) -> Tensor:
    return np.asarray(tensor, program.spec(name).dtype)
