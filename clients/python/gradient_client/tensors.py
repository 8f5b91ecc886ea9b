"""Tensors between NumPy and the service's JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pybase64

Tensor = Any
"""A NumPy array, or a Python float or bool for a 0-d one."""

_DTYPES = {"float64", "float32", "int64", "int32", "bool"}
_STRINGS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encode(value: Any) -> Any:
    """The JSON form of anything that `np.asarray` takes: a scalar stays a number.

    Arrays become array objects with base64, exact to the bit. A list of whole numbers stands
    for floats, as it does in JSON; an array of integers stays one. TypeError for what is not
    numeric, OverflowError for integers beyond int64. float16 widens to float32, other integers
    to int64.
    """
    array = np.asarray(value)
    if isinstance(value, list | tuple) and array.dtype.kind in "iu" and array.ndim:
        array = _as_floats(array)
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise OverflowError("an integer does not fit into int64")
    if array.ndim == 0:
        return _scalar(array.item())
    name = array.dtype.name
    if name not in _DTYPES:
        name = {
            "f": "float32" if array.itemsize < 4 else "float64",
            "i": "int64",
            "u": "int64",
        }.get(array.dtype.kind, "")
        if not name:
            raise TypeError(f"an array of {array.dtype} can't be sent")
        array = array.astype(name)
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {
        "object_type": "array",
        "shape": list(array.shape),
        "dtype": name,
        "data": {"encoding": "base64", "buffer": pybase64.b64encode_as_string(little.data)},
    }


def _as_floats(array: Any) -> Any:
    floats = array.astype(np.float64)
    if (floats.astype(object) != array.astype(object)).any():
        raise OverflowError("a whole number has more digits than a float: send an array of int64")
    return floats


def _scalar(value: Any) -> Any:
    if isinstance(value, bool | int):
        return value
    if not isinstance(value, float):
        raise TypeError(f"{type(value).__name__} can't be sent as a number")
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def decode(value: Any) -> Tensor:
    """A tensor from JSON: a float or bool for a 0-d one, else an array."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        return _STRINGS[value]
    if isinstance(value, Mapping):
        data = value["data"]
        dtype = np.dtype(value["dtype"]).newbyteorder("<")
        # A bytearray can be written to, and so can an array over it, without a copy.
        raw = pybase64.b64decode_as_bytearray(data["buffer"])
        array = np.frombuffer(raw, dtype).reshape(value["shape"])
        array = array.astype(dtype.newbyteorder("="), copy=False)
        return array if array.ndim else array.item()
    return np.array(_numbers(value))


def _numbers(value: Any) -> Any:
    """Nested lists with the three strings as floats."""
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return _STRINGS[value] if isinstance(value, str) else value


def single_precision(given: Mapping[str, Any]) -> bool:
    """Whether floats are given, and all that have a width are float32 or float16."""
    widths = {
        value.dtype.itemsize
        for value in given.values()
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f"
    }
    lists = any(isinstance(value, list | tuple) for value in given.values())
    return bool(widths) and max(widths) <= 4 and not lists


def decode_all(values: Mapping[str, Any]) -> dict[str, Tensor]:
    """`decode` for every value of an object."""
    return {name: decode(value) for name, value in values.items()}
