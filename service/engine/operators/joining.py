"""Joining tensors and taking them apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from service.engine.control import MOST_PARTS
from service.engine.errors import LimitExceeded, OperatorError
from service.engine.operators._batch import spread
from service.engine.operators._define import composite
from service.engine.registry import (
    REGISTRY,
    Argument,
    Attribute,
    Domain,
    Example,
    Operator,
    TensorSpec,
)
from service.engine.shapes import checked_axis, promote
from service.engine.spelling import Spelling

_AXIS = {"axis": Attribute("axis", 0, "the axis along which")}


def _no_flops(*_: TensorSpec, **__: Any) -> int:
    return 0


def _concat_infer(*inputs: TensorSpec, axis: int) -> TensorSpec:
    first = inputs[0]
    axis = checked_axis(axis, first.ndim)
    shapes = tuple(x.shape for x in inputs)
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(rests) != 1 or any(len(shape) != first.ndim for shape in shapes):
        raise OperatorError(f"the shapes differ elsewhere than on axis {axis}", shapes=shapes[:8])
    total = sum(shape[axis] for shape in shapes)
    return TensorSpec((*first.shape[:axis], total, *first.shape[axis + 1 :]), promote(*inputs))


def _part(xp: Any, g: Any, axis: int, start: int, stop: int) -> Any:
    return xp.slice(g, starts=(start,), stops=(stop,), axes=(axis,), steps=(1,))


def _concat_rule(
    wanted: Sequence[int], xp: Any, g: Any, y: Any, *inputs: Any, axis: int
) -> list[Any]:
    axis = axis % y.ndim
    ends = list(itertools.accumulate(x.shape[axis] for x in inputs))
    return [_part(xp, g, axis, ends[i] - inputs[i].shape[axis], ends[i]) for i in wanted]


def _joined(name: str, extra: int) -> Any:
    def batch(xp: Any, flags: tuple[bool, ...], *inputs: Any, axis: int) -> Any:
        ndim = next(x.ndim - 1 for flag, x in zip(flags, inputs, strict=True) if flag) + extra
        return getattr(xp, name)(*spread(xp, flags, inputs), axis=axis % ndim + 1)

    return batch


def _listed(function: str) -> Any:
    def code(*inputs: str, axis: int) -> str:
        return f"np.{function}([{', '.join(inputs)}], axis={axis})"

    return code


REGISTRY.register(
    Operator(
        name="concat",
        onnx="Concat",
        analytic=True,
        group="joining",
        numpy=(Spelling("*x=arrays axis out * dtype casting"),),
        inputs=("x",),
        variadic=True,
        summary="Tensors end to end along an axis.",
        infer=_concat_infer,
        forward=lambda *inputs, axis: np.concatenate(inputs, axis=axis),
        vjp=_concat_rule,
        batch=_joined("concat", 0),
        attributes=_AXIS,
        flops=_no_flops,
        formula="[x0, x1, …]",
        gradient_formula="each input gets its part of g",
        aliases=("concatenate",),
        pattern="router",
        code=_listed("concatenate"),
        domain=Domain(
            examples=(
                Example(((2, 3), (1, 3), (4, 3))),
                Example(((2, 3), (2, 1)), {"axis": -1}),
            )
        ),
    )
)


def _stack_infer(*inputs: TensorSpec, axis: int) -> TensorSpec:
    shapes = tuple(x.shape for x in inputs)
    if len(set(shapes)) != 1:
        raise OperatorError("tensors of different shapes cannot be stacked", shapes=shapes[:8])
    axis = checked_axis(axis, inputs[0].ndim + 1)
    shape = shapes[0]
    return TensorSpec((*shape[:axis], len(inputs), *shape[axis:]), promote(*inputs))


def _stack_rule(
    wanted: Sequence[int], xp: Any, g: Any, y: Any, *inputs: Any, axis: int
) -> list[Any]:
    axis, shape = axis % y.ndim, inputs[0].shape
    return [xp.reshape(_part(xp, g, axis, i, i + 1), shape=shape) for i in wanted]


REGISTRY.register(
    Operator(
        name="stack",
        analytic=True,
        group="joining",
        numpy=(Spelling("*x=arrays axis out * dtype casting"),),
        inputs=("x",),
        variadic=True,
        summary="Tensors of one shape side by side along a new axis.",
        infer=_stack_infer,
        forward=lambda *inputs, axis: np.stack(inputs, axis=axis),
        vjp=_stack_rule,
        batch=_joined("stack", 1),
        attributes=_AXIS,
        flops=_no_flops,
        formula="[x0, x1, …]",
        gradient_formula="each input gets its part of g",
        pattern="router",
        code=_listed("stack"),
        domain=Domain(
            examples=(Example(((2, 3), (2, 3))), Example(((3,), (3,), (3,)), {"axis": -1}))
        ),
    )
)


def _check_parts(count: int) -> None:
    if count > MOST_PARTS:
        raise LimitExceeded("parts", MOST_PARTS, count)


def _cuts(size: int, sections: int | None, sizes: tuple[int, ...] | None) -> list[int]:
    """The sizes of the parts of an axis."""
    if (sections is None) == (sizes is None):
        raise OperatorError("give either sections or sizes", code="attribute")
    if sizes is None:
        assert sections is not None
        if sections < 1 or size % sections:
            raise OperatorError(f"an axis of {size} has no {sections} equal parts")
        _check_parts(sections)
        return [size // sections] * sections
    if sum(sizes) != size or any(one < 0 for one in sizes) or not sizes:
        raise OperatorError(f"the sizes {sizes} do not add up to {size}")
    return list(sizes)


def _split_infer(x: TensorSpec, *, axis: int, sections: Any, sizes: Any) -> Any:
    axis = checked_axis(axis, x.ndim)
    cuts = _cuts(x.shape[axis], sections, sizes)
    return tuple(TensorSpec((*x.shape[:axis], c, *x.shape[axis + 1 :]), x.dtype) for c in cuts)


def _split(x: Any, *, axis: int, sections: Any, sizes: Any) -> tuple[Any, ...]:
    cuts = np.cumsum(_cuts(x.shape[axis], sections, sizes))[:-1]
    return tuple(np.split(x, cuts, axis=axis))


def _split_code(x: Argument, *, axis: int, sections: Any, sizes: Any) -> str:
    cuts = sections if sizes is None else np.cumsum(sizes)[:-1].tolist()
    return f"np.split({x}, {cuts}, axis={axis})"


def _filled(xp: Any, g: Any, y: Any) -> list[Any]:
    """The cotangents of all outputs, zeros for those that have none."""
    return [
        xp.cast(xp.broadcast_to(0.0, shape=part.shape), dtype=str(part.dtype))
        if one is None
        else one
        for one, part in zip(g, y, strict=True)
    ]


REGISTRY.register(
    Operator(
        name="split",
        analytic=True,
        group="joining",
        inputs=("x",),
        outputs=2,
        summary="The parts of a tensor along an axis; refer to them as node.0, node.1, …",
        infer=_split_infer,
        forward=_split,
        code=_split_code,
        vjp=(lambda xp, g, y, x, axis, sections, sizes: xp.concat(*_filled(xp, g, y), axis=axis),),
        batch=lambda xp, flags, x, axis, **attrs: xp.split(
            x, axis=axis % (x.ndim - 1) + 1, **attrs
        ),
        attributes={
            **_AXIS,
            "sections": Attribute("int", None, "how many equal parts", nullable=True, minimum=1),
            "sizes": Attribute("ints", None, "or the size of each part", nullable=True),
        },
        flops=_no_flops,
        formula="x0, x1, … = x",
        gradient_formula="dx = [g0, g1, …]",
        pattern="router",
        domain=Domain(
            examples=(
                Example(((4, 3),), {"sections": 2}),
                Example(((2, 5),), {"axis": 1, "sizes": [1, 3, 1]}),
            )
        ),
    )
)


def _array_split(xp: Any, x: Any, *, sections: int, axis: int) -> Any:
    size = x.shape[checked_axis(axis, x.ndim)]
    _check_parts(sections)
    each, more = divmod(size, sections)
    sizes = (each + 1,) * more + (each,) * (sections - more)
    return xp.split(x, axis=axis, sizes=sizes)


composite(
    "array_split",
    "x",
    _array_split,
    (Example(((5, 2),), {"sections": 3}), Example(((2, 4),), {"sections": 2, "axis": -1})),
    group="joining",
    outputs=2,
    attributes={
        "sections": Attribute("int", doc="how many parts, as equal as can be", minimum=1),
        **_AXIS,
    },
    summary="The parts of a tensor along an axis, of equal size or one less; node.0, node.1, …",
    formula="x0, x1, … = x",
    gradient="dx = [g0, g1, …]",
    pattern="router",
)


def _unstack_infer(x: TensorSpec, *, axis: int) -> Any:
    axis = checked_axis(axis, x.ndim)
    if x.shape[axis] == 0:
        raise OperatorError("an empty axis has no parts", shapes=(x.shape,))
    _check_parts(x.shape[axis])
    part = TensorSpec((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype)
    return (part,) * x.shape[axis]


REGISTRY.register(
    Operator(
        name="unstack",
        analytic=True,
        group="joining",
        numpy=(Spelling("x * axis"),),
        inputs=("x",),
        outputs=2,
        summary="The slices of a tensor along an axis; refer to them as node.0, node.1, …",
        infer=_unstack_infer,
        forward=lambda x, *, axis: tuple(np.moveaxis(x, axis, 0)),
        code="np.moveaxis({0}, {axis}, 0)",
        vjp=(lambda xp, g, y, x, axis: xp.stack(*_filled(xp, g, y), axis=axis),),
        batch=lambda xp, flags, x, axis: xp.unstack(x, axis=axis % (x.ndim - 1) + 1),
        attributes=_AXIS,
        flops=_no_flops,
        formula="x0, x1, … = x",
        gradient_formula="dx = [g0, g1, …]",
        pattern="router",
        domain=Domain(examples=(Example(((3, 2),)), Example(((2, 3),), {"axis": -1}))),
    )
)
