"""Layers of neural networks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from service.engine.errors import OperatorError, Shape
from service.engine.operators._batch import native, shift_axis
from service.engine.operators._define import composite
from service.engine.registry import (
    REGISTRY,
    Argument,
    Attribute,
    Domain,
    Example,
    Operator,
    Scales,
    TensorSpec,
)
from service.engine.shapes import broadcast, checked_axis, floating, promote

AXIS = {"axis": Attribute("axis", -1, "the axis of the classes")}
EXAMPLES = (
    Example(((3, 4),)),
    Example(((3, 4),), {"axis": 0}),
    Example(((5,),)),
)


def _infer(x: TensorSpec, *, axis: int) -> TensorSpec:
    checked_axis(axis, x.ndim)
    if x.shape[axis] == 0:
        raise OperatorError("the axis is empty", shapes=(x.shape,))
    return TensorSpec(x.shape, floating(x.dtype))


def log_softmax(x: Any, *, axis: int) -> Any:
    """x - log Σ exp(x) along `axis`, without overflow."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def softmax(x: Any, *, axis: int) -> Any:
    """exp(x) / Σ exp(x) along `axis`, without overflow."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


REGISTRY.register(
    Operator(
        name="softmax",
        scales=Scales(parts=("size", "offset")),
        onnx="Softmax",
        numbers="numeric",
        analytic=lambda x, *, axis: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True),
        batch=shift_axis("softmax"),
        group="neural network",
        inputs=("x",),
        summary="Positive shares that sum to 1 along an axis.",
        infer=_infer,
        forward=softmax,
        vjp=(lambda xp, g, y, x, axis: y * (g - xp.sum(g * y, axis=axis, keepdims=True)),),
        attributes=AXIS,
        flops=lambda x, axis: 5 * x.size,
        formula="exp(x) / Σ exp(x)",
        gradient_formula="dx = y * (g - Σ g * y)",
        domain=Domain(examples=EXAMPLES),
    )
)
REGISTRY.register(
    Operator(
        name="log_softmax",
        scales=Scales(parts=("size", "offset")),
        onnx="LogSoftmax",
        numbers="numeric",
        analytic=lambda x, *, axis: x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True)),
        batch=shift_axis("log_softmax"),
        group="neural network",
        inputs=("x",),
        summary="The logarithm of softmax, without overflow.",
        infer=_infer,
        forward=log_softmax,
        vjp=(lambda xp, g, y, x, axis: g - xp.exp(y) * xp.sum(g, axis=axis, keepdims=True),),
        attributes=AXIS,
        flops=lambda x, axis: 5 * x.size,
        formula="x - log Σ exp(x)",
        gradient_formula="dx = g - softmax(x) * Σ g",
        domain=Domain(examples=EXAMPLES),
    )
)


def _windows(size: int, kernel: int, stride: int, dilation: int) -> int:
    """How many places a window of `kernel` taps has along an axis."""
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def _unfold_parts(
    shape: Shape, kernel: Shape, strides: Shape, dilations: Shape
) -> tuple[Shape, Shape, Shape]:
    """The leading axes, the spatial axes and the places of the window on these."""
    rank = len(kernel)
    if not len(strides) == len(dilations) == rank or len(shape) < rank:
        raise OperatorError(
            f"a window {kernel} with strides {strides} and dilations {dilations} "
            f"does not fit {shape}",
            shapes=(shape,),
        )
    if min((*kernel, *strides, *dilations), default=1) < 1:
        raise OperatorError("window, strides and dilations are at least 1", code="attribute")
    lead, space = shape[: len(shape) - rank], shape[len(shape) - rank :]
    places = tuple(map(_windows, space, kernel, strides, dilations))
    if any(place < 1 for place in places):
        raise OperatorError(
            f"the window {kernel} is larger than the input {space}", shapes=(shape, kernel)
        )
    return lead, space, places


def _taps(
    kernel: Shape, strides: Shape, dilations: Shape, places: Shape
) -> Iterator[tuple[tuple[int, ...], tuple[Any, ...]]]:
    """For every tap of the window its index, and the slices of the input that it sees."""
    for tap in product(*map(range, kernel)):
        slices = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, dilations, places, strides, strict=True)
        )
        yield tap, (..., *slices)


def _unfold(x: Any, *, kernel: Shape, strides: Shape, dilations: Shape) -> Any:
    lead, _, places = _unfold_parts(x.shape, kernel, strides, dilations)
    out = np.empty((*lead, *kernel, *places), x.dtype)
    behind: tuple[Any, ...] = (slice(None),) * len(places)
    for tap, slices in _taps(kernel, strides, dilations, places):
        out[(..., *tap, *behind)] = x[slices]
    return out


def _unfold_code(x: Argument, *, kernel: Shape, strides: Shape, dilations: Shape) -> str:
    rank = len(kernel)
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    axes = tuple(range(-rank, 0))
    seen = f"np.lib.stride_tricks.sliding_window_view({x}, {spans}, {axes})"
    steps = [f"::{step}" if step > 1 else ":" for step in (*strides, *dilations)]
    if set(steps) != {":"}:
        seen += f"[..., {', '.join(steps)}]"
    return f"np.moveaxis({seen}, {axes}, {tuple(axis - rank for axis in axes)})"


def _plain_fold(windows: Any, *, size: Any, kernel: Any, strides: Any, dilations: Any) -> Any:
    rank = len(kernel)
    x = np.zeros((*windows.shape[: -2 * rank], *size), windows.dtype)
    for tap in np.ndindex(*kernel):
        places: Any = [
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, dilations, windows.shape[-rank:], strides)  # noqa: B905
        ]
        places, window = (..., *places), (..., *tap, *[slice(None)] * rank)
        x[places] += windows[window]
    return x


def _unfold_infer(x: TensorSpec, *, kernel: Shape, strides: Shape, dilations: Shape) -> TensorSpec:
    lead, _, places = _unfold_parts(x.shape, kernel, strides, dilations)
    return TensorSpec((*lead, *kernel, *places), x.dtype)


def _fold(x: Any, *, size: Shape, kernel: Shape, strides: Shape, dilations: Shape) -> Any:
    lead = x.shape[: x.ndim - 2 * len(kernel)]
    whole = np.zeros((*lead, *size), x.dtype)
    places = x.shape[x.ndim - len(kernel) :]
    behind: tuple[Any, ...] = (slice(None),) * len(places)
    for tap, slices in _taps(kernel, strides, dilations, places):
        whole[slices] += x[(..., *tap, *behind)]
    return whole


def _fold_infer(
    x: TensorSpec, *, size: Shape, kernel: Shape, strides: Shape, dilations: Shape
) -> TensorSpec:
    lead = x.shape[: max(0, x.ndim - 2 * len(kernel))]
    whole = (*lead, *size)
    wanted = _unfold_infer(
        TensorSpec(whole, x.dtype), kernel=kernel, strides=strides, dilations=dilations
    )
    if wanted.shape != x.shape:
        raise OperatorError(
            f"windows {x.shape} do not come from {whole}", shapes=(x.shape, wanted.shape)
        )
    return TensorSpec(whole, x.dtype)


_WINDOW = {
    "kernel": Attribute("ints", doc="the window's size on the last axes", minimum=1),
    "strides": Attribute("ints", doc="its step on each of them", minimum=1),
    "dilations": Attribute("ints", doc="the distance of its taps", minimum=1),
}

REGISTRY.register(
    Operator(
        name="unfold",
        analytic=True,
        batch=native("unfold"),
        group="neural network",
        inputs=("x",),
        summary="What a sliding window sees: its taps, then its places, behind the other axes.",
        infer=_unfold_infer,
        forward=_unfold,
        code=_unfold_code,
        vjp=(
            lambda xp, g, y, x, kernel, **attrs: xp.fold(
                g, size=x.shape[x.ndim - len(kernel) :], kernel=kernel, **attrs
            ),
        ),
        attributes=_WINDOW,
        flops=lambda x, **_: 0,
        formula="y[…, tap, place] = x[…, place * stride + tap * dilation]",
        gradient_formula="dx = fold(g)",
        pattern="distributor",
        domain=Domain(
            examples=(
                Example(((2, 5),), {"kernel": [3], "strides": [1], "dilations": [1]}),
                Example(((2, 5, 6),), {"kernel": [2, 3], "strides": [2, 1], "dilations": [1, 2]}),
            )
        ),
    )
)
REGISTRY.register(
    Operator(
        name="fold",
        analytic=True,
        batch=native("fold"),
        group="neural network",
        inputs=("x",),
        summary="Windows added back where unfold took them from: its adjoint.",
        infer=_fold_infer,
        forward=_fold,
        plain=_plain_fold,
        vjp=(lambda xp, g, y, x, size, **attrs: xp.unfold(g, **attrs),),
        attributes={"size": Attribute("ints", doc="the last axes of the result"), **_WINDOW},
        formula="y[…, place * stride + tap * dilation] += x[…, tap, place]",
        gradient_formula="dx = unfold(g)",
        pattern="distributor",
        domain=Domain(
            examples=(
                Example(
                    ((2, 3, 3),),
                    {"size": [5], "kernel": [3], "strides": [1], "dilations": [1]},
                ),
            )
        ),
    )
)


def _spatial(rank: int, **given: Any) -> dict[str, Shape]:
    """Strides, dilations and pads with their defaults for `rank` spatial axes."""
    full = {}
    for name, value in given.items():
        length = 2 * rank if name == "pads" else rank
        value = ((0 if name == "pads" else 1),) * length if value is None else tuple(value)
        if len(value) != length:
            raise OperatorError(
                f"{name} wants {length} numbers here, not {len(value)}", code="attribute"
            )
        full[name] = value
    return full


def _padded(xp: Any, x: Any, pads: Shape, value: float = 0.0) -> Any:
    """Pads on the spatial axes, which are those behind the first two."""
    half = len(pads) // 2
    if not any(pads):
        return x
    return xp.pad(x, pads=(0, 0, *pads[:half], 0, 0, *pads[half:]), value=value)


def _conv(
    xp: Any, x: Any, w: Any, *bias: Any, strides: Any, pads: Any, dilations: Any, group: int
) -> Any:
    space = _spatial(x.ndim - 2, strides=strides, pads=pads, dilations=dilations)
    x = _padded(xp, x, space["pads"])
    kernel = tuple(w.shape[2:])
    seen = xp.unfold(x, kernel=kernel, strides=space["strides"], dilations=space["dilations"])
    places = seen.shape[2 + len(kernel) :]
    batch, taps = x.shape[0], w.shape[1] * math.prod(kernel)
    columns = xp.reshape(seen, shape=(batch, group, taps, math.prod(places)))
    filters = xp.reshape(w, shape=(group, w.shape[0] // group, taps))
    y = xp.reshape(xp.matmul(filters, columns), shape=(batch, w.shape[0], *places))
    return y + xp.reshape(bias[0], shape=(-1, *(1,) * len(kernel))) if bias else y


def _conv_infer(
    x: TensorSpec,
    w: TensorSpec,
    *bias: TensorSpec,
    strides: Any,
    pads: Any,
    dilations: Any,
    group: int,
) -> TensorSpec:
    if x.ndim < 3 or w.ndim != x.ndim:
        raise OperatorError(
            f"conv wants (N, C, …) and filters (M, C/group, …), not {x.shape} and {w.shape}",
            shapes=(x.shape, w.shape),
        )
    if group < 1 or x.shape[1] != w.shape[1] * group or w.shape[0] % max(group, 1):
        raise OperatorError(
            f"{x.shape[1]} channels in {group} groups do not fit filters {w.shape}",
            shapes=(x.shape, w.shape),
        )
    if bias and bias[0].shape != (w.shape[0],):
        raise OperatorError(
            f"the bias has shape {bias[0].shape}, the filters want ({w.shape[0]},)",
            shapes=(bias[0].shape, w.shape),
        )
    space = _spatial(x.ndim - 2, strides=strides, pads=pads, dilations=dilations)
    half = x.ndim - 2
    padded = (
        *x.shape[:2],
        *(n + space["pads"][i] + space["pads"][half + i] for i, n in enumerate(x.shape[2:])),
    )
    _, _, places = _unfold_parts(padded, w.shape[2:], space["strides"], space["dilations"])
    return TensorSpec((x.shape[0], w.shape[0], *places), promote(x, w, *bias))


_STRIDES = Attribute("ints", None, "per spatial axis; null means 1", nullable=True, minimum=1)
_PADS = Attribute(
    "ints",
    None,
    "zeros in front of the spatial axes, then behind; null means 0",
    nullable=True,
    minimum=0,
)
_DILATIONS = Attribute("ints", None, "the distance of taps; null means 1", nullable=True, minimum=1)

REGISTRY.register(
    Operator(
        name="conv",
        group="neural network",
        inputs=("x", "w", "b"),
        min_inputs=2,
        summary="Convolution (cross-correlation) of (N, C, …) with filters (M, C/group, …).",
        infer=_conv_infer,
        expand=_conv,
        attributes={
            "strides": _STRIDES,
            "pads": _PADS,
            "dilations": _DILATIONS,
            "group": Attribute("int", 1, "into how many groups the channels fall", minimum=1),
        },
        formula="y[n, m, p] = Σ x[n, c, p * stride + t * dilation] * w[m, c, t] + b[m]",
        gradient_formula="dx = the windows' gradients added back, dw = g * windows, db = Σ g",
        domain=Domain(
            examples=(
                Example(((2, 3, 5), (4, 3, 3))),
                Example(((2, 3, 5, 4), (2, 3, 3, 2), (2,)), {"pads": [1, 0, 1, 1]}),
                Example(
                    ((1, 4, 5, 5), (4, 2, 2, 2)),
                    {"group": 2, "strides": [2, 1], "dilations": [1, 2]},
                ),
            )
        ),
    )
)


def _conv_transpose_shapes(
    x: Any, w: Any, strides: Any, pads: Any, output_padding: Any, dilations: Any, group: int
) -> tuple[Shape, dict[str, Shape]]:
    """The size before the margins are cut off, and the window's attributes."""
    if x.ndim < 3 or w.ndim != x.ndim or x.shape[1] != w.shape[0] or x.shape[1] % group:
        raise OperatorError(
            f"conv_transpose wants (N, C, …) and filters (C, M/group, …), not {tuple(x.shape)} "
            f"and {tuple(w.shape)}",
            shapes=(tuple(x.shape), tuple(w.shape)),
        )
    rank = x.ndim - 2
    space = _spatial(rank, strides=strides, pads=pads, dilations=dilations)
    more = tuple(output_padding or (0,) * rank)
    if len(more) != rank or any(
        not 0 <= n < s for n, s in zip(more, space["strides"], strict=True)
    ):
        raise OperatorError("output_padding wants numbers below the strides", code="attribute")
    sizes = zip(x.shape[2:], w.shape[2:], space["strides"], space["dilations"], strict=True)
    return tuple((n - 1) * s + (k - 1) * d + 1 for n, k, s, d in sizes), space | {"more": more}


def _conv_transpose(
    xp: Any,
    x: Any,
    w: Any,
    *bias: Any,
    strides: Any,
    pads: Any,
    output_padding: Any,
    dilations: Any,
    group: int,
) -> Any:
    size, space = _conv_transpose_shapes(x, w, strides, pads, output_padding, dilations, group)
    kernel, places, batch = tuple(w.shape[2:]), tuple(x.shape[2:]), x.shape[0]
    channels, taps = w.shape[1], math.prod(kernel)
    filters = xp.reshape(w, shape=(group, x.shape[1] // group, channels * taps))
    columns = xp.reshape(x, shape=(batch, group, x.shape[1] // group, math.prod(places)))
    spread = xp.matmul(xp.matrix_transpose(filters), columns)
    seen = xp.reshape(spread, shape=(batch, group * channels, *kernel, *places))
    y = xp.fold(
        seen, size=size, kernel=kernel, strides=space["strides"], dilations=space["dilations"]
    )
    rank = len(kernel)
    front, behind = space["pads"][:rank], space["pads"][rank:]
    y = _padded(xp, y, (0,) * rank + space["more"])
    if any(space["pads"]):
        stops = tuple(n + m - e for n, m, e in zip(size, space["more"], behind, strict=True))
        y = xp.slice(y, starts=front, stops=stops, axes=tuple(range(2, 2 + rank)), steps=None)
    if y.size == 0:
        raise OperatorError("the pads cut everything off", code="attribute")
    if not bias:
        return y
    if tuple(bias[0].shape) != (y.shape[1],):
        raise OperatorError(f"the bias has shape {tuple(bias[0].shape)}, not ({y.shape[1]},)")
    return y + xp.reshape(bias[0], shape=(-1, *(1,) * rank))


composite(
    "conv_transpose",
    "x w b",
    _conv_transpose,
    (
        Example(((2, 3, 4), (3, 2, 3))),
        Example(
            ((1, 2, 3, 3), (2, 2, 2, 3), (2,)),
            {"strides": [2, 1], "pads": [0, 1, 1, 0], "output_padding": [1, 0]},
        ),
        Example(((1, 4, 3), (4, 1, 2)), {"group": 2, "dilations": [2]}),
    ),
    group="neural network",
    min_inputs=2,
    attributes={
        "strides": _STRIDES,
        "pads": _PADS,
        "output_padding": Attribute(
            "ints",
            None,
            "places more at the end of each axis; null means 0",
            nullable=True,
            minimum=0,
        ),
        "dilations": _DILATIONS,
        "group": Attribute("int", 1, "into how many groups the channels fall", minimum=1),
    },
    summary="The adjoint of conv, for (N, C, …) and filters (C, M/group, …).",
    formula="y[n, m, p * stride + t * dilation] += x[n, c, p] * w[c, m, t]",
    gradient="dx = conv(g, w), dw = x * windows of g, db = Σ g",
)


def _pool_windows(
    xp: Any, x: Any, kernel: Shape, strides: Any, pads: Any, dilations: Any, margin: float
) -> Any:
    """(N, C, taps, places…) of a pooling window."""
    space = _spatial(len(kernel), strides=strides, pads=pads, dilations=dilations)
    seen = xp.unfold(
        _padded(xp, x, space["pads"], margin),
        kernel=kernel,
        strides=space["strides"],
        dilations=space["dilations"],
    )
    places = seen.shape[2 + len(kernel) :]
    return xp.reshape(seen, shape=(*x.shape[:2], math.prod(kernel), *places))


def _max_pool(
    xp: Any, x: Any, *, kernel_shape: Shape, strides: Any, pads: Any, dilations: Any
) -> Any:
    if not str(x.dtype).startswith("float"):
        x = xp.cast(x, dtype="float64")  # a margin of -inf wants one
    seen = _pool_windows(xp, x, tuple(kernel_shape), strides, pads, dilations, -math.inf)
    first = xp.argmax(seen, axis=2, keepdims=True)
    return xp.squeeze(xp.take_along_axis(seen, first, axis=2), axis=2)


def _average_pool(
    xp: Any, x: Any, *, kernel_shape: Shape, strides: Any, pads: Any, count_include_pad: bool
) -> Any:
    kernel = tuple(kernel_shape)
    seen = _pool_windows(xp, x, kernel, strides, pads, None, 0.0)
    total = xp.sum(seen, axis=2)
    if count_include_pad or pads is None or not any(pads):
        return total / float(math.prod(kernel))
    ones = np.ones((1, 1, *x.shape[2:]), str(x.dtype))
    space = _spatial(len(kernel), strides=strides, pads=pads, dilations=None)
    half = len(kernel)
    inside = np.pad(
        ones, [(0, 0), (0, 0), *zip(space["pads"][:half], space["pads"][half:], strict=True)]
    )
    taps = tuple(range(2, 2 + half))
    counts = _unfold(
        inside, kernel=kernel, strides=space["strides"], dilations=space["dilations"]
    ).sum(axis=taps)
    return total / counts


def _pool_infer(
    x: TensorSpec, *, kernel_shape: Shape, strides: Any, pads: Any, **more: Any
) -> TensorSpec:
    kernel = tuple(kernel_shape)
    if x.ndim != len(kernel) + 2:
        raise OperatorError(
            f"a window {kernel} wants (N, C, …) of {len(kernel) + 2} dimensions, not {x.shape}",
            shapes=(x.shape,),
        )
    space = _spatial(len(kernel), strides=strides, pads=pads, dilations=more.get("dilations"))
    half = len(kernel)
    if any(p >= k for p, k in zip(space["pads"], kernel * 2, strict=True)):
        raise OperatorError("a margin as wide as the window sees nothing", code="attribute")
    padded = tuple(
        n + space["pads"][i] + space["pads"][half + i] for i, n in enumerate(x.shape[2:])
    )
    _, _, places = _unfold_parts(padded, kernel, space["strides"], space["dilations"])
    return TensorSpec((*x.shape[:2], *places), floating(x.dtype))


_KERNEL = Attribute("ints", doc="the window's size on the spatial axes", minimum=1)
REGISTRY.register(
    Operator(
        name="max_pool",
        group="neural network",
        inputs=("x",),
        summary="The largest element in each window of (N, C, …); routes the gradient to it.",
        infer=_pool_infer,
        expand=_max_pool,
        attributes={
            "kernel_shape": _KERNEL,
            "strides": _STRIDES,
            "pads": _PADS,
            "dilations": _DILATIONS,
        },
        formula="max over the window",
        gradient_formula="g to the largest element of each window",
        kinks="Of equal elements the first gets the gradient.",
        pattern="router",
        domain=Domain(
            distinct=True,
            examples=(
                Example(((1, 2, 4, 4),), {"kernel_shape": [2, 2], "strides": [2, 2]}),
                Example(((2, 1, 5),), {"kernel_shape": [3], "pads": [1, 1]}),
            ),
        ),
    )
)
REGISTRY.register(
    Operator(
        name="average_pool",
        group="neural network",
        inputs=("x",),
        summary="The mean of each window of (N, C, …).",
        infer=_pool_infer,
        expand=_average_pool,
        attributes={
            "kernel_shape": _KERNEL,
            "strides": _STRIDES,
            "pads": _PADS,
            "count_include_pad": Attribute("bool", False, "whether the margin counts as elements"),
        },
        formula="mean over the window",
        gradient_formula="g / n to every element of each window",
        pattern="distributor",
        domain=Domain(
            examples=(
                Example(((1, 2, 4, 4),), {"kernel_shape": [2, 2], "strides": [2, 2]}),
                Example(((2, 1, 5),), {"kernel_shape": [3], "pads": [1, 1]}),
                Example(
                    ((2, 1, 5),), {"kernel_shape": [3], "pads": [1, 1], "count_include_pad": True}
                ),
            )
        ),
    )
)


def _dropout_infer(x: TensorSpec, mask: TensorSpec, *, ratio: float) -> TensorSpec:
    if not 0 <= ratio < 1:
        raise OperatorError("ratio is at least 0 and below 1", code="attribute")
    return TensorSpec(broadcast(x.shape, mask.shape), floating(x.dtype))


REGISTRY.register(
    Operator(
        name="dropout",
        group="neural network",
        inputs=("x", "mask"),
        summary="The elements that a given mask keeps, scaled up for those it drops.",
        infer=_dropout_infer,
        expand=lambda xp, x, mask, *, ratio: x * mask / (1.0 - ratio),
        attributes={"ratio": Attribute("float", 0.5, "the share that is dropped")},
        formula="x * mask / (1 - ratio)",
        gradient_formula="dx = g * mask / (1 - ratio)",
        pattern="router",
        domain=Domain(examples=(Example(((3, 4), (3, 4)), {}, ("float64", "bool")),)),
    )
)
REGISTRY.register(
    Operator(
        name="embedding",
        group="neural network",
        inputs=("table", "indices"),
        summary="The rows of a table that indices name.",
        infer=lambda table, indices: TensorSpec((*indices.shape, *table.shape[1:]), table.dtype),
        expand=lambda xp, table, indices: xp.take(table, indices, axis=0),
        formula="table[indices]",
        gradient_formula="dtable[indices] += g",
        pattern="router",
        domain=Domain(examples=(Example(((4, 3), (5,)), {}, ("float64", "int64"), 4),)),
    )
)
