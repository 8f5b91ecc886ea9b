"""Answers as JSON: tensors out, non-finite numbers as strings, the same bytes every time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pybase64

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_NULL = b"null"
_LARGE, _FEW = 100_000, 1_000


def encode(answer: Mapping[str, Any], encoding: str = "json") -> bytes:
    """An answer of (nested) mappings, lists, strings and tensors as JSON in UTF-8.

    Members keep their order. With `encoding` "base64" every tensor (a NumPy array, a float,
    a bool) becomes an array object. None does not occur in an answer.
    """
    if encoding == "base64":
        return orjson.dumps(_with_array_objects(answer), option=_OPTIONS)
    # orjson writes null for what isn't finite: where there is no null, all is written.
    try:
        text = orjson.dumps(answer, default=_plain, option=_OPTIONS)
    except orjson.JSONEncodeError:
        answer = _for_orjson(answer)
        text = orjson.dumps(answer, default=_plain, option=_OPTIONS)
    if (len(text) > _LARGE and _surely_finite(answer)) or _NULL not in text:
        return text
    return orjson.dumps(_with_strings(answer), default=_plain, option=_OPTIONS)


def _for_orjson(value: Any) -> Any:
    """The value with what orjson refuses made good: wide integers, half a surrogate pair.

    A client may have such half in a name; it becomes `?`.
    """
    if isinstance(value, Mapping):
        return {_for_orjson(name): _for_orjson(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_for_orjson, value))
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and abs(value) >= 2**63:
        return orjson.Fragment(str(value))
    return value


def _surely_finite(value: Any) -> bool:
    """Whether a look at the tensors themselves, quicker than one at a long text, says so."""
    if isinstance(value, np.ndarray):
        return bool(np.isfinite(value).all())
    if isinstance(value, Mapping):
        return len(value) <= _FEW and all(map(_surely_finite, value.values()))
    if isinstance(value, float | np.generic):
        return bool(np.isfinite(value))
    return isinstance(value, str)


def _plain(value: Any) -> Any:
    """What orjson doesn't take by itself: arrays without axes or not in C order, tuples' kin."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return value[()]
        return np.ascontiguousarray(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"no JSON for {type(value).__name__}")


def number(value: float) -> float | str:
    """A float, or the string that stands for it where it isn't finite."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _with_strings(value: Any) -> Any:
    """The value with the three strings in the place of non-finite numbers."""
    if isinstance(value, Mapping):
        return {name: _with_strings(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_with_strings(member) for member in value]
    if isinstance(value, float | np.floating):
        return value if math.isfinite(value) else number(float(value))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return _array_with_strings(value)
    return value


_STRINGS = {"NaN": b'"NaN"', "Infinity": b'"Infinity"', "-Infinity": b'"-Infinity"'}


def _array_with_strings(array: np.ndarray[Any, Any]) -> Any:
    """The array as JSON text: the n-th null is the n-th element that isn't finite."""
    missing = array[~np.isfinite(array)]
    if missing.size == 0:
        return array
    if array.ndim == 0:
        return number(float(array))
    parts = orjson.dumps(np.ascontiguousarray(array), option=_OPTIONS).split(_NULL)
    pieces = [parts[0]]
    for value, part in zip(missing.tolist(), parts[1:], strict=True):
        pieces.append(_STRINGS[str(number(value))])
        pieces.append(part)
    return orjson.Fragment(b"".join(pieces))


def _with_array_objects(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_array_objects(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_array_objects(member) for member in value]
    if isinstance(value, float | bool | np.ndarray | np.generic):
        return array_object(value)
    return value


def array_object(tensor: Any) -> dict[str, Any]:
    """A tensor as an array object: C order, little endian, base64."""
    array = np.asarray(tensor)
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
    text = pybase64.b64encode(array.data)
    return {
        "object_type": "array",
        "shape": array.shape,
        "dtype": array.dtype.name,
        "data": {"encoding": "base64", "buffer": orjson.Fragment(b'"' + text + b'"')},
    }
