"""Literals in a syntax tree: numbers, strings, and lists of numbers."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from service.engine.numpy_compat import MODULES, SUBMODULES

LARGEST_INTEGER = 2**53
"""Integers up to here are floats exactly, and print in a bounded number of digits."""


def dotted(at: ast.Attribute) -> str | None:
    """The module in front of an attribute (`np` of `np.linalg.inv`), if it is one we accept."""
    owner = at.value
    if isinstance(owner, ast.Attribute) and owner.attr in SUBMODULES:
        owner = owner.value
    return owner.id if isinstance(owner, ast.Name) and owner.id in MODULES else None


def plain(at: ast.expr) -> Any:
    """A literal number, or list or tuple of such, with integers kept; None for anything else.

    The brackets bound the recursion: the text was refused if they were nested deeply.
    """
    sign = 1
    while isinstance(at, ast.UnaryOp) and isinstance(at.op, ast.USub | ast.UAdd):
        sign = -sign if isinstance(at.op, ast.USub) else sign
        at = at.operand
    if isinstance(at, ast.Constant) and isinstance(at.value, int | float):
        return at.value if isinstance(at.value, bool) else sign * at.value
    if isinstance(at, ast.Attribute) and dotted(at) and at.attr == "inf":
        return "inf" if sign > 0 else "-inf"
    if isinstance(at, ast.List | ast.Tuple):
        parts = [plain(part) for part in at.elts]
        return None if any(part is None for part in parts) else parts
    return None


def literal(at: ast.expr) -> Any:
    """A float, a bool, or the array of a rectangular list of either; None for anything else."""
    value = plain(at)
    if isinstance(value, bool):
        return value
    try:
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, list):
            array = np.asarray(value)
            if array.size and array.dtype.kind in "biuf":
                return array if array.dtype.kind == "b" else array.astype(np.float64)
    except (ValueError, OverflowError):  # ragged, too deep, or too large for a float
        return None
    return None


def integer(at: ast.expr) -> int | None:
    """A literal integer of bounded size; None for anything else."""
    value = plain(at)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER:
        return value
    return None


def text(at: ast.expr) -> str | None:
    """A literal string; None for anything else."""
    return at.value if isinstance(at, ast.Constant) and isinstance(at.value, str) else None


def is_none(at: ast.expr) -> bool:
    """Whether this is None or np.newaxis."""
    return (isinstance(at, ast.Constant) and at.value is None) or (
        isinstance(at, ast.Attribute) and at.attr == "newaxis"
    )


def is_ellipsis(at: ast.expr) -> bool:
    return isinstance(at, ast.Constant) and at.value is ...
