"""Numbers and tensors as short text: three significant digits, and exact ones where they tell.

The page writes its numbers in the same way (static/playground/numbers.js).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SHOWN_ELEMENTS = 3
"""Tensors of up to this many elements are written out on their wire."""
_LARGE, _SMALL = 1e5, 1e-3
"""From the one on and below the other a power of ten is split off."""
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LOWERED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def number(x: float | bool | int) -> str:
    """Three significant digits, whole parts in full; 2 and 0.5 only where that is exact."""
    if isinstance(x, bool | np.bool_):
        return "true" if x else "false"
    x = float(x)
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    size = abs(x)
    if size == 0:
        return "0"
    if size >= _LARGE or size < _SMALL:
        mantissa, exponent = f"{x:.1e}".split("e")
        text = f"{mantissa.removesuffix('.0')}·10{str(int(exponent)).translate(_RAISED)}"
    else:
        # Of 9.996 the first rounding gives 10.00, which has a digit too many.
        size = abs(float(f"{x:.2e}"))
        text = f"{x:.{max(0, 2 - math.floor(math.log10(size)))}f}"
        if "." in text and float(text) == x:
            text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−")


def plain(text: str | None) -> str | None:
    """A number's text as programs read it: -1.2e-5."""
    if text is None:
        return None
    text = text.replace("−", "-")
    mantissa, power, exponent = text.partition("·10")
    return f"{mantissa}e{exponent.translate(_LOWERED)}" if power else text


def tensor(x: Any) -> str:
    """A number, the elements of a small tensor, or the norm of a larger one."""
    if np.ndim(x) == 0:
        return number(np.asarray(x).item())
    array = np.asarray(x)
    if array.size <= SHOWN_ELEMENTS:
        return _nested(array.tolist())
    if array.dtype.kind == "f":
        return f"‖{number(norm(array))}‖"
    return "…"


def norm(array: Any) -> float:
    """The square root of the sum of the squares of all elements."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.sum(np.square(array, dtype=np.float64))))


def _nested(x: Any) -> str:
    if isinstance(x, list):
        return "[" + ", ".join(map(_nested, x)) + "]"
    return number(x)


def full(x: Any) -> str:
    """A number to full precision; a tensor's shape, range and mean: for tooltips."""
    array = np.asarray(x)
    if array.ndim == 0:
        item = array.item()
        return repr(item) if isinstance(item, float) else str(item).lower()
    text = f"shape {array.shape}"
    if array.size and array.dtype.kind in "fi":
        with np.errstate(all="ignore"):
            low, high, mean = array.min(), array.max(), array.mean(dtype=np.float64)
        text += f", from {low:.4g} to {high:.4g}, mean {mean:.4g}"
    if 0 < array.size <= 12:
        text += ": " + _nested(array.tolist())
    return text
