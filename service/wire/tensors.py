"""Tensors as JSON: numbers, nested lists, the three strings, array objects with base64.

In: `read_tensor` gives a Python float or bool for a 0-d tensor, else a NumPy array. Numbers
become float64 (JSON has no integers of its own; a node's `dtype` or an array object makes
integers), booleans stay booleans.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, NoReturn

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from service.engine.control import Limits
from service.engine.errors import Fault, GraphError

Dtype = Literal["float64", "float32", "int64", "int32", "bool"]
DTYPES: tuple[Dtype, ...] = ("float64", "float32", "int64", "int32", "bool")
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_STRINGS = ' or one of "NaN", "Infinity", "-Infinity"'
_MAX_RANK = 32


class Base64(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The elements of an array object: C order, little endian."""

    buffer: str
    encoding: Literal["base64"]


class ArrayObject(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A tensor of given shape and dtype with its elements in base64."""

    shape: list[int]
    dtype: Dtype
    data: Base64
    object_type: Literal["array"] | UnsetType = UNSET


TensorJson = float | bool | str | list[Any] | ArrayObject
"""What a tensor is decoded as."""
Tensors = dict[str, TensorJson]
TENSOR, TENSORS = (TensorJson, TensorJson | None), (Tensors, Tensors | None)
"""The types of members that are a tensor, and of those that are tensors by name."""
Tensor = Any
"""What a tensor is read as: a float, a bool or a NumPy array."""


def without_notes(annotation: Any) -> Any:
    """The type inside an Annotated one."""
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation


def read_tensor(value: Any, pointer: str, limits: Limits) -> Tensor:
    """The tensor that a decoded JSON value stands for.

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
    if kind is ArrayObject:
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


def _read_array_object(
    value: ArrayObject, pointer: str, limits: Limits
) -> float | bool | np.ndarray[Any, Any]:
    """The array that an array object holds; its length is checked before it is decoded."""
    if len(value.shape) > _MAX_RANK:
        refuse(f"a shape has at most {_MAX_RANK} sizes", f"{pointer}/shape")
    if any(size < 0 for size in value.shape):
        refuse("a size is never negative", f"{pointer}/shape")
    dtype = np.dtype(value.dtype).newbyteorder("<")
    size = math.prod(value.shape)
    # An empty tensor may name sizes too; their product without the zeros is what NumPy minds.
    limits.check("elements_per_tensor", math.prod(filter(None, value.shape)))
    text = value.data.buffer
    expected = 4 * ((size * dtype.itemsize + 2) // 3)
    if len(text) != expected:
        refuse(
            f"shape and dtype need {size * dtype.itemsize} bytes, "
            f"{expected} characters of base64, and here are {len(text)}",
            f"{pointer}/data/buffer",
        )
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
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


def as_array_object(value: dict[str, Any]) -> ArrayObject:
    """The ArrayObject of a dict; raises msgspec.ValidationError where it isn't one."""
    return msgspec.convert(value, ArrayObject)
