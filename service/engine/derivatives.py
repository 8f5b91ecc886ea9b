"""Derivatives of every mode and order, by tracing the one set of rules.

A vjp is one backward sweep. A jvp is the vjp of the vjp, which is linear in its
cotangent. A Jacobian runs a whole basis of cotangents, or of tangents where there are
fewer of those, as one batch; a Hessian is the Jacobian of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from service.engine.errors import Fault, GraphError
from service.engine.namespaces import ARRAYS
from service.engine.program import Program, as_tensor
from service.engine.registry import TensorSpec
from service.engine.run.backward import pull_back
from service.engine.run.forward import run
from service.engine.trace import Builder, Traced
from service.engine.transform import finished, replay, stand_ins, trace_pull_back
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


# Inputs that a transformation adds are told from the graph's own by a prefix that no id has.
def _cotangent(name: str) -> str:
    return f"\0cotangent {name}"


def _tangent(name: str) -> str:
    return f"\0tangent {name}"


def _derived(program: Program, key: Any, make: Callable[[], Code]) -> Code:
    """Code made once per program."""
    code: Code | None = program.derived.get(key)
    if code is None:
        code = make()
        program.derived.put(key, code)
    return code


def _builder(program: Program, control: Control | None) -> Builder:
    return Builder(program.dtype, share=True, limits=program.limits, control=control, derived=True)


def vjp_code(
    program: Program, outputs: Sequence[str], wrt: Sequence[str], control: Control | None = None
) -> Code:
    """Code for the outputs and, of cotangent inputs, the gradients (named `d NAME`)."""

    def make() -> Code:
        builder = _builder(program, control)
        values = replay(builder, program.code)
        cotangents: dict[int, Traced] = {}
        for name in outputs:
            slot = program.slot(name)
            made = builder.input(_cotangent(name), program.code.steps[slot].spec)
            cotangents[slot] = cotangents[slot] + made if slot in cotangents else made
        wanted = [program.slot(name) for name in wrt]
        found = trace_pull_back(builder, program.code, values, cotangents, wanted)
        results = {f"d {name}": made for name, made in zip(wrt, found, strict=True)}
        results.update({f"y {name}": values[program.slot(name)] for name in outputs})
        return finished(builder, results, program.limits)

    return _derived(program, ("vjp", tuple(outputs), tuple(wrt)), make)


def jvp_code(
    program: Program, outputs: Sequence[str], moved: Sequence[str], control: Control | None = None
) -> Code:
    """Code for the outputs and, of tangent inputs, their tangents (`t name`)."""

    def make() -> Code:
        builder = _builder(program, control)
        values = replay(builder, program.code)
        cotangents: dict[int, Traced] = {}
        places = []
        for number, name in enumerate(outputs):
            slot = program.slot(name)
            made = builder.input(_cotangent(f"{number}"), program.code.steps[slot].spec)
            places.append(made.slot)
            cotangents[slot] = cotangents[slot] + made if slot in cotangents else made
        wanted = [program.slot(name) for name in moved]
        found = trace_pull_back(builder, program.code, values, cotangents, wanted)
        tangents = _seeds(builder, found, moved, program)
        tangent_of = trace_pull_back(builder, builder.code, stand_ins(builder), tangents, places)
        results = {f"t {name}": made for name, made in zip(outputs, tangent_of, strict=True)}
        results.update({f"y {name}": values[program.slot(name)] for name in outputs})
        return finished(builder, results, program.limits)

    return _derived(program, ("jvp", tuple(outputs), tuple(moved)), make)


def hvp_code(
    program: Program, output: str, wrt: Sequence[str], control: Control | None = None
) -> Code:
    """Code for value, gradients and, of tangent inputs, Hessian-vector products (`h name`)."""

    def make() -> Code:
        builder = _builder(program, control)
        values = replay(builder, program.code)
        slot = program.slot(output)
        one = builder.literal(1.0, program.code.steps[slot].spec.dtype)
        wanted = [program.slot(name) for name in wrt]
        gradients = trace_pull_back(builder, program.code, values, {slot: one}, wanted)
        tangents = _seeds(builder, gradients, wrt, program)
        inputs = [values[place].slot for place in wanted]
        products = trace_pull_back(builder, builder.code, stand_ins(builder), tangents, inputs)
        results = {f"h {name}": made for name, made in zip(wrt, products, strict=True)}
        results.update({f"d {name}": made for name, made in zip(wrt, gradients, strict=True)})
        results["y"] = values[slot]
        return finished(builder, results, program.limits)

    return _derived(program, ("hvp", output, tuple(wrt)), make)


def _seeds(
    builder: Builder, found: Sequence[Traced], names: Sequence[str], program: Program
) -> dict[int, Traced]:
    """A tangent input per name, as the cotangent of what was found for it.

    Two inputs may have found the same slot: then their tangents add.
    """
    seeds: dict[int, Traced] = {}
    for made, name in zip(found, names, strict=True):
        tangent = builder.input(_tangent(name), program.spec(name))
        seeds[made.slot] = seeds[made.slot] + tangent if made.slot in seeds else tangent
    return seeds


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
        slots = run(code, leaves, control=control)
        wanted = {name: program.slot(name) for name in targets}
        with np.errstate(all="ignore"):
            found = pull_back(ARRAYS, code, slots, seeds, set(wanted.values()), control=control)
        return Vjp(
            {name: slots[program.slot(name)] for name in names},
            {
                name: found[slot] if slot in found else _zeros(code.steps[slot].spec)
                for name, slot in wanted.items()
            },
        )
    size = _common_length(program, cotangents)
    code = vjp_code(program, names, targets, control)
    rows = {_cotangent(name): _rows(program, name, cotangents[name]) for name in names}
    results = {f"d {name}": code.names[f"d {name}"] for name in targets}
    gradients = _in_blocks(program, code, leaves, rows, size, results, control)
    once = run(program.code, leaves, control=control)
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
    given = {_tangent(name): _like_input(program, name, tangents[name]) for name in moved}
    code = jvp_code(program, names, moved, control)
    slots = _run(code, {**tensor_leaves(program, inputs), **given}, control)
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
    once = run(program.code, leaves, control=control)
    found: dict[str, dict[str, Tensor]] = {name: {} for name in names}
    if columns < rows:
        code = jvp_code(program, names, targets, control)
        basis = _basis(in_specs, _tangent)
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
        basis = _basis(out_specs, _cotangent)
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
    parts = _in_blocks(program, code, leaves, _basis(specs, _tangent), size, results, control)
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
    given = {_tangent(target): _like_input(program, target, vector[target]) for target in targets}
    leaves = tensor_leaves(program, inputs)
    code = hvp_code(program, name, targets, control)
    slots = _run(code, {**leaves, **given}, control)
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
    slots = run(code, leaves, control=control)
    wanted = {name: program.slot(name) for name in targets}
    seed = {program.slot(output): checked_cotangent(program, output, None)}
    with np.errstate(all="ignore"):
        found = pull_back(ARRAYS, code, slots, seed, set(wanted.values()), control=control)
    return slots[program.slot(output)], {
        name: found[slot] if slot in found else _zeros(code.steps[slot].spec)
        for name, slot in wanted.items()
    }


def _run(code: Code, given: Mapping[str, Tensor], control: Control | None) -> list[Tensor]:
    """Run derived code. A cotangent that is left in it stands for any: it is linear there."""
    values = dict(given)
    for name, slot in code.inputs.items():
        if name not in values:
            values[name] = _zeros(code.steps[slot].spec)
    return run(code, values, keep=frozenset(code.names.values()), control=control)


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
        slots = _run(block, {**leaves, **rows}, control)
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
