"""Reading what a student sent: anything at all, and never an error of the service.

What can't be used is noted with a reason that the student can act on, at the entry where it
stands; when nothing can be used, for the submission as a whole.

    {"id": "…", "gradients": {node: tensor}, "values": {node: tensor},
     "points": [{"gradients": …, "values": …}], "expression": "…"}

`points` answers the task's further points, in order.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from typing import Any

import numpy as np

from service.engine.errors import Shape
from service.grading.task import Answer, Fault, Submission
from service.grading.truth import Truth

Tensor = Any
MAX_NOTES = 20
_MAX_ID = 200
_MAX_EXPRESSION = 20_000
_MAX_NUMBER = 100
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DTYPES = {"float64": "<f8", "float32": "<f4", "int64": "<i8", "int32": "<i4"}


_DECORATION = re.compile(
    r"^(d[A-Z]?/d_?|d_|∂[A-Z]?/∂|∂|grads?_|gradient_|nabla_|∇|d(?=.))|([._]grad(ient)?|_bar)$"
)


@dataclass(frozen=True, slots=True)
class NotJson:
    """Stands for a submission that is no JSON; `reason` says why, to the student."""

    reason: str


class NotATensor(ValueError):
    """What was sent is no tensor; the text says why, in words for a student."""


def read_tensor(value: object, shape: Shape) -> Tensor:
    """`value` as float64. At most 64 times the elements of `shape` are looked at.

    Raises NotATensor.
    """
    if isinstance(value, bool) or value is None:
        raise NotATensor("it is no number and no list of numbers")
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, str):
        return np.float64(_number_in(value))
    most = 64 * max(1, math.prod(shape)) + 4096
    if isinstance(value, Mapping):
        return _array_object(value, most)
    if isinstance(value, list | tuple):
        return _nested(value, most)
    raise NotATensor("it is no number and no list of numbers")


def _number_in(text: str) -> float:
    """The number that a text writes: `0.25`, `-1/3`, `1e-3`, one of the three special ones."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    numerator, stroke, denominator = text.replace("−", "-").partition("/")
    try:
        if len(text) > _MAX_NUMBER:
            raise ValueError
        number = float(numerator) / (float(denominator) if stroke else 1.0)
    except (ValueError, ZeroDivisionError):
        if "," in text:
            raise NotATensor("it has a comma where a point belongs, as in 0.5") from None
        raise NotATensor("it is a text, not a number") from None
    if not math.isfinite(number):
        raise NotATensor("it is a text, not a number")
    return number


def _number(value: int | float) -> Any:
    try:
        return np.float64(value)
    except (OverflowError, TypeError):
        raise NotATensor("a number in it is too large") from None


def _nested(value: list[Any] | tuple[Any, ...], most: int) -> Tensor:
    try:
        array = np.array(value)
    except (ValueError, OverflowError):  # ragged, or nested too deeply
        return _nested_slowly(value, most)
    if array.dtype.kind not in "fi" or array.ndim > 3 or array.size > most:
        return _nested_slowly(value, most)
    elements: Any = value
    for _ in range(array.ndim - 1):
        elements = chain.from_iterable(elements)
    if not set(map(type, elements)) <= {int, float}:
        return _nested_slowly(value, most)
    return array.astype(np.float64, copy=False)


def _nested_slowly(value: list[Any] | tuple[Any, ...], most: int) -> Tensor:
    """Element by element: with the three strings, or to find out what is wrong."""
    shape: list[int] = []
    level: list[Any] = [value]
    while level and isinstance(level[0], list | tuple):
        length = len(level[0])
        if any(not isinstance(row, list | tuple) or len(row) != length for row in level):
            raise NotATensor("its rows are not all of one length")
        shape.append(length)
        if len(shape) > 32:
            raise NotATensor("its lists are nested too deeply")
        if length * len(level) > most:
            raise NotATensor("it has far more numbers than are wanted here")
        level = [one for row in level for one in row]
    numbers = []
    for one in level:
        if isinstance(one, str):
            numbers.append(_number_in(one))
        elif isinstance(one, bool) or not isinstance(one, int | float):
            raise NotATensor("there is something in it that is not a number")
        else:
            numbers.append(float(_number(one)))
    return np.array(numbers, dtype=np.float64).reshape(shape)


def _array_object(value: Mapping[str, Any], most: int) -> Tensor:
    shape, dtype, data = value.get("shape"), value.get("dtype", "float64"), value.get("data")
    buffer = data.get("buffer") if isinstance(data, Mapping) else None
    if not isinstance(shape, list) or not isinstance(buffer, str) or dtype not in _DTYPES:
        raise NotATensor("it is no array object: it wants shape, dtype and data.buffer")
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape):
        raise NotATensor("its shape is not a list of sizes")
    if len(shape) > 32 or math.prod(shape) > most:
        raise NotATensor("it has far more numbers than are wanted here")
    kind = np.dtype(_DTYPES[dtype])
    try:
        held = base64.b64decode(buffer, validate=True)
    except (binascii.Error, ValueError):
        raise NotATensor("its buffer is not base64") from None
    if len(held) != math.prod(shape) * kind.itemsize:
        raise NotATensor("its buffer has not as many bytes as its shape and dtype say")
    return np.frombuffer(held, kind).reshape(shape).astype(np.float64)[()]


def read_submission(document: object, truth: Truth) -> Submission:
    """The submission in a JSON document, held against the task's wires. Raises nothing."""
    found = Submission(answers=[Answer() for _ in truth.points])
    if isinstance(document, NotJson):
        found.reason = document.reason
        return found
    if not isinstance(document, Mapping):
        found.reason = "the submission is not a JSON object"
        return found
    given_id = document.get("id")
    if isinstance(given_id, str | int) and not isinstance(given_id, bool):
        found.id = _clean(str(given_id)[:_MAX_ID])
    expression = document.get("expression")
    if expression is not None:
        if isinstance(expression, str) and len(expression) <= _MAX_EXPRESSION:
            found.expression = expression
        else:
            _note(found, "the expression can't be used: it is not a text of moderate length")
    _read_answer(document, truth, found, 0)
    points = document.get("points", [])
    if not isinstance(points, list) or not all(isinstance(one, Mapping) for one in points):
        _note(found, "points is not a list of objects, and was not looked at")
        points = []
    for number, one in enumerate(points[: len(truth.points) - 1], start=1):
        _read_answer(one, truth, found, number)
    known = {"id", "gradients", "values", "points", "expression"}
    for member in document:
        if member not in known:
            _note(found, f"'{str(member)[:40]}' is no part of a submission, and was not looked at")
    return found


def _read_answer(document: Mapping[Any, Any], truth: Truth, found: Submission, number: int) -> None:
    """Gradients and values of one point into the submission's answer for it."""
    answer = found.answers[number]
    circuit = truth.circuit

    def put_gradient(wire: str, tensor: Tensor) -> None:
        if np.shape(tensor) != circuit.shape(wire):
            answer.faults[wire] = Fault("wrong_shape", _shapes(tensor, circuit.shape(wire)))
            answer.misshapen[wire] = tensor
        elif _unexpectedly_odd(tensor, truth.points[number].gradients[wire]):
            answer.faults[wire] = Fault("not_finite", "it has NaN or infinity in it")
        else:
            answer.gradients[wire] = tensor

    def put_value(wire: str, tensor: Tensor) -> None:
        if np.shape(tensor) != circuit.shape(wire):
            answer.value_faults[wire] = Fault("wrong_shape", _shapes(tensor, circuit.shape(wire)))
        elif _unexpectedly_odd(tensor, truth.points[number].values[wire]):
            answer.value_faults[wire] = Fault("not_finite", "it has NaN or infinity in it")
        else:
            answer.values[wire] = tensor

    gradients = truth.points[number].gradients
    _read_entries(document, "gradients", truth, found, gradients, answer.faults, put_gradient)
    floating = {w: v for w, v in truth.points[number].values.items() if np.asarray(v).dtype != bool}
    _read_entries(document, "values", truth, found, floating, answer.value_faults, put_value)


def _read_entries(
    document: Mapping[Any, Any],
    member: str,
    truth: Truth,
    found: Submission,
    wanted: Mapping[str, Tensor],
    faults: dict[str, Fault],
    put: Callable[[str, Tensor], None],
) -> None:
    entries = document.get(member)
    if entries is None:
        return
    if not isinstance(entries, Mapping):
        _note(found, f"{member} is not an object of node names and numbers")
        return
    for name, value in entries.items():
        wire = truth.wire(name) if isinstance(name, str) else None
        if wire is None or wire not in wanted:
            meant = _meant(str(name)[:80], wanted)
            hint = f": did you mean '{meant}'?" if meant else "; it was not looked at"
            _note(found, f"{member}: no '{str(name)[:40]}' is asked for{hint}")
            continue
        try:
            tensor = read_tensor(value, truth.circuit.shape(wire))
        except NotATensor as error:
            faults[wire] = Fault("missing", f"it can't be read: {error}")
            continue
        put(wire, tensor)


def _meant(name: str, wanted: Iterable[str]) -> str | None:
    """The wire whose gradient people also call by this name: `dw`, `grad_w`, `W` for `w`."""
    core = _DECORATION.sub("", name)
    for spelling in (name, core):
        for wire in wanted:
            if wire == spelling or wire.lower() == spelling.lower():
                return wire
    return next(iter(get_close_matches(core, list(wanted), 1, 0.75)), None)


def _shapes(tensor: Tensor, wanted: Shape) -> str:
    return f"its shape is {_shape(np.shape(tensor))}; it has to be {_shape(wanted)}"


def _shape(shape: Shape) -> str:
    return str(shape) if shape else "that of a single number"


def _unexpectedly_odd(tensor: Tensor, expected: Tensor) -> bool:
    if isinstance(tensor, float):
        return not math.isfinite(tensor) and bool(np.isfinite(expected))
    return not bool(np.all(np.isfinite(tensor))) and bool(
        np.all(np.isfinite(np.asarray(expected, np.float64)))
    )


def _note(found: Submission, text: str) -> None:
    if len(found.notes) < MAX_NOTES:
        found.notes.append(_clean(text))


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which no UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
