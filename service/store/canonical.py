"""Canonical JSON: one text for one value, so that content can be its own address.

RFC 8785 (JSON Canonicalization Scheme), with two decisions where it would lose meaning:

- Negative zero is written `-0.0`. RFC 8785 writes `0`, which is another graph: 1/x differs.
- An integer that no double holds exactly is refused, as RFC 8785's number model demands;
  one that a double does hold is written as ECMAScript writes that double, however large.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

MAX_DEPTH = 200
_EXACT = 2**53
_INEXACT = "an integer beyond 2^53 that no double holds exactly"


class NotCanonical(ValueError):
    """The value has no canonical JSON: not JSON, too deep, or an integer that isn't exact."""


def canonical_json(value: Any) -> str:
    """The canonical JSON of a value made of dict, list, tuple, str, int, float, bool, None.

    Raises NotCanonical for anything else, for NaN and infinities, for lone surrogates and
    for integers that are not exact as a double.
    """
    try:
        return orjson.dumps(_plain(value, 0)).decode()
    except TypeError as error:
        raise NotCanonical("not a JSON value") from error


def content_id(text: str) -> str:
    """`sha256:` and the hexadecimal digest of the text in UTF-8."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any, depth: int) -> Any:
    """`value` in the form that orjson prints canonically."""
    kind = type(value)
    if kind is float:
        return _float(value)
    if kind is int:
        return value if -_EXACT < value < _EXACT else _big(value)
    if kind is str or kind is bool or value is None:
        return value
    if depth == MAX_DEPTH:
        raise NotCanonical(f"nested more than {MAX_DEPTH} deep")
    if kind is list or kind is tuple:
        return [_plain(item, depth + 1) for item in value]
    if kind is dict:
        try:
            # RFC 8785, 3.2.3: members in the order of their names' UTF-16 code units.
            names = sorted(value, key=_utf16)
        except (AttributeError, UnicodeEncodeError) as error:
            raise NotCanonical("a member's name is not Unicode text") from error
        return {name: _plain(value[name], depth + 1) for name in names}
    raise NotCanonical(f"{kind.__name__} is not JSON")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


def _big(value: int) -> Any:
    try:
        double = float(value)
    except OverflowError:
        raise NotCanonical(_INEXACT) from None
    # What this module itself wrote for a double is read back as an integer of the same
    # digits, which may not be exact; any other inexact integer was meant as it stands.
    if int(double) != value and ecmascript_number(double) != str(value):
        raise NotCanonical(_INEXACT)
    return _float(double)


def _float(value: float) -> Any:
    """A float as ECMAScript's Number::toString has it; -0.0 keeps its sign."""
    if value.is_integer():
        if value == 0:
            return _fragment("-0.0") if str(value)[0] == "-" else 0
        if -_EXACT < value < _EXACT:
            return int(value)
    elif 1e-4 <= abs(value) < _EXACT:
        return value
    return _fragment(ecmascript_number(value))


def _fragment(text: str) -> orjson.Fragment:
    return orjson.Fragment(text.encode())


def ecmascript_number(value: float) -> str:
    """ECMA-262, Number::toString: the shortest digits, placed as ECMAScript places them."""
    if value != value or value in (float("inf"), float("-inf")):
        raise NotCanonical("NaN and infinities are not JSON")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to the power of `point`.
    point = len(whole + fraction) - len(fraction) + int(exponent or 0)
    point -= len(whole + fraction) - len((whole + fraction).lstrip("0"))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    shown = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{sign}{shown}e{'+' if power > 0 else '-'}{abs(power)}"
