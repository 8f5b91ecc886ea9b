"""What is known while the graph is built: shapes, ranges, and arrays made of numbers."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from service.engine.expression.hints import of_attribute
from service.engine.expression.values import (
    UNKNOWN,
    DType,
    Known,
    Node,
    Several,
    Text,
    Value,
    is_number,
)
from service.engine.numpy_compat import DTYPES

if TYPE_CHECKING:
    from service.engine.expression.reader import Reader

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.remainder,
}
_LARGEST = 2**53


def whole_array(value: Value) -> bool:
    """Whether this is an array of integers that is known."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "i"


def arithmetic(reader: Reader, sort: type[ast.operator], left: Any, right: Any) -> Any:
    """Arithmetic of arrays of integers, which may serve as indices; None for other kinds."""
    function = _ARITHMETIC.get(sort)
    if function is None or np.abs(np.max(np.abs(right), initial=0)) > _LARGEST:
        return None
    if sort in (ast.FloorDiv, ast.Mod) and not np.all(right):
        return None
    try:
        shape = np.broadcast_shapes(np.shape(left), np.shape(right))
    except ValueError:
        return None
    reader.tape.spend(math.prod(shape))
    return function(left, right)


# Attributes


def attribute(reader: Reader, owner: Value, at: ast.Attribute) -> Value:
    """`owner.name`: a shape, or the transpose."""
    if at.attr not in ("T", "mT", "shape", "ndim", "size", "dtype"):
        raise reader.fault(
            at,
            "syntax",
            f"the attribute '.{at.attr[:64]}' is not read",
            of_attribute(at.attr),
        )
    if owner is UNKNOWN:
        return UNKNOWN
    if at.attr == "T":
        return reader.emit("reverse_axes", [owner], None, at)
    if at.attr == "mT":
        return reader.emit("matrix_transpose", [owner], None, at)
    if at.attr == "dtype":
        spec = reader.spec(owner, at)
        return UNKNOWN if spec is None else DType(spec.dtype)
    if isinstance(owner, tuple | list | range) or type(owner) is Several:
        owner = reader.tensor(owner, at)
    return measure(reader, at, at.attr, owner)


def measure(reader: Reader, at: ast.AST, what: str, value: Value) -> Value:
    """The shape, size or number of dimensions of a value."""
    shape = shape_of(reader, at, value)
    if shape is UNKNOWN:
        return UNKNOWN
    return {"shape": shape, "ndim": len(shape), "size": math.prod(shape)}[what]


def shape_of(reader: Reader, at: ast.AST, value: Value) -> Any:
    """The shape of a value as a tuple of integers, or UNKNOWN."""
    known = getattr(value, "shape", None)  # of an array, or of one that is being filled
    if isinstance(known, tuple):
        return known
    if type(value) is Known and not value.roots and isinstance(value.value, np.ndarray):
        return value.value.shape
    spec = reader.spec(value, at)
    return UNKNOWN if spec is None else spec.shape


# Functions


Arguments = dict[str, Any]


def taken(
    reader: Reader, at: ast.Call, names: str, args: list[Value], keywords: Arguments
) -> Arguments:
    """Arguments by name: `names` are the parameters in order, blank apart."""
    order = names.split()
    function = ast.unparse(at.func)[:64] if isinstance(at.func, ast.Name | ast.Attribute) else "it"
    if len(args) > len(order):
        raise reader.fault(
            at, "arity", f"{function} takes {len(order)} arguments, here {len(args)}"
        )
    found = dict(zip(order, args, strict=False))
    for name, value in keywords.items():
        if name not in order:
            raise reader.fault(
                at,
                "attribute",
                f"{function} takes no '{name[:64]}' here",
                "it takes " + ", ".join(order),
            )
        if name in found:
            raise reader.fault(at, "attribute", f"'{name[:64]}' is given twice")
        found[name] = value
    return found


def sizes(reader: Reader, at: ast.AST, value: Value) -> Any:
    """A shape that is given: an integer, or a list of such. UNKNOWN where it depends on one."""
    value = reader.need_value(value)
    parts = list(value) if isinstance(value, list | tuple | range) else [value]
    parts = [reader.need_value(part) for part in parts]
    if any(part is UNKNOWN for part in parts):
        return UNKNOWN
    if isinstance(value, np.ndarray):
        parts = value.ravel().tolist()
    if not all(type(part) is int and part >= 0 for part in parts):
        raise reader.fault(
            at, "syntax", "a shape is made of integers that are known", "such as (3, 4) or x.shape"
        )
    elements = math.prod(part or 1 for part in parts)
    reader.limits.check("elements_per_tensor", elements)
    if len(parts) > 32:
        raise reader.fault(at, "syntax", "a tensor has at most 32 dimensions")
    return tuple(parts)


def number(reader: Reader, at: ast.AST, value: Value, kinds: Any = (int, float)) -> Any:
    """A number that is known, or UNKNOWN."""
    value = reader.need_value(value)
    if value is UNKNOWN or type(value) in kinds:
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    what = "an integer" if kinds == (int,) else "a number"
    raise reader.fault(at, "syntax", f"this must be {what} that is known while the graph is built")


def _dtype(value: Value) -> str | None:
    if isinstance(value, DType):
        return DTYPES.get(value.name, value.name)
    return DTYPES.get(value.text) if isinstance(value, Text) else None


def _filled(reader: Reader, at: ast.Call, shape: Any, value: Any, dtype: Value) -> Value:
    """An array of one number, which takes no room however large it is."""
    if shape is UNKNOWN or value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, Node):
        return reader.emit("broadcast_to", [value], {"shape": list(shape)}, at)
    made = np.broadcast_to(np.asarray(value, dtype=_dtype(dtype)), shape)
    return made.copy() if made.ndim == 0 else made


def _constant(fill: float) -> Callable[..., Value]:
    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        given = taken(reader, at, "shape dtype order", args, keywords)
        shape = sizes(reader, at, given.get("shape"))
        return _filled(reader, at, shape, fill, given.get("dtype"))

    return function


def _constant_like(fill: float) -> Callable[..., Value]:
    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        given = taken(reader, at, "a dtype order subok shape", args, keywords)
        return _like(reader, at, given, fill)

    return function


def _like(reader: Reader, at: ast.Call, given: Arguments, fill: Any) -> Value:
    """An array of the dtype and, unless another one is given, the shape of `a`."""
    spec = reader.spec(given.get("a"), at)
    if spec is None:
        return UNKNOWN
    shape = spec.shape if given.get("shape") is None else sizes(reader, at, given["shape"])
    dtype = given.get("dtype")
    return _filled(reader, at, shape, fill, DType(spec.dtype) if dtype is None else dtype)


def _full(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "shape fill_value dtype order", args, keywords)
    shape = sizes(reader, at, given.get("shape"))
    return _filled(reader, at, shape, _fill(reader, at, given), given.get("dtype"))


def _full_like(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "a fill_value dtype order subok shape", args, keywords)
    return _like(reader, at, given, _fill(reader, at, given))


def _fill(reader: Reader, at: ast.AST, given: Arguments) -> Any:
    value = reader.tensor(given.get("fill_value"), at)
    if isinstance(value, np.ndarray):
        return reader.tape.constant(value, at)
    return value


def _eye(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "N M k dtype order", args, keywords)
    rows = number(reader, at, given.get("N"), (int,))
    columns = number(reader, at, given["M"], (int,)) if given.get("M") is not None else rows
    k = number(reader, at, given.get("k", 0), (int,))
    if UNKNOWN in (rows, columns, k):
        return UNKNOWN
    sizes(reader, at, (rows, columns))
    reader.tape.spend(rows * columns)
    return np.eye(rows, columns, max(min(k, columns), -rows), dtype=_dtype(given.get("dtype")))


def _arange(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "start stop step dtype", args, keywords)
    start, stop, step = (given.get(name) for name in ("start", "stop", "step"))
    if stop is None:
        start, stop = 0, start
    bounds = [number(reader, at, 1 if b is None else b) for b in (start or 0, stop, step)]
    if UNKNOWN in bounds:
        return UNKNOWN
    if bounds[2] == 0 or not all(map(math.isfinite, bounds)):
        raise reader.fault(at, "syntax", "arange wants numbers, and a step that isn't 0")
    start, stop, step = bounds
    reader.tape.spend(max(0, math.ceil(min((stop - start) / step, 1e18))))
    try:
        return np.arange(start, stop, step, dtype=_dtype(given.get("dtype")))
    except (TypeError, ValueError):
        raise reader.fault(at, "attribute", "arange has no such dtype", "int or float") from None


def _linspace(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "start stop num endpoint", args, keywords)
    start, stop = (number(reader, at, given.get(name)) for name in ("start", "stop"))
    count = number(reader, at, given.get("num", 50), (int,))
    if UNKNOWN in (start, stop, count):
        return UNKNOWN
    if count < 0:
        raise reader.fault(at, "syntax", "linspace wants a number of points from 0 on")
    reader.tape.spend(count)
    return np.linspace(start, stop, count, bool(given.get("endpoint", True)))


def _array(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "a dtype order copy ndmin", args, keywords)
    value = given.get("a")
    if isinstance(value, list | tuple | range):
        value = reader.stacked(list(value), at)
    elif is_number(value):
        value = np.asarray(value)
    value = reader.tensor(value, at)
    least = number(reader, at, given.get("ndmin", 0), (int,))
    if least is not UNKNOWN and least > 0:
        shape = shape_of(reader, at, value)
        if shape is UNKNOWN or least > 32:
            return UNKNOWN
        if len(shape) < least:
            whole_shape = [1] * (least - len(shape)) + list(shape)
            value = reader.emit("reshape", [value], {"shape": whole_shape}, at)
    return cast(reader, at, value, given.get("dtype"))


def cast(reader: Reader, at: ast.AST, value: Value, dtype: Value) -> Value:
    """A value in the dtype that is asked for; as it is where none is."""
    if value is UNKNOWN or dtype is UNKNOWN:
        return UNKNOWN
    if dtype is None:
        return value
    kind = _dtype(dtype)
    if kind is None:
        raise reader.fault(
            at, "attribute", "this dtype is not read", "float, int, bool, np.float64, np.float32, …"
        )
    if isinstance(value, np.ndarray):
        return value.astype(kind)
    if is_number(value) and kind.startswith(("int", "bool")):
        return int(value) if kind.startswith("int") else bool(value)
    if kind == "float64":
        if isinstance(value, Node) and not reader.tape.is_truth(value):
            return value  # a floating number is computed with in the request's dtype
        if is_number(value):
            return float(value)
    return reader.emit("cast", [value], {"dtype": kind}, at)


def _as_type(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "x dtype order casting subok copy", args, keywords)
    if "dtype" not in given:
        raise reader.fault(at, "attribute", "astype wants a dtype", "x.astype(float)")
    return cast(reader, at, reader.tensor(given["x"], at), given["dtype"])


def as_dtype(name: str) -> Callable[..., Value]:
    """float(x), np.float64(x) and their kin."""

    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        given = taken(reader, at, "x", args, keywords)
        value = reader.tensor(given.get("x", 0.0), at)
        if type(value) is Known and is_number(value.value) and name.startswith("int"):
            return int(reader.need_value(value))
        return cast(reader, at, value, DType(name))

    return function


def _measure(what: str) -> Callable[..., Value]:
    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        given = taken(reader, at, "a axis", args, keywords)
        whole = given.get("axis") is None
        shape = measure(reader, at, what if whole else "shape", given.get("a"))
        if shape is UNKNOWN or whole:
            return shape
        axis = number(reader, at, given["axis"], (int,))
        if axis is UNKNOWN or not -len(shape) <= axis < len(shape):
            raise reader.fault(at, "syntax", f"there is no such axis in {shape}")
        return shape[axis]

    return function


def _len(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    value = taken(reader, at, "x", args, keywords).get("x")
    if isinstance(value, list | tuple | range):
        return len(value)
    if value is UNKNOWN:
        return UNKNOWN
    if type(value) is Several and value.count is not None:
        return value.count
    shape = shape_of(reader, at, value)
    if shape is UNKNOWN:
        return UNKNOWN
    if not shape:
        raise reader.fault(at, "syntax", "a number has no length")
    return shape[0]


def _range(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    bounds = [number(reader, at, one, (int,)) for one in args]
    if UNKNOWN in bounds:
        return UNKNOWN
    if not 1 <= len(bounds) <= 3 or keywords or bounds[2:] == [0]:
        raise reader.fault(at, "arity", "range takes one to three integers")
    if len(made := range(*bounds)) > reader.limits.nodes:
        reader.limits.check("nodes", len(made))
    return made


def _sequence(kind: Callable[[Any], Any]) -> Callable[..., Value]:
    def function(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
        given = taken(reader, at, "x", args, keywords)
        parts = reader.parts(given.get("x", ()), at)
        if parts is UNKNOWN:
            return UNKNOWN
        reader.tape.spend(len(parts))
        return kind(parts)

    return function


def _zip(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    rows = [reader.parts(one, at) for one in args]
    if any(row is UNKNOWN for row in rows):
        return UNKNOWN
    reader.tape.spend(sum(map(len, rows)))
    return list(zip(*rows, strict=False))


def _enumerate(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    given = taken(reader, at, "x start", args, keywords)
    parts = reader.parts(given.get("x"), at)
    start = number(reader, at, given.get("start", 0), (int,))
    if parts is UNKNOWN or start is UNKNOWN:
        return UNKNOWN
    reader.tape.spend(len(parts))
    return list(enumerate(parts, start))


def _copy(reader: Reader, at: ast.Call, args: list[Value], keywords: Arguments) -> Value:
    value = taken(reader, at, "a order", args, keywords).get("a")
    if type(value) is list:
        return list(value)
    value = reader.tensor(value, at)
    return reader.emit("identity", [value], None, at) if isinstance(value, Node) else value


_NUMPY_ONLY: dict[str, Callable[..., Value]] = {
    "float64": as_dtype("float64"),
    "float32": as_dtype("float32"),
    "int64": as_dtype("int64"),
    "int32": as_dtype("int32"),
    "bool_": as_dtype("bool"),
    "double": as_dtype("float64"),
    "size": _measure("size"),
    "ndim": _measure("ndim"),
    "shape": _measure("shape"),
    "copy": _copy,
    "array": _array,
    "asarray": _array,
    "asanyarray": _array,
}
_EVERYWHERE: dict[str, Callable[..., Value]] = {
    "arange": _arange,
    "zeros": _constant(0.0),
    "ones": _constant(1.0),
    "empty": _constant(0.0),
    "full": _full,
    "zeros_like": _constant_like(0.0),
    "ones_like": _constant_like(1.0),
    "empty_like": _constant_like(0.0),
    "full_like": _full_like,
    "eye": _eye,
    "linspace": _linspace,
    "astype": _as_type,
}
NUMPY: dict[str, Callable[..., Value]] = {**_NUMPY_ONLY, **_EVERYWHERE}
"""Functions of NumPy that are known while the graph is built, without `np.`."""
BARE: dict[str, Callable[..., Value]] = {
    **_EVERYWHERE,
    "array": _array,
    "asarray": _array,
    "shape": _measure("shape"),
    "len": _len,
    "range": _range,
    "list": _sequence(list),
    "tuple": _sequence(tuple),
    "reversed": _sequence(lambda parts: list(parts)[::-1]),
    "zip": _zip,
    "enumerate": _enumerate,
    "float": as_dtype("float64"),
    "int": as_dtype("int64"),
    "bool": as_dtype("bool"),
    "float64": as_dtype("float64"),
    "float32": as_dtype("float32"),
}
"""Functions of Python, and of NumPy without `np.`."""
METHODS: dict[str, Callable[..., Value]] = {
    "astype": _as_type,
    "copy": _copy,
}
"""Methods of arrays."""
