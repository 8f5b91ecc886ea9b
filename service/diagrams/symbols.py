"""What stands inside a gate: the note's signs where it has one, else the operator's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.diagrams import numbers

_SIGNS: Mapping[str, str] = {
    "add": "+",
    "subtract": "−",
    "multiply": "*",
    "divide": "/",
    "negative": "*-1",
    "reciprocal": "1/x",
    "maximum": "max",
    "minimum": "min",
    "matmul": "@",
    "sum": "Σ",
    "sigmoid": "σ",
    "sqrt": "√x",
    "square": "x²",
    "pow": "^",
    "matrix_transpose": "ᵀ",
    "identity": "=",
    "abs": "|x|",
    "less": "<",
    "less_equal": "≤",
    "greater": ">",
    "greater_equal": "≥",
    "equal": "==",
    "not_equal": "≠",
    "logical_and": "and",
    "logical_or": "or",
    "logical_not": "not",
    "output_of": ".",
}
_BEFORE = {"add": "+{}", "subtract": "{}−", "multiply": "*{}", "divide": "{}/x", "pow": "{}ˣ"}
_AFTER = {"add": "+{}", "subtract": "−{}", "multiply": "*{}", "divide": "/{}", "pow": "^{}"}
_POWERS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def symbol(op: str, literals: Sequence[float | bool | None], attrs: Mapping[str, Any]) -> str:
    """The sign of operator `op`; `literals` holds its literal inputs at their places.

    A literal becomes part of the sign, as in the note's +1 and *-1 gates.
    """
    if len(literals) == 2 and op in _AFTER:
        first, second = literals
        if first is None and second is not None:
            if op == "pow" and float(second).is_integer():
                return "x" + str(int(second)).translate(_POWERS)
            return _AFTER[op].format(short(second))
        if first is not None and second is None:
            return _BEFORE[op].format(short(first))
    if len(literals) == 2 and op in ("maximum", "minimum"):
        known = [x for x in literals if x is not None]
        if len(known) == 1:
            return f"{_SIGNS[op]}({short(known[0])}, ·)"
    return _SIGNS.get(op, op)


def short(literal: float | bool) -> str:
    """A literal as one writes it: 2 rather than 2.00."""
    if isinstance(literal, bool):
        return str(literal).lower()
    text = f"{literal:.4g}"
    return text if len(text) <= 8 else numbers.number(literal)
