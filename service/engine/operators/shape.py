"""Gates that rearrange or repeat, and their adjoints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.errors import OperatorError, Shape
from service.engine.operators._batch import all_behind, behind, native, with_shape
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
from service.engine.shapes import broadcast, checked_axes, checked_axis
from service.engine.spelling import Spelling


def _full_shape(given: Shape, size: int) -> Shape:
    """`given` with a -1 worked out for a tensor of `size` elements."""
    if sum(one == -1 for one in given) > 1 or any(one < -1 for one in given):
        raise OperatorError(f"{given} is no shape: one -1 at the most", shapes=(given,))
    known = math.prod(one for one in given if one != -1)
    if -1 in given:
        if known == 0 or size % known:
            raise OperatorError(f"{size} elements do not fill the shape {given}", shapes=(given,))
        return tuple(size // known if one == -1 else one for one in given)
    if known != size:
        raise OperatorError(
            f"{size} elements do not fill the shape {given} of {known}", shapes=(given,)
        )
    return given


def _no_flops(*_: TensorSpec, **__: Any) -> int:
    return 0


def _reshape_code(x: Argument, *, shape: Shape) -> str:
    x = x.bare or x
    return x if x.spec.shape == tuple(shape) else f"np.reshape({x}, {tuple(shape)})"


SHAPE = {"shape": Attribute("ints", doc="the new shape")}

REGISTRY.register(
    Operator(
        name="reshape",
        analytic=True,
        batch=with_shape("reshape"),
        group="shape",
        numpy=(Spelling("x=a shape order * copy"),),
        inputs=("x",),
        summary="The same elements in another shape; one size may be -1.",
        infer=lambda x, *, shape: TensorSpec(_full_shape(tuple(shape), x.size), x.dtype),
        forward=lambda x, *, shape: np.reshape(x, shape),
        vjp=(lambda xp, g, y, x, shape: xp.reshape(g, shape=x.shape),),
        attributes=SHAPE,
        flops=_no_flops,
        formula="reshape(x)",
        gradient_formula="dx = reshape(g)",
        view=True,
        code=_reshape_code,
        domain=Domain(
            examples=(
                Example(((2, 6),), {"shape": [3, 4]}),
                Example(((2, 6),), {"shape": [-1]}),
                Example(((),), {"shape": [1, 1]}),
            )
        ),
    )
)


def _broadcast_batch(xp: Any, flags: tuple[bool, ...], x: Any, *, shape: Shape) -> Any:
    missing = len(shape) - (x.ndim - 1)
    x = xp.reshape(x, shape=(x.shape[0], *(1,) * missing, *x.shape[1:]))
    return xp.broadcast_to(x, shape=(x.shape[0], *shape))


def _sum_to_batch(xp: Any, flags: tuple[bool, ...], x: Any, *, shape: Shape) -> Any:
    missing = (x.ndim - 1) - len(shape)
    summed = xp.sum_to(x, shape=(x.shape[0], *(1,) * missing, *shape))
    return xp.reshape(summed, shape=(x.shape[0], *shape))


def _expand_batch(xp: Any, flags: tuple[bool, ...], x: Any, *, axis: Any) -> Any:
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    return xp.expand_dims(x, axis=behind(given, x.ndim - 1 + len(given)))


def _squeeze_batch(xp: Any, flags: tuple[bool, ...], x: Any, *, axis: Any) -> Any:
    if axis is None:
        axis = tuple(i for i, size in enumerate(x.shape[1:]) if size == 1)
    return xp.squeeze(x, axis=behind(axis, x.ndim - 1))


def _broadcast_infer(x: TensorSpec, *, shape: Shape) -> TensorSpec:
    shape = tuple(shape)
    if any(size < 0 for size in shape) or broadcast(x.shape, shape) != shape:
        raise OperatorError(f"{x.shape} does not broadcast to {shape}", shapes=(x.shape, shape))
    return TensorSpec(shape, x.dtype)


def _broadcast_code(x: Argument, *, shape: Shape) -> str:
    if x.spec.size == 1:
        return f"np.full({tuple(shape)}, {x.bare or x})"
    return f"np.broadcast_to({x}, {tuple(shape)})"


REGISTRY.register(
    Operator(
        name="broadcast_to",
        analytic=True,
        batch=_broadcast_batch,
        group="shape",
        numpy=(Spelling("x=array shape subok"),),
        inputs=("x",),
        summary="The input repeated up to a shape, by NumPy's broadcasting rules.",
        infer=_broadcast_infer,
        forward=lambda x, *, shape: np.broadcast_to(x, shape),
        vjp=(lambda xp, g, y, x, shape: g,),
        attributes=SHAPE,
        flops=_no_flops,
        formula="x, repeated",
        gradient_formula="dx = g summed over the repeats",
        pattern="distributor",
        view=True,
        code=_broadcast_code,
        domain=Domain(
            examples=(
                Example(((3, 1),), {"shape": [2, 3, 4]}),
                Example(((),), {"shape": [2]}),
            )
        ),
    )
)


def _sum_to_code(x: Argument, *, shape: Shape) -> str:
    have, want = x.spec.shape, tuple(shape)
    if have == want:
        return x
    axes = _summed_axes(have, want)
    if not want or len(axes) == len(have) == len(want) == 1:
        return f"np.sum({x})" if not want else f"np.sum({x}, keepdims=True)"
    lead = len(have) - len(want)
    text: str = x
    if lead:
        text = f"np.sum({text}, axis={_one_or_all(axes[:lead])})"
    inner = tuple(axis - lead for axis in axes[lead:])
    return f"np.sum({text}, axis={_one_or_all(inner)}, keepdims=True)" if inner else text


def _one_or_all(axes: Shape) -> int | Shape:
    return axes[0] if len(axes) == 1 else axes


def _summed_axes(shape: Shape, target: Shape) -> tuple[int, ...]:
    lead = len(shape) - len(target)
    return tuple(range(lead)) + tuple(
        i + lead
        for i, (have, want) in enumerate(zip(shape[lead:], target, strict=True))
        if want == 1 and have != 1
    )


def sum_to(x: Any, *, shape: Shape) -> Any:
    """`x` summed over the axes along which `shape` would be repeated to give `x.shape`."""
    shape = tuple(shape)
    if x.shape == shape:
        return x
    dtype = None if x.dtype.kind == "b" else x.dtype  # NumPy sums int32 as int64
    return np.reshape(np.sum(x, axis=_summed_axes(x.shape, shape), dtype=dtype), shape)


def _sum_to_infer(x: TensorSpec, *, shape: Shape) -> TensorSpec:
    shape = tuple(shape)
    if any(size < 0 for size in shape) or broadcast(x.shape, shape) != x.shape:
        raise OperatorError(f"{shape} does not broadcast to {x.shape}", shapes=(x.shape, shape))
    return TensorSpec(shape, "int64" if x.dtype == "bool" else x.dtype)


REGISTRY.register(
    Operator(
        name="sum_to",
        analytic=True,
        batch=_sum_to_batch,
        group="shape",
        inputs=("x",),
        summary="The input summed down to a shape that broadcasts to its own.",
        infer=_sum_to_infer,
        forward=sum_to,
        vjp=(lambda xp, g, y, x, shape: g,),
        attributes=SHAPE,
        flops=lambda x, shape: x.size,
        formula="Σ x over the repeats",
        code=_sum_to_code,
        gradient_formula="dx = g, repeated",
        pattern="distributor",
        domain=Domain(
            examples=(
                Example(((2, 3, 4),), {"shape": [3, 1]}),
                Example(((2, 3),), {"shape": []}),
            )
        ),
    )
)


def _expand_infer(x: TensorSpec, *, axis: Any) -> TensorSpec:
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    ndim = x.ndim + len(given)
    axes = checked_axes(given, ndim)
    rest = iter(x.shape)
    return TensorSpec(tuple(1 if i in axes else next(rest) for i in range(ndim)), x.dtype)


REGISTRY.register(
    Operator(
        name="expand_dims",
        analytic=True,
        batch=_expand_batch,
        group="shape",
        numpy=(Spelling("x=a axis"),),
        inputs=("x",),
        summary="New axes of size 1.",
        infer=_expand_infer,
        forward=lambda x, *, axis: np.expand_dims(x, axis),
        vjp=(lambda xp, g, y, x, axis: xp.reshape(g, shape=x.shape),),
        attributes={"axis": Attribute("axes", doc="where the new axes stand in the result")},
        flops=_no_flops,
        formula="x with new axes",
        gradient_formula="dx = reshape(g)",
        aliases=("unsqueeze",),
        view=True,
        code="np.expand_dims({0}, {axis})",
        domain=Domain(
            examples=(Example(((2, 3),), {"axis": 1}), Example(((2,),), {"axis": [0, -1]}))
        ),
    )
)


def _squeeze_infer(x: TensorSpec, *, axis: Any) -> TensorSpec:
    ones = (i for i, size in enumerate(x.shape) if size == 1)
    axes = tuple(ones) if axis is None else checked_axes(axis, x.ndim)
    for one in axes:
        if x.shape[one] != 1:
            raise OperatorError(
                f"axis {one} of {x.shape} has not size 1",
                shapes=(x.shape,),
                hint="is the index out of range?" if x.shape[one] == 0 else None,
            )
    return TensorSpec(tuple(size for i, size in enumerate(x.shape) if i not in axes), x.dtype)


def _squeeze_code(x: Argument, *, axis: Any) -> str:
    if axis == () or 1 not in x.spec.shape:
        return x
    return f"np.squeeze({x}{'' if axis is None else f', {axis}'})"


REGISTRY.register(
    Operator(
        name="squeeze",
        analytic=True,
        batch=_squeeze_batch,
        group="shape",
        numpy=(Spelling("x=a axis"),),
        inputs=("x",),
        summary="Axes of size 1 left out.",
        infer=_squeeze_infer,
        forward=lambda x, *, axis: np.squeeze(x, axis),
        vjp=(lambda xp, g, y, x, axis: xp.reshape(g, shape=x.shape),),
        attributes={
            "axis": Attribute("axes", None, "the axes; null means all of size 1", nullable=True)
        },
        flops=_no_flops,
        formula="x without axes of size 1",
        gradient_formula="dx = reshape(g)",
        view=True,
        code=_squeeze_code,
        domain=Domain(
            examples=(Example(((2, 1, 3),), {"axis": 1}), Example(((1, 2, 1),), {"axis": None}))
        ),
    )
)
REGISTRY.register(
    Operator(
        name="cast",
        branch=lambda y, x, **_: np.zeros(()) if y.dtype.kind == "f" else y,
        batch=native("cast"),
        group="shape",
        inputs=("x",),
        summary="The input in another dtype.",
        infer=lambda x, *, dtype: TensorSpec(x.shape, dtype),
        forward=lambda x, *, dtype: np.asarray(x).astype(dtype)[()],
        vjp=(lambda xp, g, y, x, dtype: g,),
        attributes={
            "dtype": Attribute(
                "choice",
                doc="the dtype of the result",
                choices=("float64", "float32", "int64", "int32", "bool"),
            )
        },
        flops=_no_flops,
        formula="x",
        gradient_formula="dx = g",
        aliases=("astype",),
        code="np.asarray({0}).astype(np.{dtype})",
        domain=Domain(examples=(Example(((2, 3),), {"dtype": "float64"}),)),
    )
)


def _checked_order(axes: Shape, ndim: int) -> Shape:
    order = checked_axes(tuple(axes), ndim)
    if len(order) != ndim:
        raise OperatorError(f"{tuple(axes)} is no order of {ndim} axes", code="attribute")
    return order


def _permute_infer(x: TensorSpec, *, axes: Shape) -> TensorSpec:
    return TensorSpec(tuple(x.shape[i] for i in _checked_order(axes, x.ndim)), x.dtype)


def _permute_rule(xp: Any, g: Any, y: Any, x: Any, axes: Shape) -> Any:
    order = [axis % x.ndim for axis in axes]
    return xp.permute_dims(g, axes=tuple(order.index(i) for i in range(x.ndim)))


REGISTRY.register(
    Operator(
        name="permute_dims",
        analytic=True,
        batch=lambda xp, flags, x, axes: xp.permute_dims(
            x, axes=(0, *all_behind(axes, x.ndim - 1))
        ),
        group="shape",
        numpy=(Spelling("x=a axes", names="transpose permute_dims"),),
        inputs=("x",),
        summary="The axes in another order.",
        infer=_permute_infer,
        forward=lambda x, *, axes: np.transpose(x, axes),
        vjp=(_permute_rule,),
        attributes={"axes": Attribute("ints", doc="the old axes in their new order")},
        flops=_no_flops,
        formula="x with its axes reordered",
        gradient_formula="dx = g with its axes put back",
        aliases=("permute",),
        view=True,
        code="np.transpose({0}, {axes})",
        domain=Domain(
            examples=(
                Example(((2, 3, 4),), {"axes": [2, 0, 1]}),
                Example(((2, 3),), {"axes": [-1, 0]}),
            )
        ),
    )
)


def _flip_infer(x: TensorSpec, *, axis: Any) -> TensorSpec:
    checked_axes(axis, x.ndim)
    return x


REGISTRY.register(
    Operator(
        name="flip",
        analytic=True,
        batch=lambda xp, flags, x, axis: xp.flip(x, axis=behind(axis, x.ndim - 1)),
        group="shape",
        numpy=(Spelling("x=m axis"),),
        inputs=("x",),
        summary="The elements in reverse order along axes.",
        infer=_flip_infer,
        forward=lambda x, *, axis: np.flip(x, axis),
        vjp=(lambda xp, g, y, x, axis: xp.flip(g, axis=axis),),
        attributes={"axis": Attribute("axes", None, "the axes; null means all", nullable=True)},
        flops=_no_flops,
        formula="x[::-1]",
        gradient_formula="dx = g[::-1]",
        view=True,
        code="np.flip({0}, {axis})",
        domain=Domain(examples=(Example(((2, 3),)), Example(((4, 3),), {"axis": 0}))),
    )
)


def _roll_infer(x: TensorSpec, *, shift: int, axis: int) -> TensorSpec:
    checked_axis(axis, x.ndim)
    return x


REGISTRY.register(
    Operator(
        name="roll",
        analytic=True,
        batch=lambda xp, flags, x, shift, axis: xp.roll(
            x, shift=shift, axis=behind(axis, x.ndim - 1)
        ),
        group="shape",
        numpy=(Spelling("x=a shift axis"),),
        inputs=("x",),
        summary="The elements moved along an axis; what falls off the end comes in at the front.",
        infer=_roll_infer,
        forward=lambda x, *, shift, axis: np.roll(x, shift, axis),
        vjp=(lambda xp, g, y, x, shift, axis: xp.roll(g, shift=-shift, axis=axis),),
        attributes={
            "shift": Attribute("int", doc="by how many places"),
            "axis": Attribute("axis", -1, "the axis along which"),
        },
        flops=_no_flops,
        formula="y[i + shift] = x[i]",
        gradient_formula="dx[i] = g[i + shift]",
        code="np.roll({0}, {shift}, {axis})",
        domain=Domain(
            examples=(
                Example(((5,),), {"shift": 2}),
                Example(((2, 3),), {"shift": -1, "axis": 0}),
            )
        ),
    )
)


def _moveaxis_order(ndim: int, source: int, destination: int) -> Shape:
    source, destination = checked_axis(source, ndim), checked_axis(destination, ndim)
    order = [i for i in range(ndim) if i != source]
    order.insert(destination, source)
    return tuple(order)


REGISTRY.register(
    Operator(
        name="moveaxis",
        group="shape",
        numpy=(Spelling("x=a source destination"),),
        inputs=("x",),
        summary="One axis put at another place; the others stay in order.",
        infer=lambda x, *, source, destination: TensorSpec(
            tuple(x.shape[i] for i in _moveaxis_order(x.ndim, source, destination)), x.dtype
        ),
        expand=lambda xp, x, *, source, destination: xp.permute_dims(
            x, axes=_moveaxis_order(x.ndim, source, destination)
        ),
        attributes={
            "source": Attribute("axis", doc="the axis to move"),
            "destination": Attribute("axis", doc="where it goes"),
        },
        formula="x with an axis moved",
        gradient_formula="dx = g with the axis put back",
        domain=Domain(examples=(Example(((2, 3, 4),), {"source": 0, "destination": -1}),)),
    )
)


def _swapped(ndim: int, axis1: int, axis2: int) -> Shape:
    order = list(range(ndim))
    a, b = checked_axis(axis1, ndim), checked_axis(axis2, ndim)
    order[a], order[b] = b, a
    return tuple(order)


composite(
    "swapaxes",
    "x",
    lambda xp, x, *, axis1, axis2: xp.permute_dims(x, axes=_swapped(x.ndim, axis1, axis2)),
    (Example(((2, 3, 4),), {"axis1": 0, "axis2": -1}), Example(((3,),), {"axis1": 0, "axis2": 0})),
    group="shape",
    numpy=(Spelling("x=a axis1 axis2"),),
    attributes={
        "axis1": Attribute("axis", doc="the one axis"),
        "axis2": Attribute("axis", doc="the other"),
    },
    summary="Two axes exchanged.",
    formula="x with two axes exchanged",
    gradient="dx = g with them exchanged back",
)


def _pad_widths(pads: Shape, ndim: int) -> list[tuple[int, int]]:
    if len(pads) != 2 * ndim:
        raise OperatorError(
            f"a tensor of {ndim} dimensions wants {2 * ndim} pads, here {len(pads)}",
            code="attribute",
            hint="first all that go in front, then all that go behind",
        )
    return list(zip(pads[:ndim], pads[ndim:], strict=True))


def _pad_infer(x: TensorSpec, *, pads: Shape, value: float, mode: str) -> TensorSpec:
    if not x.floating and (not math.isfinite(value) or np.array(value).astype(x.dtype) != value):
        raise OperatorError(
            f"a tensor of dtype {x.dtype} can't hold the value {value}", code="attribute"
        )
    sizes = []
    for size, (low, high) in zip(x.shape, _pad_widths(pads, x.ndim), strict=True):
        if mode != "constant" and size == 0 and low + high:
            raise OperatorError("an empty axis has nothing for its margin", shapes=(x.shape,))
        sizes.append(low + size + high)
    return TensorSpec(tuple(sizes), x.dtype)


def _pad(x: Any, *, pads: Shape, value: float, mode: Any) -> Any:
    if not pads:  # np.pad takes no list of no axes.
        return x
    fill: dict[str, Any] = {"constant_values": value} if mode == "constant" else {}
    return np.pad(x, _pad_widths(pads, np.ndim(x)), mode, **fill)


def _pad_code(x: str, *, pads: Shape, value: float, mode: str) -> str:
    if not pads:
        return x
    number = repr(value) if math.isfinite(value) else f"float('{value}')"
    fill = f"constant_values={number}" if mode == "constant" else f"mode={mode!r}"
    return f"np.pad({x}, {_pad_widths(pads, len(pads) // 2)}, {fill})"


def _pad_rule(xp: Any, g: Any, y: Any, x: Any, pads: Shape, value: float, mode: Any) -> Any:
    if mode == "constant":
        stops = tuple(low + n for low, n in zip(pads[: x.ndim], x.shape, strict=True))
        return xp.slice(g, starts=tuple(pads[: x.ndim]), stops=stops, axes=None, steps=None)
    for axis, widths in enumerate(_pad_widths(pads, x.ndim)):
        if widths == (0, 0):
            continue
        size = x.shape[axis]
        shape = (*g.shape[:axis], size, *g.shape[axis + 1 :])
        blank = xp.cast(xp.broadcast_to(0.0, shape=shape), dtype=str(x.dtype))
        g = xp.index_add(blank, np.pad(np.arange(size), widths, mode), g, axis=axis)
    return g


REGISTRY.register(
    Operator(
        name="pad",
        analytic=True,
        batch=lambda xp, flags, x, pads, **attrs: xp.pad(
            x, pads=(0, *pads[: len(pads) // 2], 0, *pads[len(pads) // 2 :]), **attrs
        ),
        group="shape",
        inputs=("x",),
        summary="The tensor with a margin around it, of one value or of its own elements.",
        infer=_pad_infer,
        forward=_pad,
        code=_pad_code,
        vjp=(_pad_rule,),
        attributes={
            "pads": Attribute(
                "ints", doc="widths: all in front of the axes, then all behind", minimum=0
            ),
            "value": Attribute("number", 0.0, "what the margin holds"),
            "mode": Attribute(
                "choice",
                "constant",
                "the value; or the edge's element, the elements mirrored at the edge, or those "
                "of the other end",
                choices=("constant", "edge", "reflect", "wrap"),
            ),
        },
        flops=_no_flops,
        formula="x with a margin",
        gradient_formula="dx = g without the margin, which is added to the elements it repeats",
        domain=Domain(
            examples=(
                Example(((2, 3),), {"pads": [1, 0, 0, 2]}),
                Example(((3,),), {"pads": [1, 1], "value": 5.0}),
                Example(((2, 3),), {"pads": [1, 0, 2, 2], "mode": "edge"}),
                Example(((4, 3),), {"pads": [2, 0, 1, 2], "mode": "reflect"}),
                Example(((3,),), {"pads": [4, 2], "mode": "wrap"}),
            )
        ),
    )
)


def _repeat(xp: Any, x: Any, *, repeats: int, axis: int) -> Any:
    axis = axis % x.ndim
    wide = xp.expand_dims(x, axis=axis + 1)
    shape = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
    whole = (*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :])
    return xp.reshape(xp.broadcast_to(wide, shape=shape), shape=whole)


def _repeat_infer(x: TensorSpec, *, repeats: int, axis: int) -> TensorSpec:
    axis = checked_axis(axis, x.ndim)
    whole = (*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :])
    return TensorSpec(whole, x.dtype)


REGISTRY.register(
    Operator(
        name="repeat",
        group="shape",
        numpy=(Spelling("x=a repeats axis", flattens=True),),
        inputs=("x",),
        summary="Every element several times in a row along an axis.",
        infer=_repeat_infer,
        expand=_repeat,
        attributes={
            "repeats": Attribute("int", doc="how often each", minimum=1),
            "axis": Attribute("axis", 0, "the axis along which"),
        },
        formula="x0 x0 x1 x1 …",
        gradient_formula="dx = the sum of g over the copies",
        pattern="distributor",
        domain=Domain(
            examples=(
                Example(((3,),), {"repeats": 2}),
                Example(((2, 3),), {"repeats": 3, "axis": -1}),
            )
        ),
    )
)


def _tile_shapes(shape: Shape, repeats: Shape) -> tuple[Shape, Shape, Shape]:
    rank = max(len(shape), len(repeats))
    sizes = (1,) * (rank - len(shape)) + shape
    counts = (1,) * (rank - len(repeats)) + tuple(repeats)
    between = tuple(n for size in sizes for n in (1, size))
    spread = tuple(n for pair in zip(counts, sizes, strict=True) for n in pair)
    return between, spread, tuple(a * b for a, b in zip(counts, sizes, strict=True))


def _tile(xp: Any, x: Any, *, repeats: Shape) -> Any:
    between, spread, whole = _tile_shapes(tuple(x.shape), repeats)
    wide = xp.broadcast_to(xp.reshape(x, shape=between), shape=spread)
    return xp.reshape(wide, shape=whole)


REGISTRY.register(
    Operator(
        name="tile",
        group="shape",
        numpy=(Spelling("x=A repeats=reps"),),
        inputs=("x",),
        summary="The whole tensor several times side by side.",
        infer=lambda x, *, repeats: TensorSpec(_tile_shapes(x.shape, repeats)[2], x.dtype),
        expand=_tile,
        attributes={"repeats": Attribute("ints", doc="how often along each axis", minimum=0)},
        formula="x x …",
        gradient_formula="dx = the sum of g over the copies",
        pattern="distributor",
        domain=Domain(
            examples=(
                Example(((3,),), {"repeats": [2]}),
                Example(((2, 3),), {"repeats": [2, 1, 2]}),
            )
        ),
    )
)
