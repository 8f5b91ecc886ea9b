"""NumPy's functions on a `Var` make nodes (NEP 13 and NEP 18).

Most of NumPy's ufuncs have the name of an operator, or of an alias of one, and go by it. A
function stands in `FUNCTIONS` with what its arguments become. What means something else than
in NumPy, or needs a shape that is not known here, is a TypeError that says what to write.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Node = Callable[..., Any]
"""`node(op, *inputs, **attributes)`."""

_UFUNCS = {
    "positive": "identity",
    "rint": "round",
    "power": "pow",
    "float_power": "pow",
    "absolute": "abs",
    "fabs": "abs",
}
_ORDINARY = {"order": "C", "casting": "same_kind"}
_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}


def ufunc(
    node: Node, function: np.ufunc, method: str, inputs: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """The node of a ufunc's call, or of its `reduce`. Raises TypeError."""
    name = function.__name__
    if method == "__call__" and not options:
        return node(_UFUNCS.get(name, name), *inputs)
    if method == "reduce" and name in _REDUCTIONS and options.keys() <= {"axis", "keepdims"}:
        axis = options.get("axis", 0)
        return node(_REDUCTIONS[name], *inputs, axis=axis, keepdims=options.get("keepdims"))
    what = ", ".join(options) if method == "__call__" else method
    raise TypeError(f"np.{name} makes no node with {what}")


def function(node: Node, called: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """The node of a function's call. Raises TypeError."""
    made = FUNCTIONS.get(called)
    if made is None:
        raise TypeError(
            f"np.{called.__name__} makes no node: ops.{called.__name__} is the service's "
            "operator of that name, if it has one"
        )
    arguments = _arguments(called, args, kwargs)
    for name in ("out", "initial", "dtype", "order", "copy", "casting"):
        value = arguments.get(name)
        if not (value is None or (isinstance(value, str) and value == _ORDINARY.get(name))):
            raise TypeError(f"np.{called.__name__} makes no node with {name}")
    return made(node, arguments)


def _arguments(called: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by the names of NumPy's parameters; those left out are missing."""
    signature = inspect.signature(called)
    bound = signature.bind(*args, **kwargs)
    arguments = dict(bound.arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(name, {}))
    no_value = getattr(np, "_NoValue", None)
    return {name: value for name, value in arguments.items() if value is not no_value}


def _by_name(op: str, *inputs: str, **attributes: str) -> Callable[[Node, dict[str, Any]], Any]:
    """A function whose `inputs` and `attributes` (ours by NumPy's names) are an operator's."""

    def made(node: Node, arguments: dict[str, Any]) -> Any:
        left = {n: v for n, v in arguments.items() if n not in inputs and v is not None}
        unknown = left.keys() - attributes.keys() - {"order", "casting"}
        if unknown:
            raise TypeError(f"{op} makes no node with {', '.join(sorted(unknown))}")
        given = {attributes[name]: value for name, value in left.items() if name in attributes}
        return node(op, *(arguments[name] for name in inputs), **given)

    return made


def _needs_axis(op: str, *others: str) -> Callable[[Node, dict[str, Any]], Any]:
    """A function that flattens without an axis, as the service's operator doesn't."""
    inner = _by_name(op, "a", *others, axis="axis", shift="shift", repeats="repeats")

    def made(node: Node, arguments: dict[str, Any]) -> Any:
        if arguments.get("axis") is None:
            arguments = arguments | {"a": node("reshape", arguments["a"], shape=[-1]), "axis": 0}
        return inner(node, arguments)

    return made


def _joined(op: str, axis: int) -> Callable[[Node, dict[str, Any]], Any]:
    def made(node: Node, arguments: dict[str, Any]) -> Any:
        parts = arguments.get("arrays", arguments.get("tup"))
        chosen = arguments.get("axis", axis)
        if chosen is None:
            parts, chosen = [node("reshape", part, shape=[-1]) for part in parts or ()], 0
        return node(op, *(parts or ()), axis=chosen)

    return made


def _where(node: Node, arguments: dict[str, Any]) -> Any:
    if "x" not in arguments:
        raise TypeError("np.where of a condition alone gives places: nothing to differentiate")
    return node("where", arguments["condition"], arguments["x"], arguments["y"])


def _clip(node: Node, arguments: dict[str, Any]) -> Any:
    low = arguments.get("a_min", arguments.get("min"))
    high = arguments.get("a_max", arguments.get("max"))
    if all(bound is None or (np.ndim(bound) == 0 and _is_number(bound)) for bound in (low, high)):
        return node("clip", arguments["a"], min=low, max=high)
    x = arguments["a"]
    x = x if low is None else node("maximum", x, low)
    return x if high is None else node("minimum", x, high)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def _transpose(node: Node, arguments: dict[str, Any]) -> Any:
    axes = arguments.get("axes")
    if axes is None:
        raise TypeError("np.transpose needs axes here; x.T exchanges the last two")
    return node("permute_dims", arguments["a"], axes=axes)


def _dot(node: Node, arguments: dict[str, Any]) -> Any:
    # np.dot is another product from three axes on; those that are declared are known.
    for name in ("a", "b"):
        rank = _rank(arguments[name])
        if rank is not None and not 1 <= rank <= 2:
            raise TypeError("np.dot makes nodes of vectors and matrices; see matmul and tensordot")
    return node("matmul", arguments["a"], arguments["b"])


def _rank(value: Any) -> int | None:
    shape = getattr(value, "declared_shape", np.shape(value) if not hasattr(value, "_op") else None)
    return None if shape is None else len(shape)


def _tensordot(node: Node, arguments: dict[str, Any]) -> Any:
    axes = arguments.get("axes", 2)
    if isinstance(axes, int):
        return node("tensordot", arguments["a"], arguments["b"], axes=axes)
    left, right = ([one] if isinstance(one, int) else list(one) for one in axes)
    return node("tensordot", arguments["a"], arguments["b"], axes_a=left, axes_b=right)


def _einsum(node: Node, arguments: dict[str, Any]) -> Any:
    equation, *operands = arguments["operands"]
    if not isinstance(equation, str):
        raise TypeError("np.einsum makes a node of an equation as text")
    return node("einsum", *operands, equation=equation)


def _spread(op: str) -> Callable[[Node, dict[str, Any]], Any]:
    inner = _by_name(op, "a", axis="axis", keepdims="keepdims", correction="correction")

    def made(node: Node, arguments: dict[str, Any]) -> Any:
        arguments = dict(arguments)
        freedom = arguments.pop("ddof", 0)
        arguments["correction"] = arguments.get("correction", freedom) or None
        return inner(node, arguments)

    return made


def _norm(node: Node, arguments: dict[str, Any]) -> Any:
    order = arguments.get("ord")
    axis = arguments.get("axis")
    if order is not None and (axis is None or not isinstance(axis, int)):
        raise TypeError("np.linalg.norm with ord needs one axis; for matrices: ops.matrix_norm")
    keep = arguments.get("keepdims") or None
    return node("vector_norm", arguments["x"], ord=order, axis=axis, keepdims=keep)


def _several(op: str, count: int, **fixed: Any) -> Callable[[Node, dict[str, Any]], Any]:
    """A function with several results, as a tuple; `fixed` are the arguments it must have."""

    def made(node: Node, arguments: dict[str, Any]) -> Any:
        for name, value in fixed.items():
            if arguments.get(name, not value) != value:
                raise TypeError(f"np.linalg.{op} makes nodes with {name}={value}")
        whole = node(op, arguments["a"])
        return tuple(whole.output(index) for index in range(count))

    return made


_AXES = {"axis": "axis", "keepdims": "keepdims"}

FUNCTIONS: dict[Callable[..., Any], Callable[[Node, dict[str, Any]], Any]] = {
    np.sum: _by_name("sum", "a", **_AXES),
    np.mean: _by_name("mean", "a", **_AXES),
    np.max: _by_name("max", "a", **_AXES),
    np.min: _by_name("min", "a", **_AXES),
    np.amax: _by_name("max", "a", **_AXES),
    np.amin: _by_name("min", "a", **_AXES),
    np.prod: _by_name("prod", "a", **_AXES),
    np.var: _spread("var"),
    np.std: _spread("std"),
    np.argmax: _by_name("argmax", "a", **_AXES),
    np.argmin: _by_name("argmin", "a", **_AXES),
    np.cumsum: _needs_axis("cumulative_sum"),
    np.cumprod: _needs_axis("cumulative_prod"),
    np.round: _by_name("round", "a"),
    np.where: _where,
    np.clip: _clip,
    np.concatenate: _joined("concat", 0),
    np.stack: _joined("stack", 0),
    np.reshape: _by_name("reshape", "a", shape="shape"),
    np.ravel: lambda node, arguments: node("reshape", arguments["a"], shape=[-1]),
    np.transpose: _transpose,
    np.matrix_transpose: _by_name("matrix_transpose", "x"),
    np.expand_dims: _by_name("expand_dims", "a", axis="axis"),
    np.squeeze: _by_name("squeeze", "a", axis="axis"),
    np.broadcast_to: _by_name("broadcast_to", "array", shape="shape"),
    np.flip: _by_name("flip", "m", axis="axis"),
    np.moveaxis: _by_name("moveaxis", "a", source="source", destination="destination"),
    np.repeat: _needs_axis("repeat"),
    np.take: _needs_axis("take", "indices"),
    np.take_along_axis: _by_name("take_along_axis", "arr", "indices", axis="axis"),
    np.tril: _by_name("tril", "m", k="k"),
    np.triu: _by_name("triu", "m", k="k"),
    np.dot: _dot,
    np.outer: _by_name("outer", "a", "b"),
    np.tensordot: _tensordot,
    np.einsum: _einsum,
    np.linalg.det: _by_name("det", "a"),
    np.linalg.inv: _by_name("inv", "a"),
    np.linalg.solve: _by_name("solve", "a", "b"),
    np.linalg.cholesky: _by_name("cholesky", "a"),
    np.linalg.norm: _norm,
    np.linalg.slogdet: _several("slogdet", 2),
    np.linalg.svd: _several("svd", 3, full_matrices=False),
}
