"""Numbers and tensors as short text, as the note writes them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SHOWN_ELEMENTS = 3
"""Tensors of up to this many elements are written out on their wire."""


def number(x: float | bool | int) -> str:
    """Two decimals where they tell enough, more digits or an exponent where they don't."""
    if isinstance(x, bool | np.bool_):
        return "true" if x else "false"
    if isinstance(x, int | np.integer):
        return str(int(x))
    x = float(x)
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    size = abs(x)
    if size == 0:
        return "0.00"
    if size >= 1e5 or size < 5e-4:
        mantissa, exponent = f"{x:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if size < 0.0995:
        return f"{x:.2g}" if len(f"{x:.2g}") >= len(f"{x:.2f}") else f"{x:.2f}"
    return f"{x:.2f}"


def tensor(x: Any) -> str:
    """A number, the elements of a small tensor, or the norm of a larger one."""
    if np.ndim(x) == 0:
        return number(np.asarray(x).item())
    array = np.asarray(x)
    if array.size <= SHOWN_ELEMENTS:
        return _nested(array.tolist())
    if array.dtype.kind == "f":
        with np.errstate(all="ignore"):
            norm = float(np.sqrt(np.sum(np.square(array, dtype=np.float64))))
        return f"‖{number(norm)}‖"
    return "…"


def _nested(x: Any) -> str:
    if isinstance(x, list):
        return "[" + ", ".join(map(_nested, x)) + "]"
    return number(x)


def full(x: Any) -> str:
    """A number to full precision; a tensor's shape, range and mean: for tooltips."""
    array = np.asarray(x)
    if array.ndim == 0:
        item = array.item()
        return f"{item:.10g}" if isinstance(item, float) else str(item).lower()
    text = f"shape {array.shape}"
    if array.size and array.dtype.kind in "fi":
        with np.errstate(all="ignore"):
            low, high, mean = array.min(), array.max(), array.mean(dtype=np.float64)
        text += f", from {low:.4g} to {high:.4g}, mean {mean:.4g}"
    if 0 < array.size <= 12:
        text += ": " + _nested(array.tolist())
    return text
