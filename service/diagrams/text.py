"""Names with subscripts, and how wide text is.

Widths are those of the widest font of the style's font list, so that what is reserved
is enough with any of them.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"([^\W\d_]+)_?(\d{1,4})|([^\W\d_]{1,3})_([^\W_]{1,6})")

_NARROW = dict.fromkeys("ijlI|!.,:;'() []", 0.42) | dict.fromkeys('ftr-"/', 0.46)
_WIDE = dict.fromkeys("mwMW@%—", 1.0) | dict.fromkeys("ABCDEFGHKLNOPQRSTUVXYZ&+=<>~−×·*…", 0.84)


def split_name(name: str) -> tuple[str, str]:
    """A name and its subscript: w0 and w_0 are w with 0, W_in is W with in."""
    found = _NAME.fullmatch(name)
    if found is None:
        return name, ""
    return (found[1], found[2]) if found[1] else (found[3], found[4])


def width(text: str, size: float) -> float:
    """An upper bound for the width of `text` at a font size."""
    return size * sum(_char(c) for c in text)


def _char(c: str) -> float:
    if c in _NARROW:
        return _NARROW[c]
    if c in _WIDE:
        return _WIDE[c]
    return 0.64 if ord(c) < 0x2E80 else 1.05


def name_width(name: str, size: float) -> float:
    """The width of a name drawn with its subscript."""
    base, subscript = split_name(name)
    return width(base, size) + width(subscript, size * SUBSCRIPT)


def clipped(text: str, limit: int) -> str:
    """`text`, or its start and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


SUBSCRIPT = 0.72
"""The size of a subscript, relative to its name."""
