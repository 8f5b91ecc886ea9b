"""What a piece of source text comes to: a node of the graph, or something known already.

Python's own numbers, tuples, lists, ranges, slices, None and `...`, and NumPy's arrays, are
what is known while the graph is built; the classes below are all the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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


def plain_numbers(value: Value) -> bool:
    """Whether a list or tuple, however deep, holds known numbers alone.

    The brackets bound the recursion: a text is refused where they are nested deeply.
    """
    return all(
        plain_numbers(part) if isinstance(part, list | tuple) else is_number(part) for part in value
    )


def as_array(value: Value) -> np.ndarray | None:
    """The array of a rectangular list of numbers, floats if it isn't of truth values.

    None for a ragged or an empty one.
    """
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if not array.size or array.dtype.kind not in "biuf":
        return None
    return array if array.dtype.kind == "b" else array.astype(np.float64)
