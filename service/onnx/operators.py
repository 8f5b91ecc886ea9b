"""What each ONNX operator means here: one function per operator that isn't the same.

A handler takes the node as `Node` and gives the names of its outputs. Semantics and
defaults: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import onnx

from service.engine.operators import REGISTRY
from service.onnx.errors import Unsupported

Reference = Any
"""The id of a node here, or a number."""
_FAR = 2**31 - 1


class Node(Protocol):
    """An ONNX node in front of its handler."""

    opset: int
    inputs: Sequence[str]
    outputs: Sequence[str]

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute's value, or the default."""

    def has(self, index: int) -> bool:
        """Whether the optional input is there."""

    def ref(self, index: int) -> Reference:
        """The input as something that nodes here can refer to."""

    def value(self, index: int) -> Any:
        """The input as a constant array; Unsupported when it isn't one."""

    def known(self, index: int) -> Any | None:
        """The input as a constant array, or None."""

    def shape(self, index: int) -> tuple[int, ...]:
        """The input's shape; Unsupported when it isn't known."""

    def rank(self, index: int) -> int:
        """The input's number of axes; Unsupported when it isn't known."""

    def emit(self, op: str, *inputs: Reference, **attrs: Any) -> Reference:
        """A node of operator `op` here; attributes that are None are left out."""

    def constant(self, array: Any) -> Reference:
        """A constant."""


Handler = Callable[[Node], Sequence[Reference] | Reference]
HANDLERS: dict[tuple[str, str], Handler] = {}


def handles(name: str, domain: str = "") -> Callable[[Handler], Handler]:
    """Register the handler of an ONNX operator."""

    def register(handler: Handler) -> Handler:
        HANDLERS[domain, name] = handler
        return handler

    return register


def _same(op: str) -> Handler:
    return lambda n: n.emit(op, *(n.ref(i) for i in range(len(n.inputs))))


HANDLERS["", "Xor"] = _same("not_equal")
HANDLERS["", "PRelu"] = _same("prelu")
for _op in sorted(REGISTRY, key=lambda op: op.differentiable):
    if isinstance(_op.onnx, str) and _op.onnx and not _op.attributes:
        HANDLERS["", _op.onnx] = _same(_op.name)


def ints(array: Any) -> list[int]:
    """A constant array as a list of integers."""
    return [int(item) for item in np.asarray(array).ravel()]


# Elementwise.


@handles("Max")
def _max(n: Node) -> Reference:
    return _chain(n, "maximum")


@handles("Min")
def _min(n: Node) -> Reference:
    return _chain(n, "minimum")


@handles("Sum")
def _sum(n: Node) -> Reference:
    return _chain(n, "add")


@handles("Mean")
def _mean(n: Node) -> Reference:
    return n.emit("divide", _chain(n, "add"), float(len(n.inputs)))


def _chain(n: Node, op: str) -> Reference:
    found = n.ref(0)
    for index in range(1, len(n.inputs)):
        found = n.emit(op, found, n.ref(index))
    return n.emit("identity", found) if len(n.inputs) == 1 else found


@handles("Mod")
def _mod(n: Node) -> Reference:
    if n.attr("fmod", 0):
        raise Unsupported("fmod takes the sign of the dividend")
    return n.emit("remainder", n.ref(0), n.ref(1))


@handles("Elu")
def _elu(n: Node) -> Reference:
    return n.emit("elu", n.ref(0), alpha=n.attr("alpha", 1.0))


@handles("LeakyRelu")
def _leaky_relu(n: Node) -> Reference:
    return n.emit("leaky_relu", n.ref(0), alpha=n.attr("alpha", 0.01))


@handles("HardSigmoid")
def _hard_sigmoid(n: Node) -> Reference:
    return n.emit("hard_sigmoid", n.ref(0), alpha=n.attr("alpha", 0.2), beta=n.attr("beta", 0.5))


@handles("HardSwish")
def _hard_swish(n: Node) -> Reference:
    return n.emit("multiply", n.ref(0), n.emit("hard_sigmoid", n.ref(0), alpha=1 / 6, beta=0.5))


@handles("Selu")
def _selu(n: Node) -> Reference:
    alpha, gamma = n.attr("alpha"), n.attr("gamma")
    if alpha is None and gamma is None:
        return n.emit("selu", n.ref(0))
    elu = n.emit("elu", n.ref(0), alpha=1.6732632423543772 if alpha is None else alpha)
    return n.emit("multiply", elu, 1.0507009873554805 if gamma is None else gamma)


@handles("Gelu")
def _gelu(n: Node) -> Reference:
    return n.emit("gelu", n.ref(0), approximate=n.attr("approximate", "none"))


@handles("Mish")
def _mish(n: Node) -> Reference:
    return n.emit("multiply", n.ref(0), n.emit("tanh", n.emit("softplus", n.ref(0))))


@handles("Clip")
def _clip(n: Node) -> Reference:
    if n.opset < 11:
        return n.emit("clip", n.ref(0), min=n.attr("min"), max=n.attr("max"))
    bounds = [n.known(i) if n.has(i) else None for i in (1, 2)]
    if all(bounds[i - 1] is not None for i in (1, 2) if n.has(i)):
        low, high = (None if b is None else float(b) for b in bounds)
        return n.emit("clip", n.ref(0), min=low, max=high)
    found = n.ref(0)
    if n.has(1):
        found = n.emit("maximum", found, n.ref(1))
    return n.emit("minimum", found, n.ref(2)) if n.has(2) else found


@handles("Dropout")
def _dropout(n: Node) -> Reference:
    if n.has(2) and bool(n.value(2)):
        raise Unsupported("training_mode draws at random")
    return n.emit("identity", n.ref(0))


_CASTS = {
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.BOOL: "bool",
}
_FLOATS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
}


@handles("Cast")
def _cast(n: Node) -> Reference:
    to = n.attr("to")
    if to in _FLOATS:
        # Floating numbers have the dtype that the request asks for.
        return n.emit("multiply", n.ref(0), 1.0)
    if to not in _CASTS:
        raise Unsupported("this dtype is not known here")
    return n.emit("cast", n.ref(0), dtype=_CASTS[to])


# Reductions.


def _axes(n: Node, since: int) -> list[int] | None:
    """The axes of a reduction: an attribute, and an input from opset `since` on."""
    if n.opset >= since:
        return ints(n.value(1)) if n.has(1) else None
    given: list[int] | None = n.attr("axes")
    return given


def _reduction(op: str, since: int = 18) -> Handler:
    def handler(n: Node) -> Reference:
        return _reduced(n, op, n.ref(0), since)

    return handler


def _reduced(n: Node, op: str, x: Reference, since: int = 18) -> Reference:
    axes = _axes(n, since)
    if not axes and n.attr("noop_with_empty_axes", 0):
        return n.emit("identity", x)
    return n.emit(op, x, axis=axes or None, keepdims=bool(n.attr("keepdims", 1)))


for _onnx, _here in (("Mean", "mean"), ("Max", "max"), ("Min", "min"), ("Prod", "prod"),
                     ("LogSumExp", "logsumexp"), ("L2", "vector_norm")):  # fmt: skip
    HANDLERS["", f"Reduce{_onnx}"] = _reduction(_here)
HANDLERS["", "ReduceSum"] = _reduction("sum", 13)


@handles("ReduceL1")
def _reduce_l1(n: Node) -> Reference:
    return _reduced(n, "sum", n.emit("abs", n.ref(0)))


@handles("ReduceSumSquare")
def _reduce_sum_square(n: Node) -> Reference:
    return _reduced(n, "sum", n.emit("square", n.ref(0)))


@handles("ReduceLogSum")
def _reduce_log_sum(n: Node) -> Reference:
    return n.emit("log", _reduced(n, "sum", n.ref(0)))


def _arg(op: str) -> Handler:
    def handler(n: Node) -> Reference:
        if n.attr("select_last_index", 0):
            raise Unsupported("select_last_index")
        keepdims = bool(n.attr("keepdims", 1))
        return n.emit(op, n.ref(0), axis=n.attr("axis", 0), keepdims=keepdims)

    return handler


HANDLERS["", "ArgMax"] = _arg("argmax")
HANDLERS["", "ArgMin"] = _arg("argmin")


@handles("TopK")
def _top_k(n: Node) -> Sequence[Reference]:
    axis, x = n.attr("axis", -1), n.ref(0)
    order = n.emit("argsort", n.emit("negative", x) if n.attr("largest", 1) else x, axis=axis)
    first = n.emit("slice", order, starts=[0], stops=ints(n.value(1)), axes=[axis])
    return [n.emit("take_along_axis", x, first, axis=axis), n.emit("identity", first)]


@handles("CumSum")
def _cumsum(n: Node) -> Reference:
    if n.attr("exclusive", 0):
        raise Unsupported("exclusive")
    axis = int(n.value(1))
    if not n.attr("reverse", 0):
        return n.emit("cumulative_sum", n.ref(0), axis=axis)
    return n.emit("flip", n.emit("cumulative_sum", n.emit("flip", n.ref(0), axis=axis), axis=axis),
                  axis=axis)  # fmt: skip


def _softmax(op: str) -> Handler:
    def handler(n: Node) -> Reference:
        if n.opset >= 13:
            return n.emit(op, n.ref(0), axis=n.attr("axis", -1))
        # Before opset 13 all axes from this one on are taken as one.
        axis, rank = n.attr("axis", 1), n.rank(0)
        if axis % rank == rank - 1:
            return n.emit(op, n.ref(0), axis=-1)
        shape = n.shape(0)
        flat = n.emit("reshape", n.ref(0), shape=[math.prod(shape[:axis]), -1])
        return n.emit("reshape", n.emit(op, flat, axis=-1), shape=list(shape))

    return handler


HANDLERS["", "Softmax"] = _softmax("softmax")
HANDLERS["", "LogSoftmax"] = _softmax("log_softmax")


# Matrices.


@handles("Gemm")
def _gemm(n: Node) -> Reference:
    a, b = n.ref(0), n.ref(1)
    if n.attr("transA", 0):
        a = n.emit("matrix_transpose", a)
    if n.attr("transB", 0):
        b = n.emit("matrix_transpose", b)
    found = n.emit("matmul", a, b)
    if n.attr("alpha", 1.0) != 1.0:
        found = n.emit("multiply", found, n.attr("alpha"))
    if not n.has(2):
        return found
    c = n.ref(2)
    if n.attr("beta", 1.0) != 1.0:
        c = n.emit("multiply", c, n.attr("beta"))
    return n.emit("add", found, c)


@handles("Einsum")
def _einsum(n: Node) -> Reference:
    equation = n.attr("equation").replace(" ", "")
    return n.emit("einsum", *(n.ref(i) for i in range(len(n.inputs))), equation=equation)


@handles("Trilu")
def _trilu(n: Node) -> Reference:
    k = int(n.value(1)) if n.has(1) else 0
    return n.emit("triu" if n.attr("upper", 1) else "tril", n.ref(0), k=k)


# Shapes.


@handles("Shape")
def _shape(n: Node) -> Reference:
    raise Unsupported("it depends on values; fixing the shapes of the model's inputs may help")


@handles("Reshape")
def _reshape(n: Node) -> Reference:
    wanted = ints(n.value(1))
    if 0 in wanted and not n.attr("allowzero", 0):
        shape = n.shape(0)
        wanted = [shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return n.emit("reshape", n.ref(0), shape=wanted)


@handles("Flatten")
def _flatten(n: Node) -> Reference:
    axis = n.attr("axis", 1)
    try:
        shape = n.shape(0)
        return n.emit("reshape", n.ref(0), shape=[math.prod(shape[:axis]), -1])
    except Unsupported:
        if axis == 1 and n.rank(0) == 2:
            return n.emit("identity", n.ref(0))
        raise


@handles("Transpose")
def _transpose(n: Node) -> Reference:
    perm = n.attr("perm")
    axes = list(range(n.rank(0)))[::-1] if perm is None else list(perm)
    return n.emit("permute_dims", n.ref(0), axes=axes)


@handles("Squeeze")
def _squeeze(n: Node) -> Reference:
    return n.emit("squeeze", n.ref(0), axis=_axes(n, 13))


@handles("Unsqueeze")
def _unsqueeze(n: Node) -> Reference:
    return n.emit("expand_dims", n.ref(0), axis=_axes(n, 13))


@handles("Expand")
def _expand(n: Node) -> Reference:
    wanted = ints(n.value(1))
    try:
        shape = np.broadcast_shapes(tuple(wanted), n.shape(0))
    except Unsupported:
        return n.emit("multiply", n.ref(0), n.constant(np.ones(wanted)))
    return n.emit("broadcast_to", n.ref(0), shape=list(shape))


@handles("Tile")
def _tile(n: Node) -> Reference:
    return n.emit("tile", n.ref(0), repeats=ints(n.value(1)))


@handles("Concat")
def _concat(n: Node) -> Reference:
    return n.emit("concat", *(n.ref(i) for i in range(len(n.inputs))), axis=n.attr("axis"))


@handles("Split")
def _split(n: Node) -> Sequence[Reference]:
    axis, count = n.attr("axis", 0), len(n.outputs)
    sizes = n.attr("split") if n.opset < 13 else (ints(n.value(1)) if n.has(1) else None)
    if sizes is None:
        whole = n.shape(0)[axis]
        each = -(-whole // count)
        sizes = [each] * (count - 1) + [whole - each * (count - 1)]
    if count == 1:
        return [n.emit("identity", n.ref(0))]
    first: str = n.emit("split", n.ref(0), axis=axis, sizes=list(sizes))
    return [first, *(f"{first}.{i}" for i in range(1, count))]


@handles("Slice")
def _slice(n: Node) -> Reference:
    if n.opset < 10:
        starts, ends, axes = n.attr("starts"), n.attr("ends"), n.attr("axes")
        steps = None
    else:
        starts, ends = ints(n.value(1)), ints(n.value(2))
        axes = ints(n.value(3)) if n.has(3) else None
        steps = ints(n.value(4)) if n.has(4) else None
    return n.emit(
        "slice",
        n.ref(0),
        starts=[max(-_FAR, min(_FAR, i)) for i in starts],
        stops=[max(-_FAR, min(_FAR, i)) for i in ends],
        axes=list(range(len(starts))) if axes is None else list(axes),
        steps=steps,
    )


@handles("Gather")
def _gather(n: Node) -> Reference:
    return n.emit("take", n.ref(0), _indices(n, n.attr("axis", 0)), axis=n.attr("axis", 0))


@handles("GatherElements")
def _gather_elements(n: Node) -> Reference:
    axis = n.attr("axis", 0)
    return n.emit("take_along_axis", n.ref(0), _indices(n, axis), axis=axis)


@handles("ScatterElements")
def _scatter_elements(n: Node) -> Reference:
    if n.attr("reduction", "none") != "add":
        raise Unsupported("a reduction other than add")
    axis = n.attr("axis", 0)
    return n.emit("scatter_add", n.ref(0), _indices(n, axis), n.ref(2), axis=axis)


@handles("OneHot")
def _one_hot(n: Node) -> Reference:
    if ints(n.value(2)) != [0, 1] or n.attr("axis", -1) not in (-1, n.rank(0)):
        raise Unsupported("values other than 0 and 1, or another axis than the last")
    return n.emit("one_hot", n.ref(0), classes=int(n.value(1).reshape(-1)[0]))


def _indices(n: Node, axis: int) -> Reference:
    """Constant indices counted from the front."""
    known = n.known(1)
    if known is not None and (known < 0).any():
        return n.constant(np.where(known < 0, known + n.shape(0)[axis], known))
    return n.ref(1)


@handles("Pad")
def _pad(n: Node) -> Reference:
    mode = n.attr("mode", "constant")
    pads = n.attr("pads") if n.opset < 11 else ints(n.value(1))
    value = n.attr("value", 0.0)
    if n.opset >= 11 and n.has(2):
        value = float(n.value(2))
    if n.opset >= 18 and n.has(3):
        rank, half = n.rank(0), len(pads) // 2
        whole = [0] * (2 * rank)
        for place, axis in enumerate(ints(n.value(3))):
            whole[axis % rank] = pads[place]
            whole[rank + axis % rank] = pads[half + place]
        pads = whole
    if min(pads, default=0) < 0:
        raise Unsupported("negative pads")
    return n.emit("pad", n.ref(0), pads=list(pads), value=value, mode=mode)


# Neural networks.


def _padding(n: Node) -> list[int] | None:
    kind = n.attr("auto_pad", "NOTSET")
    if kind == "VALID":
        return None
    if kind != "NOTSET":
        raise Unsupported(f"auto_pad {kind}")
    pads = n.attr("pads")
    return None if pads is None else list(pads)


@handles("Conv")
def _conv(n: Node) -> Reference:
    inputs = [n.ref(i) for i in range(3) if n.has(i)]
    return n.emit(
        "conv",
        *inputs,
        strides=n.attr("strides"),
        pads=_padding(n),
        dilations=n.attr("dilations"),
        group=n.attr("group", 1),
    )


@handles("MaxPool")
def _max_pool(n: Node) -> Reference:
    if n.attr("ceil_mode", 0) or len([name for name in n.outputs if name]) > 1:
        raise Unsupported("ceil_mode, or the places of the maxima")
    return n.emit(
        "max_pool",
        n.ref(0),
        kernel_shape=n.attr("kernel_shape"),
        strides=n.attr("strides"),
        pads=_padding(n),
        dilations=n.attr("dilations"),
    )


@handles("AveragePool")
def _average_pool(n: Node) -> Reference:
    if n.attr("ceil_mode", 0) or set(n.attr("dilations") or [1]) != {1}:
        raise Unsupported("ceil_mode or dilations")
    return n.emit(
        "average_pool",
        n.ref(0),
        kernel_shape=n.attr("kernel_shape"),
        strides=n.attr("strides"),
        pads=_padding(n),
        count_include_pad=bool(n.attr("count_include_pad", 0)),
    )


def _global(op: str) -> Handler:
    def handler(n: Node) -> Reference:
        return n.emit(op, n.ref(0), axis=list(range(2, n.rank(0))), keepdims=True)

    return handler


HANDLERS["", "GlobalAveragePool"] = _global("mean")
HANDLERS["", "GlobalMaxPool"] = _global("max")


@handles("BatchNormalization")
def _batch_norm(n: Node) -> Reference:
    if n.attr("training_mode", 0):
        raise Unsupported("training_mode changes the statistics")
    return n.emit("batch_norm", *(n.ref(i) for i in range(5)), epsilon=n.attr("epsilon", 1e-5))


@handles("LayerNormalization")
def _layer_norm(n: Node) -> Reference:
    bias = n.ref(2) if n.has(2) else 0.0
    return n.emit(
        "layer_norm",
        n.ref(0),
        n.ref(1),
        bias,
        axis=n.attr("axis", -1),
        epsilon=n.attr("epsilon", 1e-5),
    )


# Classical machine learning: ai.onnx.ml.

_ML = "ai.onnx.ml"


@handles("ArrayFeatureExtractor", _ML)
def _array_feature_extractor(n: Node) -> Reference:
    known = n.known(1)
    indices = n.ref(1) if known is None else n.constant(known.reshape(-1))
    return n.emit("take", n.ref(0), indices, axis=-1)


@handles("Scaler", _ML)
def _scaler(n: Node) -> Reference:
    centred = n.emit("subtract", n.ref(0), n.constant(np.array(n.attr("offset", [0.0]))))
    return n.emit("multiply", centred, n.constant(np.array(n.attr("scale", [1.0]))))


@handles("Normalizer", _ML)
def _normalizer(n: Node) -> Reference:
    x = n.ref(0)
    kind = n.attr("norm", "MAX")
    if kind == "MAX":
        norm = n.emit("max", n.emit("abs", x), axis=[-1], keepdims=True)
    else:
        norm = n.emit("vector_norm", x, axis=[-1], keepdims=True, ord=1 if kind == "L1" else 2)
    return n.emit("divide", x, norm)


@handles("LinearRegressor", _ML)
def _linear_regressor(n: Node) -> Reference:
    if n.attr("post_transform", "NONE") != "NONE":
        raise Unsupported("post_transform")
    return _linear(n, n.attr("targets", 1))


def _linear(n: Node, rows: int) -> Reference:
    weights = np.array(n.attr("coefficients"), np.float64).reshape(rows, -1).T
    found = n.emit("matmul", n.ref(0), n.constant(weights))
    shift = n.attr("intercepts")
    return found if shift is None else n.emit("add", found, n.constant(np.array(shift)))


@handles("LinearClassifier", _ML)
def _linear_classifier(n: Node) -> Sequence[Reference]:
    labels = n.attr("classlabels_ints") or n.attr("classlabels_strings") or []
    rows = len(n.attr("intercepts") or labels)
    scores: str = _linear(n, rows)
    kind = n.attr("post_transform", "NONE")
    if kind not in ("NONE", "LOGISTIC", "SOFTMAX"):
        raise Unsupported(f"post_transform {kind}")
    if rows == 1 and len(labels) == 2:
        raise Unsupported("two labels with one row of coefficients")
    if kind == "LOGISTIC":
        scores = n.emit("sigmoid", scores)
    elif kind == "SOFTMAX":
        scores = n.emit("softmax", scores, axis=-1)
    return ["", scores]
