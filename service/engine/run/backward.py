"""The backward sweep: one rule per operator, run with numbers or traced to code."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from service.engine.code import Code, Step
from service.engine.control import Control
from service.engine.errors import Shape
from service.engine.operators.leaves import PROJECT
from service.engine.registry import TensorSpec
from service.engine.shapes import broadcast


def shape_of(x: Any) -> Shape:
    """The shape of a tensor of any namespace; a plain number has ()."""
    return getattr(x, "shape", ())


def unbroadcast(xp: Any, contribution: Any, spec: TensorSpec) -> Any:
    """`contribution` brought to the shape and dtype of the input it is for.

    This is the one place where broadcasting is undone: axes that the input lacks or has
    at size 1 are summed over; a contribution that was left smaller is repeated.
    """
    if isinstance(contribution, float):
        contribution = xp.broadcast_to(contribution, shape=spec.shape)
    have = shape_of(contribution)
    if have != spec.shape:
        whole = broadcast(have, spec.shape)
        if whole != spec.shape:
            if have != whole:
                contribution = xp.broadcast_to(contribution, shape=whole)
            contribution = xp.sum_to(contribution, shape=spec.shape)
        else:
            contribution = xp.broadcast_to(contribution, shape=spec.shape)
    dtype = getattr(contribution, "dtype", None)
    if dtype is not None and dtype != spec.dtype:
        contribution = xp.cast(contribution, dtype=spec.dtype)
    return contribution


def reached_from(code: Code, wanted: Collection[int]) -> bytearray:
    """Which slots depend on a wanted slot by way of floating values."""
    reached = bytearray(len(code.steps))
    for slot in wanted:
        reached[slot] = 1
    for slot, step in enumerate(code.steps):
        carries = step.operator.differentiable and (step.specs or step.spec.floating)
        if carries and any(reached[source] for source in step.inputs):
            reached[slot] = 1
    return reached


class _Visit(NamedTuple):
    """A step on the way back: the inputs that are wanted, and what is known of all of them."""

    slot: int
    step: Step
    joined: list[int]
    specs: list[tuple[TensorSpec, Shape, Any]]


def pull_back(
    xp: Any,
    code: Code,
    values: Sequence[Any],
    cotangents: Mapping[int, Any],
    wanted: Collection[int],
    *,
    control: Control | None = None,
) -> dict[int, Any]:
    """The cotangents of the `wanted` slots, given those of some outputs.

    One sweep in reverse order. `values` are the values of all slots in the namespace
    `xp`: arrays for the eager sweep, stand-ins for the traced one. Slots that no path
    joins to an output are missing from the result. Contributions to a slot are added in
    descending order of the reader, and of one reader in the order of its inputs.
    """
    grads: list[Any] = [None] * len(code.steps)
    for slot, cotangent in cotangents.items():
        grads[slot] = cotangent
    kept = set(wanted)
    for slot, step, joined, specs in _visits(code, max(cotangents, default=-1), frozenset(kept)):
        g = grads[slot]
        if g is None:
            continue
        if step.operator is PROJECT:
            _collect_part(grads, code, slot, g)
        else:
            inputs = [values[source] for source in step.inputs]
            for index, contribution in step.operator.contributions(
                joined, xp, g, values[slot], inputs, step.attrs
            ):
                if control is not None:
                    control.check()
                source, (spec, shape, dtype) = step.inputs[index], specs[index]
                as_it_is = type(contribution) is np.ndarray and contribution.shape == shape
                if not as_it_is or contribution.dtype is not dtype:
                    contribution = unbroadcast(xp, contribution, spec)
                held = grads[source]
                grads[source] = contribution if held is None else held + contribution
        if slot not in kept:
            grads[slot] = None
    return {slot: grads[slot] for slot in wanted if grads[slot] is not None}


def _visits(code: Code, last: int, wanted: frozenset[int]) -> list[_Visit]:
    """The steps that a sweep back from slot `last` looks at; those of the last one are kept."""
    known: tuple[Any, list[_Visit]] | None = code.visits
    if known is not None and known[0] == (last, wanted):
        return known[1]
    needed = reached_from(code, wanted)
    visits = []
    for slot in range(last, -1, -1):
        step = code.steps[slot]
        if step.inputs and needed[slot]:
            joined = [index for index, source in enumerate(step.inputs) if needed[source]]
            specs = [code.steps[source].spec for source in step.inputs]
            shapes = [(spec, spec.shape, np.dtype(spec.dtype)) for spec in specs]
            visits.append(_Visit(slot, step, joined, shapes))
    code.visits = (last, wanted), visits
    return visits


def _collect_part(grads: list[Any], code: Code, slot: int, g: Any) -> None:
    """Put the cotangent of one output in its place among those of its node."""
    (whole,) = code.steps[slot].inputs
    parts = grads[whole] or [None] * len(code.steps[whole].specs)
    index = code.steps[slot].attrs["index"]
    parts[index] = g if parts[index] is None else parts[index] + g
    grads[whole] = parts
