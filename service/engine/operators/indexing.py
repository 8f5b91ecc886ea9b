"""Taking parts of tensors, and the adjoints that put them back."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.errors import OperatorError, Shape
from service.engine.operators._batch import spread
from service.engine.registry import (
    REGISTRY,
    Argument,
    Attribute,
    Domain,
    Example,
    Operator,
    Scatter,
    TensorSpec,
)
from service.engine.shapes import broadcast, checked_axes, checked_axis, promote
from service.engine.spelling import Spelling

_SLICE = {
    "starts": Attribute("ints", doc="the first index on each axis"),
    "stops": Attribute("ints", doc="the index before which to stop; beyond the end is the end"),
    "axes": Attribute("ints", None, "which axes; null means the first ones", nullable=True),
    "steps": Attribute("ints", None, "the step on each axis; null means 1", nullable=True),
}


def _no_flops(*_: TensorSpec, **__: Any) -> int:
    return 0


def slices_of(ndim: int, starts: Any, stops: Any, axes: Any, steps: Any) -> tuple[slice, ...]:
    """One slice per axis; OperatorError when the lists do not fit together."""
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(stops) == len(axes) == len(steps):
        raise OperatorError("starts, stops, axes and steps differ in length", code="attribute")
    out = [slice(None)] * ndim
    for start, stop, axis, step in zip(starts, stops, checked_axes(axes, ndim), steps, strict=True):
        if step == 0:
            raise OperatorError("a step of 0 leads nowhere", code="attribute")
        # A negative step that runs off the front has no stop that could be written as an index.
        end = None if step < 0 and stop < -(10**9) else stop
        out[axis] = slice(start, end, step)
    return tuple(out)


def _subscript(
    shape: Shape, starts: Any, stops: Any, axes: Any, steps: Any, dropped: Shape = ()
) -> str:
    """The slices as Python writes them; of the axes that are `dropped`, the one index."""
    ndim = len(shape)
    slices = slices_of(ndim, starts, stops, axes, steps)
    parts = []
    for axis, (one, size) in enumerate(zip(slices, shape, strict=True)):
        first, last, step = one.start or 0, one.stop, one.step or 1
        if axis in dropped:
            parts.append(str(first))
            continue
        begin = "" if first == 0 and step > 0 else str(first)
        end = "" if last is None or last >= size > 0 else str(last)
        parts.append(f"{begin}:{end}" + (f":{step}" if step != 1 else ""))
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts) or "..."


def _dropped(whole: Shape, small: Shape, starts: Any, stops: Any, axes: Any, steps: Any) -> Shape:
    """The axes that a slice leaves at size 1 and that `small` goes without, if these are all."""
    slices = slices_of(len(whole), starts, stops, axes, steps)
    part = _sliced_shape(whole, slices)
    given = {axis % len(whole) for axis in (range(len(starts)) if axes is None else axes)}
    ones = tuple(
        axis for axis in sorted(given) if part[axis] == 1 and slices[axis].step in (1, None)
    )
    rest = tuple(size for axis, size in enumerate(part) if axis not in ones)
    return ones if ones and rest == small else ()


def _sliced_shape(shape: Shape, slices: tuple[slice, ...]) -> Shape:
    return tuple(len(range(*one.indices(size))) for one, size in zip(slices, shape, strict=True))


def _moved_axes(attrs: dict[str, Any]) -> dict[str, Any]:
    """Slice attributes for tensors with one more axis in front."""
    ndim = attrs.pop("ndim")
    axes = attrs["axes"]
    axes = range(len(attrs["starts"])) if axes is None else axes
    return {**attrs, "axes": tuple(axis % ndim + 1 for axis in axes)}


def _slice_code(x: Argument, result: Shape | None = None, **attrs: Any) -> str:
    """The slice; with `result`, the element or row of that shape, or nothing if it is none."""
    dropped = () if result is None else _dropped(x.spec.shape, result, **attrs)
    if result is not None and not dropped:
        return ""
    return f"{x}[{_subscript(x.spec.shape, dropped=dropped, **attrs)}]"


def _slice_scatter(x: Argument, *, shape: Shape, **attrs: Any) -> Scatter:
    dropped = () if x.bare is None else _dropped(shape, x.bare.spec.shape, **attrs)
    values = x.bare if dropped and x.bare is not None else x
    return Scatter(_subscript(shape, dropped=dropped, **attrs), values)


REGISTRY.register(
    Operator(
        name="slice",
        analytic=True,
        group="indexing",
        inputs=("x",),
        summary="A part of a tensor, by first index, stop and step on some axes.",
        infer=lambda x, **attrs: TensorSpec(
            _sliced_shape(x.shape, slices_of(x.ndim, **attrs)), x.dtype
        ),
        forward=lambda x, **attrs: x[slices_of(x.ndim, **attrs)],
        vjp=(lambda xp, g, y, x, **attrs: xp.slice_into(g, shape=x.shape, **attrs),),
        batch=lambda xp, flags, x, **attrs: xp.slice(
            x, **_moved_axes({**attrs, "ndim": x.ndim - 1})
        ),
        attributes=_SLICE,
        flops=_no_flops,
        formula="x[start:stop:step, ...]",
        gradient_formula="dx = g in its place, zeros around",
        pattern="router",
        view=True,
        code=_slice_code,
        domain=Domain(
            examples=(
                Example(((5, 4),), {"starts": [1], "stops": [4]}),
                Example(((5, 4),), {"starts": [0, -3], "stops": [99, -1], "axes": [0, 1]}),
                Example(((7,),), {"starts": [6], "stops": [0], "axes": [0], "steps": [-2]}),
                Example(((2, 6),), {"starts": [1], "stops": [6], "axes": [-1], "steps": [2]}),
            )
        ),
    )
)


def _slice_into(x: Any, *, shape: Shape, **attrs: Any) -> Any:
    whole = np.zeros(shape, np.asarray(x).dtype)
    whole[slices_of(len(shape), **attrs)] = x
    return whole


def _slice_into_infer(x: TensorSpec, *, shape: Shape, **attrs: Any) -> TensorSpec:
    shape = tuple(shape)
    if any(size < 0 for size in shape):
        raise OperatorError(f"{shape} is no shape", shapes=(shape,))
    part = _sliced_shape(shape, slices_of(len(shape), **attrs))
    if part != x.shape:
        raise OperatorError(f"{x.shape} does not fill the part {part}", shapes=(x.shape, part))
    return TensorSpec(shape, x.dtype)


REGISTRY.register(
    Operator(
        name="slice_into",
        analytic=True,
        group="indexing",
        inputs=("x",),
        summary="Zeros of a shape with the input at the place that slice would take: its adjoint.",
        infer=_slice_into_infer,
        forward=_slice_into,
        vjp=(lambda xp, g, y, x, shape, **attrs: xp.slice(g, **attrs),),
        batch=lambda xp, flags, x, shape, **attrs: xp.slice_into(
            x, shape=(x.shape[0], *shape), **_moved_axes({**attrs, "ndim": len(shape)})
        ),
        attributes={"shape": Attribute("ints", doc="the shape of the result"), **_SLICE},
        flops=_no_flops,
        formula="zeros; y[start:stop:step] = x",
        gradient_formula="dx = g[start:stop:step]",
        scatter=_slice_scatter,
        domain=Domain(
            examples=(
                Example(((3, 4),), {"shape": [5, 4], "starts": [1], "stops": [4]}),
                Example(
                    ((3,),),
                    {"shape": [7], "starts": [6], "stops": [0], "axes": [0], "steps": [-2]},
                ),
            )
        ),
    )
)


def as_index(indices: Any, size: int) -> Any:
    """`indices` as int64 within `size`; OperatorError for one that is no integer or outside."""
    given = np.asarray(indices)
    index = given.astype(np.int64)
    if not np.array_equal(index, given):
        raise OperatorError("the indices must be integers", code="dtype")
    if index.size and (index.min() < -size or index.max() >= size):
        raise OperatorError(
            f"an index is out of range: an axis of {size} has -{size} to {size - 1}",
            code="shape_mismatch",
        )
    return index


_AXIS = {"axis": Attribute("axis", 0, "the axis that the indices count along")}


def _at(rank: int, axis: int, index: str) -> str:
    """The subscript of `index` on one axis of several."""
    return ", ".join([":"] * (axis % rank) + [index])


def _take_code(x: Argument, indices: Argument, *, axis: int) -> str:
    return f"{x}[{_at(x.spec.ndim, axis, indices)}]"


def _index_scatter(zeros: Argument, indices: Argument, values: Argument, *, axis: int) -> Scatter:
    place = axis % zeros.spec.ndim
    where = f"({'slice(None), ' * place}{indices})" if place else indices
    if not indices.spec.shape:
        return Scatter(_at(zeros.spec.ndim, axis, indices), values)
    return Scatter(where, values, repeats=True)


def _along_scatter(zeros: Argument, indices: Argument, values: Argument, *, axis: int) -> Scatter:
    ndim, shape = values.spec.ndim, values.spec.shape
    places = [
        f"np.arange({n})[{', '.join([':'] + ['None'] * (ndim - 1 - i))}]"
        for i, n in enumerate(shape)
    ]
    places = [one.removesuffix("[:]") for one in places]
    places[axis % ndim] = indices
    return Scatter(f"({', '.join(places)}{',' * (ndim == 1)})", values, repeats=True)


def _take_infer(x: TensorSpec, indices: TensorSpec, *, axis: int) -> TensorSpec:
    axis = checked_axis(axis, x.ndim)
    return TensorSpec(x.shape[:axis] + indices.shape + x.shape[axis + 1 :], x.dtype)


def _take_rule(xp: Any, g: Any, y: Any, x: Any, indices: Any, axis: int) -> Any:
    blank = xp.broadcast_to(0.0, shape=x.shape)
    return xp.index_add(xp.cast(blank, dtype=str(x.dtype)), indices, g, axis=axis)


def _end_to_end(indices: Any, *, size: int) -> Any:
    """Indices of a batch, one point a row, into an axis of `size`: as indices into the axes of
    all points laid end to end. OperatorError for one that its own point doesn't have."""
    index = as_index(indices, size)
    steps = np.arange(len(index)) * size
    return index % max(size, 1) + steps.reshape(-1, *(1,) * (index.ndim - 1))


REGISTRY.register(
    Operator(
        name="end_to_end",
        group="internal",
        inputs=("indices",),
        summary="The indices of a batch, into its points' axes laid end to end.",
        infer=lambda indices, **_: TensorSpec(indices.shape, "int64"),
        forward=_end_to_end,
        vjp=(None,),
        attributes={"size": Attribute("int", doc="the length of one point's axis")},
        internal=True,
    )
)


def _to_front(xp: Any, x: Any, axis: int) -> Any:
    """A batched tensor with axis `axis` of its points right behind the batch axis, both joined."""
    order = [0, axis + 1, *(i for i in range(1, x.ndim) if i != axis + 1)]
    moved = xp.permute_dims(x, axes=order)
    return xp.reshape(moved, shape=(moved.shape[0] * moved.shape[1], *moved.shape[2:]))


def _take_batch(xp: Any, flags: tuple[bool, ...], x: Any, indices: Any, *, axis: int) -> Any:
    axis = axis % (x.ndim - flags[0])
    if not flags[1]:
        return xp.take(x, indices, axis=axis + 1)
    if not flags[0]:
        taken = xp.take(x, indices, axis=axis)
        places = list(range(taken.ndim))
        return xp.permute_dims(taken, axes=[axis, *places[:axis], *places[axis + 1 :]])
    rows = _to_front(xp, x, axis)
    taken = xp.take(rows, xp.end_to_end(indices, size=x.shape[axis + 1]), axis=0)
    k = indices.ndim  # batch, k - 1 index axes, then the rest of x: put `axis` axes before these
    order = [0, *range(k, k + axis), *range(1, k), *range(k + axis, taken.ndim)]
    return xp.permute_dims(taken, axes=order)


REGISTRY.register(
    Operator(
        name="take",
        onnx="Gather",
        analytic=True,
        group="indexing",
        numpy=(Spelling("x=a indices axis out mode", flattens=True),),
        inputs=("x", "indices"),
        summary="The rows (along an axis) that indices name; one may be taken often.",
        infer=_take_infer,
        forward=lambda x, indices, *, axis: np.take(x, as_index(indices, x.shape[axis]), axis=axis),
        vjp=(_take_rule, None),
        batch=_take_batch,
        attributes=_AXIS,
        flops=_no_flops,
        formula="x[indices]",
        gradient_formula="dx[indices] += g",
        aliases=("gather",),
        pattern="router",
        indices=(1,),
        code=_take_code,
        domain=Domain(
            examples=(
                Example(((4, 3), (5,)), {}, ("float64", "int64"), 4),
                Example(((4, 3), (2, 2)), {"axis": 1}, ("float64", "int64"), 3),
                Example(((4,), ()), {}, ("float64", "int64"), 4),
            )
        ),
    )
)


def _index_add(x: Any, indices: Any, updates: Any, *, axis: int) -> Any:
    index = as_index(indices, x.shape[axis])
    whole = np.moveaxis(np.array(x, np.result_type(x, updates)), axis, 0)
    behind = axis % x.ndim
    moved = np.moveaxis(updates, range(behind, behind + index.ndim), range(index.ndim))
    np.add.at(whole, index, moved)
    return np.moveaxis(whole, 0, axis)


def _index_add_infer(
    x: TensorSpec, indices: TensorSpec, updates: TensorSpec, *, axis: int
) -> TensorSpec:
    wanted = _take_infer(x, indices, axis=axis).shape
    if updates.shape != wanted:
        raise OperatorError(
            f"the updates have shape {updates.shape}, these indices want {wanted}",
            shapes=(updates.shape, wanted),
        )
    return TensorSpec(x.shape, promote(x, updates))


def _index_add_batch(
    xp: Any, flags: tuple[bool, ...], x: Any, indices: Any, updates: Any, *, axis: int
) -> Any:
    axis = axis % (x.ndim - flags[0])
    x, indices, updates = spread(xp, flags, (x, indices, updates))
    k = indices.ndim - 1
    rows = _to_front(xp, x, axis)
    order = [0, *range(1 + axis, 1 + axis + k), *range(1, 1 + axis)]
    order += range(1 + axis + k, updates.ndim)
    added = xp.index_add(
        rows,
        xp.end_to_end(indices, size=x.shape[axis + 1]),
        xp.permute_dims(updates, axes=order),
        axis=0,
    )
    apart = xp.reshape(added, shape=(x.shape[0], x.shape[axis + 1], *added.shape[1:]))
    back = [0, *range(2, 2 + axis), 1, *range(2 + axis, apart.ndim)]
    return xp.permute_dims(apart, axes=back)


REGISTRY.register(
    Operator(
        name="index_add",
        analytic=True,
        group="indexing",
        inputs=("x", "indices", "updates"),
        summary="Updates added to the rows (along an axis) that indices name: the adjoint of take.",
        infer=_index_add_infer,
        forward=_index_add,
        vjp=(
            lambda xp, g, y, x, i, u, axis: g,
            None,
            lambda xp, g, y, x, i, u, axis: xp.take(g, i, axis=axis),
        ),
        batch=_index_add_batch,
        attributes=_AXIS,
        formula="y = x; y[indices] += updates",
        indices=(1,),
        scatter=_index_scatter,
        gradient_formula="dx = g, dupdates = g[indices]",
        pattern="distributor",
        domain=Domain(
            examples=(
                Example(((4, 3), (5,), (5, 3)), {}, ("float64", "int64", "float64"), 4),
                Example(((4, 3), (2,), (4, 2)), {"axis": 1}, ("float64", "int64", "float64"), 3),
            )
        ),
    )
)


def _along_infer(x: TensorSpec, indices: TensorSpec, *, axis: int) -> TensorSpec:
    axis = checked_axis(axis, x.ndim)
    if indices.ndim != x.ndim:
        raise OperatorError(
            f"indices {indices.shape} must have as many dimensions as the tensor {x.shape}",
            shapes=(x.shape, indices.shape),
        )
    shape = list(broadcast(_but(x.shape, axis), _but(indices.shape, axis)))
    shape[axis] = indices.shape[axis]
    return TensorSpec(tuple(shape), x.dtype)


def _but(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], 1, *shape[axis + 1 :])


def _spread_along(x: Any, indices: Any, axis: int) -> tuple[Any, Any]:
    """Both broadcast to each other on all axes but `axis`."""
    lead = np.broadcast_shapes(_but(x.shape, axis), _but(indices.shape, axis))
    shapes = []
    for shape in (x.shape, indices.shape):
        full = list(lead)
        full[axis] = shape[axis]
        shapes.append(tuple(full))
    return np.broadcast_to(x, shapes[0]), np.broadcast_to(indices, shapes[1])


def _take_along(x: Any, indices: Any, *, axis: int) -> Any:
    axis = axis % x.ndim
    x, index = _spread_along(x, as_index(indices, x.shape[axis]), axis)
    return np.take_along_axis(x, index, axis=axis)


def _take_along_rule(xp: Any, g: Any, y: Any, x: Any, indices: Any, axis: int) -> Any:
    axis = axis % x.ndim
    shape = list(y.shape)
    shape[axis] = x.shape[axis]
    blank = xp.cast(xp.broadcast_to(0.0, shape=tuple(shape)), dtype=str(x.dtype))
    return xp.scatter_add(blank, indices, g, axis=axis)


def _along_batch(name: str) -> Any:
    def rule(xp: Any, flags: tuple[bool, ...], *inputs: Any, axis: int) -> Any:
        ndim = inputs[0].ndim - flags[0]
        return getattr(xp, name)(*spread(xp, flags, inputs), axis=axis % ndim + 1)

    return rule


REGISTRY.register(
    Operator(
        name="take_along_axis",
        analytic=True,
        group="indexing",
        numpy=(Spelling("x=arr indices axis"),),
        inputs=("x", "indices"),
        summary="For every place the element that the index there names, along an axis.",
        infer=_along_infer,
        forward=_take_along,
        vjp=(_take_along_rule, None),
        batch=_along_batch("take_along_axis"),
        attributes={"axis": Attribute("axis", -1, "the axis that the indices count along")},
        flops=_no_flops,
        formula="x[i, index[i, j]]",
        gradient_formula="dx[i, index[i, j]] += g[i, j]",
        pattern="router",
        indices=(1,),
        code="np.take_along_axis({0}, {1}, axis={axis})",
        domain=Domain(
            examples=(
                Example(((4, 3), (4, 2)), {"axis": 1}, ("float64", "int64"), 3),
                Example(((4, 3), (2, 3)), {"axis": 0}, ("float64", "int64"), 4),
            )
        ),
    )
)


def _scatter_add(x: Any, indices: Any, updates: Any, *, axis: int) -> Any:
    axis = axis % x.ndim
    index = np.broadcast_to(as_index(indices, x.shape[axis]), np.shape(updates))
    places: list[Any] = list(np.indices(index.shape, sparse=True))
    places[axis] = index
    whole = np.array(x, np.result_type(x, updates))
    np.add.at(whole, tuple(places), updates)
    return whole


def _scatter_infer(
    x: TensorSpec, indices: TensorSpec, updates: TensorSpec, *, axis: int
) -> TensorSpec:
    axis = checked_axis(axis, x.ndim)
    fits = (
        updates.ndim == x.ndim == indices.ndim
        and _but(updates.shape, axis) == _but(x.shape, axis)
        and broadcast(indices.shape, updates.shape) == updates.shape
    )
    if not fits:
        raise OperatorError(
            f"updates {updates.shape} at indices {indices.shape} do not fit {x.shape}",
            shapes=(x.shape, indices.shape, updates.shape),
        )
    return TensorSpec(x.shape, promote(x, updates))


REGISTRY.register(
    Operator(
        name="scatter_add",
        analytic=True,
        group="indexing",
        inputs=("x", "indices", "updates"),
        summary="Updates added at the places that indices name along an axis.",
        infer=_scatter_infer,
        forward=_scatter_add,
        vjp=(
            lambda xp, g, y, x, i, u, axis: g,
            None,
            lambda xp, g, y, x, i, u, axis: xp.take_along_axis(g, i, axis=axis),
        ),
        batch=_along_batch("scatter_add"),
        attributes={"axis": Attribute("axis", 0, "the axis that the indices count along")},
        formula="y = x; y[i, index[i, j]] += updates[i, j]",
        indices=(1,),
        scatter=_along_scatter,
        gradient_formula="dx = g, dupdates[i, j] = g[i, index[i, j]]",
        pattern="distributor",
        domain=Domain(
            examples=(
                Example(((4, 3), (4, 2), (4, 2)), {"axis": 1}, ("float64", "int64", "float64"), 3),
                Example(((4, 3), (2, 3), (2, 3)), {"axis": 0}, ("float64", "int64", "float64"), 4),
            )
        ),
    )
)
