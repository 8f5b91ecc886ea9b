"""Functions of NumPy, Python and math that aren't one operator with its arguments in order."""

from __future__ import annotations

import ast
import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from service.engine.expression.arrays import Arguments, number, shape_of, taken
from service.engine.expression.binding import Function, operate
from service.engine.expression.composed import COMPOSED
from service.engine.expression.values import (
    UNKNOWN,
    Known,
    Node,
    Part,
    Several,
    Text,
    Value,
    every,
    is_number,
)
from service.engine.numpy_compat import CATALOGUED, SPELLED
from service.engine.operators import REGISTRY

if TYPE_CHECKING:
    from service.engine.expression.reader import Reader


def _named(name: str, catalogue: bool = False) -> Function:
    """The operator that NumPy calls `name`, read in the ordinary way."""

    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        signature = CATALOGUED[name] if catalogue or name not in SPELLED else SPELLED[name]
        return operate(reader, at, signature, name, args, keywords)

    return function


def _refused(reader: Reader, at: ast.AST, what: str, hint: str) -> Exception:
    return reader.fault(at, "attribute", what, hint)


def _as_a(keywords: Arguments) -> Arguments:
    """Keywords with the catalogue's x under NumPy's name a."""
    return {"a" if name == "x" else name: value for name, value in keywords.items()}


# Python's own


def _extremum(name: str) -> Function:
    """max(a, b) is the gate, max(x, axis=0) the reduction; of integers that are known, neither."""

    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        parts = list(args[0]) if len(args) == 1 and isinstance(args[0], list | tuple) else args
        reader.tape.spend(len(parts))
        if parts and not keywords and all(map(is_number, parts)):
            return (max if name == "max" else min)(parts)
        if len(parts) >= 2 and set(keywords) <= {"ties"}:
            return reader.emit(f"{name}imum", parts, keywords and {"ties": _text(keywords)}, at)
        return _named(name)(reader, at, args, keywords)

    return function


def _text(keywords: Arguments) -> Any:
    value = keywords["ties"]
    return value.text if isinstance(value, Text) else value


def _sum(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    if len(args) == 1 and not keywords and isinstance(args[0], list | tuple | range):
        reader.tape.spend(len(args[0]))
        if all(map(is_number, args[0])):
            return sum(args[0])
    return _named("sum")(reader, at, args, keywords)


def _prod(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    listed = len(args) == 1 and not keywords and isinstance(args[0], list | tuple)
    if listed and every(reader.tape, args[0], is_number) and all(map(is_number, args[0])):
        made = math.prod(args[0])
        return made if abs(made) < 2**63 else float(made)
    return _with_where("prod")(reader, at, args, keywords)


# math's own


def _math_whole(name: str) -> Function:
    """math.floor and math.ceil, which give an integer where the number is known."""

    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        if len(args) == 1 and is_number(args[0]) and math.isfinite(args[0]):
            return getattr(math, name)(args[0])
        return _named(name)(reader, at, args, keywords)

    return function


# Shapes


def _spread(args: list[Value]) -> list[Value]:
    """`args` with a list of integers behind the first one: x.reshape(2, 3), x.transpose(1, 0)."""
    spread = len(args) == 2 and not isinstance(args[1], list | tuple | np.ndarray)
    if len(args) > 2 or (spread and args[1] is not None):
        return [args[0], tuple(args[1:])]
    return args


def _spreading(name: str) -> Function:
    """A method that takes its integers one by one too: x.reshape(2, 3), x.transpose(1, 0)."""

    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        renamed = {"shape" if k == "newshape" else k: v for k, v in keywords.items()}
        return COMPOSED[name](reader, at, _spread(args), renamed)

    return function


def _axis(reader: Reader, at: ast.AST, axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise reader.fault(
            at, "shape_mismatch", f"axis {axis} is out of range for a tensor of {ndim} dimensions"
        )
    return axis % ndim


def _moveaxis(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "a source destination", args, keywords)
    pair = [reader.need_value(given.get(name)) for name in ("source", "destination")]
    if all(type(one) is int for one in pair):
        attrs = dict(zip(("source", "destination"), pair, strict=True))
        return reader.emit("moveaxis", [given.get("a")], attrs, at)
    shape = shape_of(reader, at, given.get("a"))
    if shape is UNKNOWN or UNKNOWN in pair:
        return UNKNOWN
    lists = [[pair[i]] if type(pair[i]) is int else list(pair[i] or ()) for i in (0, 1)]
    if len(lists[0]) != len(lists[1]) or not all(
        type(one) is int for part in lists for one in part
    ):
        raise _refused(reader, at, "moveaxis wants as many sources as destinations", "integers")
    source, target = ([_axis(reader, at, one, len(shape)) for one in part] for part in lists)
    order = [axis for axis in range(len(shape)) if axis not in source]
    for place, axis in sorted(zip(target, source, strict=True)):
        order.insert(place, axis)
    return reader.emit("permute_dims", [given["a"]], {"axes": order}, at)


def _pad(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "array pad_width mode constant_values pads value x", args, keywords)
    if "pads" in given or "value" in given:
        return operate(reader, at, CATALOGUED["pad"], "pad", args, keywords)
    mode = getattr(given.get("mode"), "text", "constant")
    widths = _widths(given.get("pad_width"), reader)
    fill = reader.need_value(given.get("constant_values", 0.0))
    attributes = REGISTRY["pad"].attributes
    if widths is UNKNOWN or fill is UNKNOWN:
        return UNKNOWN
    if mode != "constant" and ("mode" not in attributes or mode not in attributes["mode"].choices):
        raise _refused(reader, at, f"pad's mode '{mode[:64]}' is not read", "constant is")
    if widths is None or not is_number(fill):
        raise _refused(
            reader,
            at,
            "pad wants widths that are known and one number to fill with",
            "np.pad(x, 1), np.pad(x, ((1, 1), (2, 2)))",
        )
    more: Arguments = {} if mode == "constant" else {"mode": mode}
    if len(widths) == 1:
        shape = shape_of(reader, at, given.get("array"))
        if shape is UNKNOWN:
            return UNKNOWN
        widths = widths * len(shape)
    pads = [low for low, _ in widths] + [high for _, high in widths]
    return reader.emit(
        "pad", [given.get("array")], {"pads": pads, "value": float(fill), **more}, at
    )


def _widths(value: Value, reader: Reader) -> Any:
    """Pairs of widths, one for all axes or one for each; None for what is none."""
    value = reader.need_value(value)
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if type(value) is int:
        return [(value, value)]
    if not isinstance(value, list | tuple):
        return None
    parts = [reader.need_value(part) for part in value]
    if any(part is UNKNOWN for part in parts):
        return UNKNOWN
    if all(type(part) is int for part in parts) and 1 <= len(parts) <= 2:
        return [(parts[0], parts[-1])]
    pairs = []
    for part in parts:
        pair = [part] if type(part) is int else part
        if not isinstance(pair, list | tuple) or not 1 <= len(pair) <= 2:
            return None
        pair = [reader.need_value(one) for one in pair]
        if any(one is UNKNOWN for one in pair):
            return UNKNOWN
        if not all(type(one) is int for one in pair):
            return None
        pairs.append((pair[0], pair[-1]))
    return pairs


def _joined(kind: str) -> Function:
    """np.hstack, np.vstack, np.column_stack, np.dstack."""

    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        parts = reader.parts(taken(reader, at, "tup", args, keywords).get("tup"), at)
        if parts is UNKNOWN:
            return UNKNOWN
        if not parts:
            raise reader.fault(at, "arity", f"{kind} of nothing")
        tensors = [reader.tensor(part, at) for part in parts]
        shapes = [shape_of(reader, at, tensor) for tensor in tensors]
        if any(shape is UNKNOWN for shape in shapes):
            return UNKNOWN
        return _laid(reader, at, kind, tensors, shapes)

    return function


def _laid(
    reader: Reader, at: ast.AST, kind: str, tensors: list[Value], shapes: list[tuple[int, ...]]
) -> Value:
    wanted, axis = [], {"hstack": 1, "vstack": 0, "column_stack": 1, "dstack": 2}[kind]
    for shape in shapes:
        if kind == "vstack" and len(shape) < 2:
            shape = (1,) * (2 - len(shape)) + shape
        elif kind == "column_stack" and len(shape) < 2:
            shape = (*shape, 1) if shape else (1, 1)
        elif kind == "dstack" and len(shape) < 3:
            shape = {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)]
        elif not shape:
            shape = (1,)
        wanted.append(shape)
    if kind == "hstack" and len(wanted[0]) == 1:
        axis = 0
    parts = [
        tensor if shape == own else reader.emit("reshape", [tensor], {"shape": list(shape)}, at)
        for tensor, own, shape in zip(tensors, shapes, wanted, strict=True)
    ]
    return reader.emit("concat", parts, {"axis": axis}, at)


def _split(kind: str) -> Function:
    """np.split and its kin: a number of equal parts, or the places to cut at."""

    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        names = "ary indices_or_sections axis"
        if kind == "split" and {"sections", "sizes"} & set(keywords):
            return operate(reader, at, CATALOGUED["split"], "split", args, keywords)
        given = taken(reader, at, names, args, keywords)
        value = given.get("ary")
        axis = {"split": 0, "array_split": 0, "vsplit": 0, "hsplit": 1}[kind]
        axis = number(reader, at, given.get("axis", axis), (int,))
        cuts = reader.need_value(given.get("indices_or_sections"))
        cuts = cuts.tolist() if isinstance(cuts, np.ndarray) else cuts
        if axis is UNKNOWN or cuts is UNKNOWN or value is UNKNOWN:
            return UNKNOWN
        if type(cuts) is int and kind != "array_split" and (kind != "hsplit"):
            return reader.emit("split", [value], {"sections": cuts, "axis": axis}, at)
        shape = shape_of(reader, at, value)
        if shape is UNKNOWN:
            return UNKNOWN
        if kind == "hsplit" and len(shape) == 1:
            axis = 0
        axis = _axis(reader, at, axis, len(shape))
        size = shape[axis]
        if type(cuts) is int and cuts > 0:
            if kind != "array_split":
                return reader.emit("split", [value], {"sections": cuts, "axis": axis}, at)
            most = min(cuts, 100_000)
            small, extra = divmod(size, most)
            lengths = [small + 1] * extra + [small] * (most - extra)
        elif isinstance(cuts, list | tuple) and all(type(one) is int for one in cuts):
            places = [0, *(min(max(c + size if c < 0 else c, 0), size) for c in cuts), size]
            lengths = [b - a for a, b in itertools.pairwise(places)]
            if any(length < 0 for length in lengths):
                raise _refused(reader, at, "split: the places must rise", "such as [2, 5]")
        else:
            raise _refused(
                reader, at, "split wants a number, or places, that are known", "3, [2, 5]"
            )
        return reader.emit("split", [value], {"sizes": lengths, "axis": axis}, at)

    return function


def _roll(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "a shift axis", args, _as_a(keywords))
    shift, axis = reader.need_value(given.get("shift")), reader.need_value(given.get("axis"))
    if shift is UNKNOWN or axis is UNKNOWN:
        return UNKNOWN
    shifts = (
        [shift] if type(shift) is int else list(shift) if isinstance(shift, list | tuple) else []
    )
    axes = [axis] if axis is None or type(axis) is int else list(axis)
    if not shifts or not all(type(one) is int for one in shifts):
        raise _refused(reader, at, "roll wants shifts that are known", "np.roll(x, 1, axis=0)")
    if len(shifts) != len(axes) and axes != [None]:
        shifts, axes = (
            (shifts * len(axes), axes) if len(shifts) == 1 else (shifts, axes * len(shifts))
        )
    value = given.get("a")
    if axes == [None]:
        shape = shape_of(reader, at, value)
        if shape is UNKNOWN:
            return UNKNOWN
        flat = reader.emit("reshape", [value], {"shape": [-1]}, at)
        rolled = reader.emit("roll", [flat], {"shift": sum(shifts), "axis": 0}, at)
        return reader.emit("reshape", [rolled], {"shape": list(shape)}, at)
    for one, along in zip(shifts, axes, strict=False):
        value = reader.emit("roll", [value], {"shift": one, "axis": along}, at)
    return value


def _repeat(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "a repeats axis", args, _as_a(keywords))
    counts = reader.need_value(given.get("repeats"))
    counts = counts.tolist() if isinstance(counts, np.ndarray) else counts
    if isinstance(counts, list | tuple) and len(counts) == 1:
        counts = counts[0]
    if not isinstance(counts, list | tuple):
        axis = given.get("axis")
        return _named("repeat")(reader, at, [given.get("a"), counts], {"axis": axis})
    if not all(type(one) is int and one >= 0 for one in counts):
        raise _refused(reader, at, "repeat wants counts that are known", "np.repeat(x, 3, axis=0)")
    reader.tape.spend(sum(counts))
    places = np.repeat(np.arange(len(counts)), counts)
    axis = (
        number(reader, at, given.get("axis", 0), (int,)) if given.get("axis") is not None else None
    )
    value = given.get("a")
    if axis is None:
        value, axis = reader.emit("reshape", [value], {"shape": [-1]}, at), 0
    shape = shape_of(reader, at, value)
    if shape is UNKNOWN:
        return UNKNOWN
    if shape[_axis(reader, at, axis, len(shape))] != len(counts):
        raise _refused(reader, at, "repeat wants one count, or one for each element", "repeats=2")
    return reader.emit("take", [value, places], {"axis": axis}, at)


# Products, norms and bounds


def _tensordot(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    if {"axes_a", "axes_b"} & set(keywords):
        return operate(reader, at, CATALOGUED["tensordot"], "tensordot", args, keywords)
    given = taken(reader, at, "a b axes", args, keywords)
    axes = reader.need_value(given.get("axes", 2))
    inputs = [given.get("a"), given.get("b")]
    if axes is UNKNOWN or UNKNOWN in inputs:
        return UNKNOWN
    if type(axes) is int:
        return reader.emit("tensordot", inputs, {"axes": axes}, at)
    if not isinstance(axes, list | tuple) or len(axes) != 2:
        raise _refused(reader, at, "tensordot's axes are a number or two lists", "axes=([0], [1])")
    pair = [[one] if type(one) is int else list(one) for one in axes]
    if not all(type(one) is int for part in pair for one in part):
        raise _refused(reader, at, "tensordot's axes are a number or two lists", "axes=([0], [1])")
    return reader.emit("tensordot", inputs, {"axes_a": pair[0], "axes_b": pair[1]}, at)


def _einsum(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    keywords = {k: v for k, v in keywords.items() if k not in ("optimize",)}
    equation = keywords.pop("equation", None)
    if args and isinstance(args[0], Text):
        equation, args = args[0], args[1:]
    elif args and isinstance(args[-1], Text):
        equation, args = args[-1], args[:-1]
    if keywords or not isinstance(equation, Text):
        raise _refused(reader, at, "einsum wants an equation first", "np.einsum('ij,jk->ik', a, b)")
    if len(args) == 1 and isinstance(args[0], list | tuple):
        args = list(args[0])
    return reader.emit("einsum", args, {"equation": equation.text}, at)


def _norm(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    """np.linalg.norm: of a vector or a matrix, which may depend on the dimensions."""
    given = taken(reader, at, "x ord axis keepdims", args, keywords)
    kind, axis = reader.need_value(given.get("ord")), reader.need_value(given.get("axis"))
    keepdims = reader.need_value(given.get("keepdims", False))
    value = given.get("x")
    if any(one is UNKNOWN for one in (kind, axis, keepdims, value)):
        return UNKNOWN
    kind = kind.text if isinstance(kind, Text) else kind
    attrs: Arguments = {"keepdims": bool(keepdims)}
    if kind is None:
        if axis is not None:
            attrs["axis"] = list(axis) if isinstance(axis, list | tuple) else axis
        return reader.emit("vector_norm", [value], attrs, at)
    if axis is None:
        shape = shape_of(reader, at, value)
        if shape is UNKNOWN:
            return UNKNOWN
        if not 1 <= len(shape) <= 2:
            raise _refused(reader, at, "an order needs axes here", "np.linalg.norm(x, ord, axis=0)")
        axis = 0 if len(shape) == 1 else (0, 1)
    axes = [axis] if type(axis) is int else list(axis)
    if isinstance(kind, float) and math.isinf(kind):
        kind = "inf" if kind > 0 else "-inf"
    if len(axes) == 1:
        if kind in ("fro", "nuc"):
            raise _refused(reader, at, f"a vector has no norm '{kind}'", "ord=2")
        attrs |= {"axis": axes[0], "ord": kind}
        return reader.emit("vector_norm", [value], attrs, at)
    return _matrix_norm(reader, at, value, kind, axes, attrs)


def _matrix_norm(
    reader: Reader, at: ast.Call, value: Value, kind: Any, axes: list[int], attrs: Arguments
) -> Value:
    if kind == "fro":
        return reader.emit("vector_norm", [value], {**attrs, "axis": axes}, at)
    shape = shape_of(reader, at, value)
    if shape is UNKNOWN:
        return UNKNOWN
    axes = [_axis(reader, at, axis, len(shape)) for axis in axes]
    last = [len(shape) - 2, len(shape) - 1]
    if axes != last:
        if attrs["keepdims"]:
            raise _refused(
                reader, at, "keepdims is not read for these axes", "move them to the end"
            )
        order = [axis for axis in range(len(shape)) if axis not in axes] + axes
        value = reader.emit("permute_dims", [value], {"axes": order}, at)
    return _named("linalg.matrix_norm")(reader, at, [value], {**attrs, "ord": kind})


def _clip(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    renamed = {{"min": "a_min", "max": "a_max", "x": "a"}.get(k, k): v for k, v in keywords.items()}
    given = taken(reader, at, "a a_min a_max out", args, renamed)
    value, low, high = given.get("a"), given.get("a_min"), given.get("a_max")
    if any(one is UNKNOWN for one in (value, low, high)):
        return UNKNOWN
    bounds = [
        reader.need_value(one) if type(one) is Known and is_number(one.value) else one
        for one in (low, high)
    ]
    if all(one is None or (is_number(one) and one == one) for one in bounds):
        attrs = {k: float(v) for k, v in zip(("min", "max"), bounds, strict=True) if v is not None}
        return reader.emit("clip", [value], attrs, at)
    if low is not None:
        value = reader.emit("maximum", [value, low], {}, at)
    if high is not None:
        value = reader.emit("minimum", [value, high], {}, at)
    return value


def _svd(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "a full_matrices compute_uv hermitian", args, keywords)
    full = reader.need_value(given.get("full_matrices", True))
    factors = reader.need_value(given.get("compute_uv", True))
    value = given.get("a")
    if full and factors and value is not UNKNOWN:
        shape = shape_of(reader, at, value)
        if shape is UNKNOWN:
            return UNKNOWN
        if len(shape) >= 2 and shape[-1] != shape[-2]:
            raise _refused(
                reader,
                at,
                "the full matrices of a singular value decomposition are not read",
                "np.linalg.svd(a, full_matrices=False)",
            )
    made = reader.emit("svd", [value], None, at)
    if not factors and isinstance(made, Several):
        return Part(made.position, 1)
    return made


def _where(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    if len(args) == 1 and not keywords:
        raise reader.fault(
            at,
            "arity",
            "where(condition) alone, which lists places, is not read",
            "where(condition, a, b)",
            "where",
        )
    if args and isinstance(args[0], Node) and not reader.tape.is_truth(args[0]):
        if reader.tape.specs is None and args[0].position in reader.tape.leaves:
            return _named("where")(reader, at, args, keywords)
        args = [reader.emit("not_equal", [args[0], 0.0], None, at), *args[1:]]
    return _named("where")(reader, at, args, keywords)


# Lists


def _in_place(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    raise reader.fault(
        at, "syntax", "the method sort gives nothing: it sorts in place", "np.sort(x)"
    )


def _append(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    if isinstance(at.func, ast.Attribute) and args and args[0] is UNKNOWN:
        return UNKNOWN
    if len(args) != 2 or keywords or type(args[0]) is not list:
        raise reader.fault(
            at, "syntax", "only a list takes append", "ys = []; ys.append(y); np.stack(ys)"
        )
    if type(args[1]) is list and args[1] is args[0]:
        raise reader.fault(at, "syntax", "a list can't hold itself")
    reader.tape.spend(1)
    value = args[1]
    args[0].append(list(value) if type(value) is list else value)
    return None


def _extend(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    if args and args[0] is UNKNOWN:
        return UNKNOWN
    if len(args) != 2 or keywords or type(args[0]) is not list:
        raise reader.fault(at, "syntax", "only a list takes extend")
    parts = reader.parts(args[1], at)
    if parts is UNKNOWN:
        return UNKNOWN
    reader.tape.spend(len(parts))
    args[0].extend(list(parts))
    return None


def _insert(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    if len(args) != 3 or keywords or type(args[0]) is not list or type(args[1]) is not int:
        raise reader.fault(at, "syntax", "only a list takes insert")
    reader.tape.spend(1 + len(args[0]))
    args[0].insert(args[1], args[2])
    return None


def _identity(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    """NumPy's matrix for an integer that is known, the catalogue's operator for others."""
    theirs = args and (type(args[0]) is int or len(args) > 1 or "dtype" in keywords)
    if theirs or "n" in keywords:
        return COMPOSED["identity"](reader, at, args, keywords)
    return _named("identity", catalogue=True)(reader, at, args, keywords)


MATH: dict[str, Function] = {
    "log": COMPOSED["math.log"],
    "floor": _math_whole("floor"),
    "ceil": _math_whole("ceil"),
    "pow": _named("pow"),
    "prod": _prod,
    "fsum": _sum,
}


def _with_where(name: str) -> Function:
    """A reduction, of those elements alone that `where` chooses if it is given."""

    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        chosen = COMPOSED[f"where.{name}"] if "where" in keywords else _named(name)
        return chosen(reader, at, args, keywords)

    return function


NUMPY: dict[str, Function] = {
    **{
        name: made for name, made in COMPOSED.items() if name.split(".")[0] not in ("math", "where")
    },
    "sum": _with_where("sum"),
    "mean": _with_where("mean"),
    "permute_dims": COMPOSED["transpose"],
    "prod": _prod,
    "moveaxis": _moveaxis,
    "pad": _pad,
    "hstack": _joined("hstack"),
    "vstack": _joined("vstack"),
    "dstack": _joined("dstack"),
    "column_stack": _joined("column_stack"),
    "split": _split("split"),
    "hsplit": _split("hsplit"),
    "vsplit": _split("vsplit"),
    "array_split": _split("array_split"),
    "roll": _roll,
    "repeat": _repeat,
    "tensordot": _tensordot,
    "linalg.tensordot": _tensordot,
    "einsum": _einsum,
    "linalg.norm": _norm,
    "clip": _clip,
    "where": _where,
    "linalg.svd": _svd,
}
"""Functions of NumPy by their name without `np.`."""
METHODS: dict[str, Function] = {
    "sort": _in_place,
    "append": _append,
    "extend": _extend,
    "insert": _insert,
    "reshape": _spreading("reshape"),
    "transpose": _spreading("transpose"),
    "max": _named("max"),
    "min": _named("min"),
}
BARE: dict[str, Function] = {
    "identity": _identity,
    "sum": _sum,
    "max": _extremum("max"),
    "min": _extremum("min"),
    "pow": _named("pow", catalogue=True),
    "cumulative_sum": _named("cumulative_sum", catalogue=True),
    "cumulative_prod": _named("cumulative_prod", catalogue=True),
    "norm": _named("norm", catalogue=True),
}
"""Functions without a module: Python's own, and those with another meaning than NumPy's."""
