"""Shape and dtype rules that several operators share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.engine.errors import OperatorError, Shape
from service.engine.registry import TensorSpec


def broadcast(*shapes: Shape) -> Shape:
    """The shape that these broadcast to, by NumPy's rules; OperatorError when they don't."""
    if len(set(shapes)) == 1:
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        shown = " and ".join(map(str, shapes))
        raise OperatorError(
            f"the shapes {shown} do not broadcast together",
            shapes=shapes,
            hint="sizes must be equal or 1, aligned from the right",
        ) from None


def promote(*specs: TensorSpec) -> str:
    """The dtype that NumPy's promotion gives for these."""
    first = specs[0].dtype
    if all(spec.dtype == first for spec in specs):
        return first
    return str(np.result_type(*(spec.dtype for spec in specs)))


def floating(dtype: str) -> str:
    """`dtype` where it is a floating one, else float64."""
    return dtype if dtype.startswith("float") else "float64"


def elementwise(*specs: TensorSpec, **_: Any) -> TensorSpec:
    """Broadcast shapes and promoted dtype."""
    return TensorSpec(broadcast(*(spec.shape for spec in specs)), promote(*specs))


def elementwise_float(*specs: TensorSpec, **_: Any) -> TensorSpec:
    """As `elementwise`, of a floating dtype."""
    return TensorSpec(broadcast(*(spec.shape for spec in specs)), floating(promote(*specs)))


def elementwise_bool(*specs: TensorSpec, **_: Any) -> TensorSpec:
    """Broadcast shapes; truth values."""
    return TensorSpec(broadcast(*(spec.shape for spec in specs)), "bool")


def same(spec: TensorSpec, *_: TensorSpec, **__: Any) -> TensorSpec:
    """The first input's shape and dtype."""
    return spec


def checked_axis(axis: int, ndim: int, name: str = "axis") -> int:
    """`axis` counted from the left; OperatorError when there is none of that number."""
    if not -ndim <= axis < ndim:
        raise OperatorError(
            f"{name} {axis} is out of range for a tensor of {ndim} dimensions",
            hint=f"it goes from {-ndim} to {ndim - 1}" if ndim else "a scalar has no axes",
        )
    return axis % ndim


def checked_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """The axes that an `axis` attribute names, counted from the left; all for None."""
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(checked_axis(one, ndim) for one in given)
    if len(set(axes)) != len(axes):
        raise OperatorError(f"an axis is named twice in {given}")
    return axes


def reduced(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape that is left when `axes` are reduced."""
    if keepdims:
        return tuple(1 if i in axes else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in axes)
