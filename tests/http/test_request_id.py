"""Request ids: the client's own if harmless, and otherwise unique."""

from __future__ import annotations

import pytest

from service.http.request_id import RequestIds


@pytest.mark.parametrize("given", [b"abc-1", b"a/b:c=d+e._", b"x" * 128])
def test_a_harmless_one_is_kept(given: bytes) -> None:
    assert RequestIds().of(given) == given


@pytest.mark.parametrize("given", [None, b"", b'a"b', b"a b", b"x" * 129, b"a\n", b"\xff"])
def test_others_are_replaced_by_new_ones(given: bytes | None) -> None:
    one, other = RequestIds(), RequestIds()
    made = {one.of(given), one.of(given), other.of(given)}
    assert len(made) == 3
    assert given not in made
