"""Tensors as JSON: numbers, nested lists, the three strings, array objects with base64.

In: `read_tensor` gives a Python float or bool for a 0-d tensor, else a NumPy array. Numbers
become float64 (JSON has no integers of its own; a node's `dtype` or an array object makes
integers), booleans stay booleans.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any, NoReturn

import msgspec
import numpy as np
import pybase64
from pydantic import BaseModel, ValidationError

from service.engine.control import Limits
from service.engine.errors import Fault, GraphError, escaped
from service.engine.graph_spec import Leaf
from service.wire.models import ArrayObject, Dtype, Tensor, Tensors

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_STRINGS = ' or one of "NaN", "Infinity", "-Infinity"'
_MAX_RANK = 32
_TENSOR: tuple[Any, ...] = (Tensor, Tensor | None)
_TENSORS: tuple[Any, ...] = (Tensors, Tensors | None)


@cache
def tensor_members(model: type[BaseModel]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The members of a model that are a tensor, and those that are tensors by name."""
    kinds = {name: field.annotation for name, field in model.model_fields.items()}
    single = (name for name, kind in kinds.items() if kind in _TENSOR)
    named = (name for name, kind in kinds.items() if kind in _TENSORS)
    return tuple(single), tuple(named)


def read_members(model: type[BaseModel], given: dict[str, Any], limits: Limits) -> list[Fault]:
    """Read the tensors among a request's members in their places; what can't be read, as faults."""
    faults: list[Fault] = []
    single, named = tensor_members(model)
    for name in single:
        if given.get(name) is not None:
            _read_in_place(given, name, f"#/{name}", limits, faults)
    for name in named:
        mapping = given.get(name)
        if isinstance(mapping, dict):
            for key, value in mapping.items():
                if type(value) is not float or math.isinf(value):
                    _read_in_place(mapping, key, f"#/{name}/{escaped(key)}", limits, faults)
    return faults


def _read_in_place(
    holder: dict[str, Any], name: str, pointer: str, limits: Limits, faults: list[Fault]
) -> None:
    try:
        holder[name] = read_tensor(holder[name], pointer, limits)
    except GraphError as error:
        faults.extend(error.faults)


def dtype_faults(
    leaves: Mapping[str, Leaf], inputs: Mapping[str, Any], place: str
) -> Iterator[Fault]:
    """Values for inputs that are declared as integers or truth values must be such."""
    for name, value in inputs.items():
        leaf = leaves.get(name)
        if leaf is not None and leaf.dtype is not None:
            try:
                check_dtype(value, leaf.dtype, f"{place}/{escaped(name)}")
            except GraphError as error:
                yield from (replace(fault, node=name) for fault in error.faults)


def read_leaf(
    op: str,
    name: str,
    value: Any,
    shape: Sequence[int] | None,
    dtype: Dtype | None,
    place: str,
    limits: Limits,
) -> Leaf:
    """The leaf of these members, at the pointer `place`. Raises GraphError, LimitExceeded."""
    leaf = Leaf("input" if op == "input" else "constant", dtype=dtype)
    try:
        if shape is not None:
            leaf.shape = check_shape(shape, f"{place}/shape", limits)
        if value is None:
            return leaf
        leaf.value = read_tensor(value, f"{place}/value", limits)
        check_dtype(leaf.value, dtype, f"{place}/value")
    except GraphError as error:
        raise GraphError(replace(fault, node=name) for fault in error.faults) from None
    if leaf.kind == "constant" and leaf.shape not in (None, np.shape(leaf.value)):
        shapes = (leaf.shape or (), np.shape(leaf.value))
        detail = f"constant '{name}' is declared {shapes[0]}, its value is {shapes[1]}"
        pointer = f"{place}/value"
        raise GraphError(
            [Fault("shape_mismatch", detail, node=name, pointer=pointer, shapes=shapes)]
        )
    return leaf


def check_shape(
    shape: Sequence[int], pointer: str, limits: Limits, code: str = "invalid_request"
) -> tuple[int, ...]:
    """The shape; raises GraphError for what is none, LimitExceeded for one that is too large."""
    if len(shape) > _MAX_RANK:
        detail = f"a shape has at most {_MAX_RANK} sizes"
        raise GraphError([Fault(code, detail, pointer=pointer)])
    faults = [
        Fault(code, "a size is never negative", pointer=f"{pointer}/{axis}")
        for axis, size in enumerate(shape)
        if size < 0
    ]
    if faults:
        raise GraphError(faults)
    # An empty tensor may name sizes too; their product without the zeros is what NumPy minds.
    limits.check("elements_per_tensor", math.prod(filter(None, shape)))
    return tuple(shape)


_RANGES = {"int64": (-(2.0**63), 2.0**63), "int32": (-(2.0**31), 2.0**31), "bool": (0.0, 2.0)}


def check_dtype(value: Any, dtype: str | None, pointer: str) -> None:
    """Raise GraphError (`dtype`) when numbers would be changed by becoming integers or bools."""
    if dtype not in _RANGES:
        return
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return
    low, high = _RANGES[dtype]
    with np.errstate(invalid="ignore"):
        fits = (array >= low) & (array < high) & (np.floor(array) == array)
    if not fits.all():
        what = "0 and 1, or true and false" if dtype == "bool" else f"integers of {dtype}"
        raise GraphError([Fault("dtype", f"values of dtype {dtype} are {what}", pointer=pointer)])


def read_tensor(value: Any, pointer: str, limits: Limits) -> Any:
    """The tensor that a decoded JSON value stands for: a float, a bool or a NumPy array.

    Raises GraphError (`invalid_tensor`) with the place of the fault below `pointer`, and
    LimitExceeded before anything is allocated that is larger than `limits` allows.
    """
    kind = type(value)
    if kind is float:
        if math.isinf(value):
            refuse(_OUT_OF_RANGE, pointer)
        return value
    if kind is bool:
        return value
    if kind is list:
        return _read_list(value, pointer, limits)
    if kind is dict:
        value = _array_object(value, pointer)
    if isinstance(value, ArrayObject | msgspec.Struct):
        return _read_array_object(value, pointer, limits)
    return _read_element(value, pointer)


_OUT_OF_RANGE = 'the number is beyond the range of float64; write "Infinity" for infinity'


def refuse(detail: str, pointer: str, hint: str | None = None) -> NoReturn:
    """Raise GraphError: no tensor can be read at `pointer`."""
    raise GraphError([Fault("invalid_tensor", detail, pointer=pointer, hint=hint)])


def _read_element(value: Any, pointer: str) -> float | bool:
    """One number, truth value or string."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isinf(number):
            refuse(_OUT_OF_RANGE, pointer)
        return number
    if isinstance(value, str):
        if value in NON_FINITE:
            return NON_FINITE[value]
        refuse("a string is no number" + " but" + _STRINGS.removeprefix(" or"), pointer)
    what = "null" if value is None else "an object" if isinstance(value, dict) else "this"
    refuse(f"{what} is no element of a tensor: a number, true, false," + _STRINGS, pointer)


def _read_list(value: list[Any], pointer: str, limits: Limits) -> np.ndarray[Any, Any]:
    limits.check("elements_per_tensor", len(value))
    try:
        array = np.array(value)
    except ValueError:  # ragged, or nested too deeply
        return _read_list_slowly(value, pointer, limits)
    if array.dtype.kind not in "fib" or array.ndim > _MAX_RANK:
        return _read_list_slowly(value, pointer, limits)
    limits.check("elements_per_tensor", array.size)
    if array.dtype.kind == "b":
        return array
    kinds = set(map(type, _flat(value, array.ndim)))
    if bool in kinds or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        return _read_list_slowly(value, pointer, limits)
    return array.astype(np.float64, copy=False)


def _flat(value: list[Any], depth: int) -> Any:
    elements: Any = value
    for _ in range(depth - 1):
        elements = chain.from_iterable(elements)
    return elements


def _read_list_slowly(value: list[Any], pointer: str, limits: Limits) -> np.ndarray[Any, Any]:
    """Element by element: with the three strings, or to find out what is wrong and where."""
    shape: list[int] = []
    first: Any = value
    while isinstance(first, list):
        shape.append(len(first))
        if len(shape) > _MAX_RANK:
            refuse(f"the lists are nested more than {_MAX_RANK} deep", pointer)
        first = first[0] if first else None
    limits.check("elements_per_tensor", math.prod(shape))
    elements: list[float | bool] = []
    _gather(value, shape, 0, pointer, elements)
    kinds = set(map(type, elements))
    if len(kinds) > 1:
        refuse(
            "truth values and numbers are mixed",
            pointer,
            hint="write 1 and 0 for numbers, or true and false throughout",
        )
    dtype = np.bool_ if kinds == {bool} else np.float64
    return np.array(elements, dtype).reshape(shape)


def _gather(
    value: list[Any], shape: Sequence[int], depth: int, pointer: str, into: list[float | bool]
) -> None:
    """Append the elements of `value` in C order; refuse what doesn't have the shape."""
    if len(value) != shape[depth]:
        refuse(
            f"the list is ragged: {len(value)} elements where its neighbours have {shape[depth]}",
            pointer,
        )
    inner = depth + 1 < len(shape)
    for index, item in enumerate(value):
        place = f"{pointer}/{index}"
        if isinstance(item, list) != inner:
            refuse("the list is ragged: numbers and lists are mixed", place)
        if inner:
            _gather(item, shape, depth + 1, place, into)
        else:
            into.append(_read_element(item, place))


def _array_object(document: dict[str, Any], pointer: str) -> ArrayObject:
    """The array object of a JSON object; GraphError where it isn't one."""
    try:
        return ArrayObject.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        path = found["loc"][: -1 if found["type"] in ("missing", "extra_forbidden") else None]
        refuse(
            "not an array object: " + found["msg"].replace("Input", "this").lower(),
            "/".join([pointer, *map(str, path)]),
            hint="it has " + ", ".join(ArrayObject.model_fields),
        )


def _read_array_object(
    value: Any, pointer: str, limits: Limits
) -> float | bool | np.ndarray[Any, Any]:
    """The array that an array object holds; its length is checked before it is decoded."""
    check_shape(value.shape, f"{pointer}/shape", limits, "invalid_tensor")
    dtype = np.dtype(value.dtype).newbyteorder("<")
    size = math.prod(value.shape)
    text = value.data.buffer
    expected = 4 * ((size * dtype.itemsize + 2) // 3)
    if len(text) != expected:
        refuse(
            f"shape and dtype need {size * dtype.itemsize} bytes, "
            f"{expected} characters of base64, and here are {len(text)}",
            f"{pointer}/data/buffer",
        )
    try:
        raw = pybase64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != size * dtype.itemsize:
        refuse("the buffer is not base64 of the right length", f"{pointer}/data/buffer")
    array = np.frombuffer(raw, np.uint8 if value.dtype == "bool" else dtype)
    if value.dtype == "bool":
        if (array > 1).any():
            refuse("a truth value is a byte 0 or 1", f"{pointer}/data/buffer")
        array = array.view(np.bool_)
    array = array.reshape(value.shape).astype(value.dtype, copy=False)
    if not value.shape and value.dtype in ("float64", "bool"):
        return array.item()  # type: ignore[no-any-return]
    return array
