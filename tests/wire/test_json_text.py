"""JSON text: members of one name, strictness, depth, the collector."""

import gc
import json
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.collector import CollectorHeldBack
from service.wire.errors import MalformedJson, TooDeep
from service.wire.json_text import (
    check_depth,
    check_members_once,
    shown,
    strict_json,
)

DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


@given(DOCUMENTS.filter(lambda d: "inf" not in repr(d)))
def test_what_json_can_write_is_read(document: object) -> None:
    try:
        text = json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert strict_json(text, 500) == document


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"\xff", "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\udc00\\ud800"', "surrogate"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "two members named 'c'"),
        (b'{"a": 1, "\\u0061": 2}', "two members named 'a'"),
        (b"[1 2]", "line 1, column 4"),
        (b"[1]\n\n x", "line 3, column 2"),
    ],
)
def test_what_is_not_json_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        strict_json(body, 64)
    assert words in caught.value.detail


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" + b"0" * 400, b"-1" + b"0" * 6000])
def test_a_number_out_of_range_keeps_its_place(number: bytes) -> None:
    (value,) = strict_json(b"[" + number + b"]", 64)
    assert abs(float(value)) == float("inf")


def test_depth_is_counted_outside_of_strings() -> None:
    check_depth(b'["' + b"[" * 100 + b'", "\\"[[[["]', 3)
    check_depth(b"[[[]]]" * 100, 3)
    with pytest.raises(TooDeep):
        check_depth(b"[[[[]]]]", 3)
    with pytest.raises(TooDeep):
        strict_json(b"[" * 1_000_000, 64)


def test_colons_in_strings_are_no_members() -> None:
    text = b'{"a:b": "c:d", "e": 1}'
    check_members_once(text, text.count(b":"), 2)
    with pytest.raises(MalformedJson):
        check_members_once(b'{"a": 1, "a": 2}', 2, 1)


def test_bytes_that_are_not_utf_8_in_an_unknown_member_are_refused() -> None:
    with pytest.raises(MalformedJson, match="UTF-8"):
        check_members_once(b'{"a\x9b": 1, "b": 2, "b": 3}', 3, 2)


def test_a_name_is_shown_short_and_printable() -> None:
    assert shown("abc") == "abc"
    assert len(shown("x" * 1000)) == 64
    assert shown("a\x00\ud800b") == "a\ufffd\ufffdb"


def test_the_collector_is_on_again_when_the_last_reader_is_done() -> None:
    assert gc.isenabled()
    with CollectorHeldBack(10):
        assert gc.isenabled()
    with CollectorHeldBack(10**6):
        assert not gc.isenabled()

        def other() -> None:
            with CollectorHeldBack(10**6):
                pass

        thread = Thread(target=other)
        thread.start()
        thread.join()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        with CollectorHeldBack(10**6):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
