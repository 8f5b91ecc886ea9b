"""What a piece of source text comes to: a node of the graph, or something known already.

Python's own numbers, tuples, lists, ranges, slices, None and `...`, and NumPy's arrays, are
what is known while the graph is built; the classes below are all the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from service.engine.expression.syntax import refused

if TYPE_CHECKING:
    from service.engine.expression.tape import Tape

_DEEPEST = 32
_SOME = 1000
MAX_FAULTS = 20
"""Faults of one text that are listed."""


class Unreadable(Exception):
    """A part of the text was refused and its fault noted."""


class Node:
    """A node of the graph, by its position."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Part(Node):
    """One output of a node that has several."""

    __slots__ = ("output",)

    def __init__(self, position: int, output: int) -> None:
        self.position = position
        self.output = output


class Known(Node):
    """A node whose value is known as long as the inputs at `roots` keep their defaults.

    Where the value is needed to build the graph, those inputs become constants.
    """

    __slots__ = ("roots", "value")

    def __init__(self, position: int, value: Any, roots: frozenset[int]) -> None:
        self.position = position
        self.value = value
        self.roots = roots


class Several:
    """A node with several outputs, which is no value by itself. `count` may be unknown."""

    __slots__ = ("count", "op", "position")

    def __init__(self, position: int, op: str, count: int | None) -> None:
        self.position = position
        self.op = op
        self.count = count


class Text:
    """A literal string."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class DType:
    """A name that stands for a dtype, such as `float` and `np.float64`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Unknown:
    """What depends on shapes that nobody has said yet, or on a part that was refused."""


UNKNOWN = Unknown()

Value = Any
"""A Node, one of the classes of this module, or what Python and NumPy call by themselves."""

NUMBERS = (int, float, bool)


def is_number(value: Value) -> bool:
    """Whether this is a number that is known, and not a node."""
    return type(value) in NUMBERS


def is_index(value: Value) -> bool:
    """Whether this is an integer that is known."""
    return type(value) is int


def every(tape: Tape, value: Value, test: Callable[[Value], bool]) -> bool:
    """Whether all parts of a list or tuple, however deep, pass a test.

    Lists may hold one another many times over: what is gone through is counted on the tape.
    """
    paths, seen = [iter(value)], 0
    while paths:
        for part in paths[-1]:
            seen += 1
            if seen == _SOME:
                tape.spend(seen)
                seen = 0
            if isinstance(part, list | tuple):
                if len(paths) == _DEEPEST:
                    raise refused(f"lists nested deeper than {_DEEPEST}", "np.stack some of them")
                paths.append(iter(part))
                break
            if not test(part):
                tape.spend(seen)
                return False
        else:
            paths.pop()
    tape.spend(seen)
    return True


def as_array(tape: Tape, value: Value) -> np.ndarray | None:
    """The array of a rectangular list of numbers, integers if all are; None for others."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if not array.size or array.dtype.kind not in "biuf":
        return None
    plain = array.dtype.kind == "b" or (array.dtype.kind == "i" and every(tape, value, is_index))
    return array if plain else array.astype(np.float64)
