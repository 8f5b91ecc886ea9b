"""A leading batch axis through code: many points, or many cotangents, in one run.

`batched` rewrites code for one point into code for a batch of points, step by step, as
each operator's registration says: elementwise operators line their ranks up, reductions
shift their axes, operators with a `batch` rule follow it. What is left runs point by
point, and `/v1/operators` says so.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import numpy as np

from service.engine.code import Code
from service.engine.control import DEFAULT_LIMITS, Control, Limits
from service.engine.namespaces import ARRAYS
from service.engine.operators import REGISTRY
from service.engine.operators.leaves import PROJECT
from service.engine.registry import Operator, TensorSpec
from service.engine.trace import Builder
from service.engine.transform import finished

_INPUT, _CONSTANT = REGISTRY["input"], REGISTRY["constant"]


def way(op: Operator) -> Literal["vectorised", "point by point"]:
    """How a batch of points goes through an operator."""
    if op.elementwise or op.batch is not None or op.composite or op.group == "leaf":
        return "vectorised"
    return "point by point"


def lined_up(xp: Any, flags: tuple[bool, ...], inputs: tuple[Any, ...]) -> list[Any]:
    """Inputs whose batch axes stand at the same place when they broadcast.

    A batched input of lower rank gets axes of size 1 behind the batch axis.
    """
    rank = max(x.ndim - flag for flag, x in zip(flags, inputs, strict=True))
    out = []
    for flag, x in zip(flags, inputs, strict=True):
        missing = rank - (x.ndim - flag)
        if flag and missing:
            x = xp.reshape(x, shape=(x.shape[0], *(1,) * missing, *x.shape[1:]))
        out.append(x)
    return out


def batched(
    code: Code,
    results: dict[str, int],
    inputs: Collection[str],
    size: int,
    limits: Limits = DEFAULT_LIMITS,
    *,
    apart: bool = False,
    control: Control | None = None,
) -> Code:
    """`code` with a leading axis of length `size` on the named inputs.

    `results` (name → slot) all carry that axis in the code that comes back, whose
    `names` find them. Equal steps are made once, unless each is to have a gradient of its
    own: with `apart` every step stays, and constants of the document carry the axis too.
    """
    builder = Builder(share=not apart, limits=limits, control=control)
    values: list[Any] = []
    flags: list[bool] = []
    for step in code.steps:
        if step.operator is _INPUT:
            assert step.name is not None
            flag = step.name in inputs
            shape = (size, *step.spec.shape) if flag else step.spec.shape
            values.append(builder.input(step.name, TensorSpec(shape, step.spec.dtype)))
        elif step.operator is _CONSTANT:
            constant = builder.constant(step.value, step.spec)
            flag = apart and step.name is not None and step.spec.floating
            if flag:
                constant = builder.broadcast_to(constant, shape=(size, *step.spec.shape))
            values.append(constant)
        elif step.operator is PROJECT:
            flag = flags[step.inputs[0]]
            values.append(values[step.inputs[0]][step.attrs["index"]])
        else:
            flag = any(flags[source] for source in step.inputs)
            operands = tuple(values[source] for source in step.inputs)
            if not flag:
                values.append(builder.emit(step.operator, operands, step.attrs, complete=True))
            else:
                which = tuple(flags[source] for source in step.inputs)
                values.append(
                    _batched_step(builder, step.operator, which, operands, step.attrs, size, step)
                )
        flags.append(flag)
    made = {}
    for name, slot in results.items():
        result = values[slot]
        if not flags[slot]:
            spec = code.steps[slot].spec
            result = builder.broadcast_to(result, shape=(size, *spec.shape))
        made[name] = result
    return finished(builder, made, limits)


def _batched_step(
    xp: Builder,
    op: Operator,
    flags: tuple[bool, ...],
    inputs: tuple[Any, ...],
    attrs: dict[str, Any],
    size: int,
    step: Any,
) -> Any:
    if op.batch is not None:
        return op.batch(xp, flags, *inputs, **attrs)
    if op.elementwise:
        return xp.emit(op, tuple(lined_up(xp, flags, inputs)), attrs, complete=True)
    specs = step.specs or (step.spec,)
    inferred = tuple(TensorSpec((size, *spec.shape), spec.dtype) for spec in specs)
    return xp.opaque(
        EACH_POINT,
        inputs,
        {"op": op.name, "flags": flags, "attrs": dict(attrs), "several": bool(step.specs)},
        inferred if step.specs else inferred[0],
    )


def _each_point(
    *inputs: Any, op: str, flags: tuple[bool, ...], attrs: dict[str, Any], several: bool
) -> Any:
    """Run an operator point by point and stack what comes out."""
    function = ARRAYS.function(REGISTRY[op])
    size = next(x.shape[0] for flag, x in zip(flags, inputs, strict=True) if flag)
    points = [
        function(*(x[i] if flag else x for flag, x in zip(flags, inputs, strict=True)), **attrs)
        for i in range(size)
    ]
    if several:
        return tuple(np.stack(parts) for parts in zip(*points, strict=True))
    return np.stack(points)


def _no_infer(*_: TensorSpec, **__: Any) -> TensorSpec:
    raise AssertionError("its shape is given where it is made")


EACH_POINT = Operator(
    name="each_point",
    group="internal",
    inputs=("x",),
    variadic=True,
    summary="An operator run point by point over a batch.",
    infer=_no_infer,
    forward=_each_point,
    internal=True,
)

__all__ = ["EACH_POINT", "batched", "lined_up", "way"]
