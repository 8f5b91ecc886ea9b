"""Canonical JSON against RFC 8785 and the rfc8785 package."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from service.store.canonical import NotCanonical, canonical_json, content_id, ecmascript_number

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | FLOATS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


def has_negative_zero(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_negative_zero, value.values()))
    if isinstance(value, list):
        return any(map(has_negative_zero, value))
    return isinstance(value, float) and value == 0 and math.copysign(1, value) < 0


@given(VALUES)
def test_agrees_with_the_reference_implementation(value: Any) -> None:
    if not has_negative_zero(value):
        assert canonical_json(value) == rfc8785.dumps(value).decode()


@given(FLOATS)
def test_numbers_are_written_as_ecmascript_writes_them(value: float) -> None:
    assert ecmascript_number(value) == rfc8785.dumps(value).decode()


@given(VALUES)
def test_is_a_fixed_point(value: Any) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


# RFC 8785, appendix B: IEEE 754 bits and their text.
@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555555", "333333333.3333333"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
    ],
)
def test_the_numbers_of_the_standard(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(value) == text


def test_members_are_sorted_by_utf16_code_units() -> None:
    # U+1F600 begins with the surrogate D83D, which comes before U+FB33.
    assert canonical_json({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'


def test_negative_zero_keeps_its_sign_for_one_over_it_is_another_number() -> None:
    assert canonical_json({"value": -0.0}) == '{"value":-0.0}'
    assert content_id(canonical_json(-0.0)) != content_id(canonical_json(0.0))


def test_equal_numbers_have_one_text() -> None:
    assert canonical_json([1, 1.0, 1e0]) == "[1,1,1]"


def test_integers_that_a_double_holds_are_written_exactly() -> None:
    assert canonical_json(2**53) == "9007199254740992"
    assert canonical_json(2**63) == "9223372036854776000"


@pytest.mark.parametrize("value", [2**53 + 1, 10**400, math.nan, math.inf, {1: 2}, {"a": object()}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical_json(value)


def test_deep_nesting_is_refused_without_a_recursion_error() -> None:
    value: Any = 0
    for _ in range(5000):
        value = [value]
    with pytest.raises(NotCanonical, match="deep"):
        canonical_json(value)
