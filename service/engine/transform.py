"""Code to code: replaying steps on a builder, tracing the backward sweep, pruning."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.engine.code import Code
from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.operators import REGISTRY
from service.engine.operators.leaves import PROJECT
from service.engine.registry import TensorSpec
from service.engine.run.backward import pull_back
from service.engine.trace import Builder, Traced

_INPUT, _CONSTANT = REGISTRY["input"], REGISTRY["constant"]


def replay(builder: Builder, code: Code) -> list[Any]:
    """Emit the steps of `code` on `builder`; a stand-in (or a tuple of them) per slot."""
    values: list[Any] = []
    for step in code.steps:
        if step.operator is _INPUT:
            assert step.name is not None
            values.append(builder.input(step.name, step.spec))
        elif step.operator is _CONSTANT:
            values.append(builder.constant(step.value, step.spec, step.name))
        elif step.operator is PROJECT:
            values.append(values[step.inputs[0]][step.attrs["index"]])
        else:
            inputs = tuple(values[source] for source in step.inputs)
            values.append(builder.emit(step.operator, inputs, step.attrs, complete=True))
    return values


def stand_ins(builder: Builder) -> list[Any]:
    """A stand-in (or a tuple of them) for every slot the builder has made so far."""
    steps = builder.code.steps
    return [
        tuple(Traced(builder, slot + 1 + i) for i in range(len(step.specs)))
        if step.specs
        else Traced(builder, slot)
        for slot, step in enumerate(steps)
    ]


def zeros(builder: Builder, spec: TensorSpec) -> Traced:
    """A stand-in for zeros of a shape."""
    zero = builder.literal(0.0, spec.dtype)
    if spec.shape == ():
        return zero
    made: Traced = builder.broadcast_to(zero, shape=spec.shape)
    return made


def trace_pull_back(
    builder: Builder,
    code: Code,
    values: Sequence[Any],
    cotangents: Mapping[int, Traced],
    wanted: Sequence[int],
) -> list[Traced]:
    """The cotangents of the wanted slots as stand-ins; zeros where no path leads."""
    found = pull_back(builder, code, values, cotangents, wanted)
    return [
        found[slot] if slot in found else zeros(builder, code.steps[slot].spec) for slot in wanted
    ]


def prune(code: Code, outputs: Collection[int], limits: Limits = DEFAULT_LIMITS) -> Code:
    """`code` without the steps that no output needs, unread inputs included.

    The `names` of the result map each input, and each output's old slot as text, to
    the new slot. Raises LimitExceeded when more than `limits.derived_nodes` are left.
    """
    needed = bytearray(len(code.steps))
    for slot in outputs:
        needed[slot] = 1
    for slot in range(len(code.steps) - 1, -1, -1):
        if needed[slot]:
            for source in code.steps[slot].inputs:
                needed[source] = 1
    limits.check("derived_nodes", sum(needed))
    new: dict[int, int] = {}
    pruned = Code()
    for slot, step in enumerate(code.steps):
        if not needed[slot]:
            continue
        new[slot] = len(pruned.steps)
        pruned.steps.append(replace(step, inputs=tuple(new[source] for source in step.inputs)))
    pruned.inputs = {name: new[slot] for name, slot in code.inputs.items() if slot in new}
    pruned.names = {**pruned.inputs, **{f"#{slot}": new[slot] for slot in outputs}}
    return pruned


def finished(builder: Builder, results: Mapping[str, Traced], limits: Limits) -> Code:
    """The builder's code pruned to `results`, whose names find their slots."""
    pruned = prune(builder.code, {made.slot for made in results.values()}, limits)
    slots = {name: pruned.names[f"#{made.slot}"] for name, made in results.items()}
    pruned.names = {**pruned.inputs, **slots}
    return pruned
