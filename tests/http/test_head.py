"""What HTTP does not allow in a head, and headers that come in parts."""

from __future__ import annotations

import pytest

from service.codes import Refusal
from service.http.head import check_head, joined


def test_lists_are_joined_and_the_same_twice_is_once() -> None:
    raw = [
        (b"accept", b"text/html"),
        (b"x-api-key", b"a"),
        (b"accept", b"application/json"),
        (b"x-api-key", b"a"),
    ]
    assert joined(raw) == {b"accept": b"text/html, application/json", b"x-api-key": b"a"}


@pytest.mark.parametrize("name", ["host", "x-api-key", "authorization", "content-type"])
def test_two_values_of_what_has_one_are_refused(name: str) -> None:
    with pytest.raises(Refusal, match=name):
        joined([(name.encode(), b"a"), (b"accept", b"*/*"), (name.encode(), b"b")])


@pytest.mark.parametrize(
    "host",
    [b"x", b"x:80", b"127.0.0.1:8000", b"[::1]", b"[fe80::1%25a]:1", b""],
)
def test_hosts_that_can_be_one(host: bytes) -> None:
    check_head({b"host": host}, "1.1")


@pytest.mark.parametrize(
    "host", [b"a b", b"a/b", b"x:y", b"::1", b"a@b", b"a,b:1:2", b"\xff", b"[x]"]
)
def test_hosts_that_cannot(host: bytes) -> None:
    with pytest.raises(Refusal, match="Host"):
        check_head({b"host": host}, "1.1")


def test_a_host_is_needed_since_http_1_1() -> None:
    check_head({}, "1.0")
    with pytest.raises(Refusal, match="Host"):
        check_head({}, "1.1")


@pytest.mark.parametrize(
    ("authorization", "right"),
    [(b"Bearer a", True), (b"bearer  a ", True), (b"Basic eDp5", True), (b"Bearer b", False)],
)
def test_two_different_keys_are_refused(authorization: bytes, right: bool) -> None:
    headers = {b"host": b"x", b"authorization": authorization, b"x-api-key": b"a"}
    if right:
        check_head(headers, "1.1")
    else:
        with pytest.raises(Refusal, match="different keys"):
            check_head(headers, "1.1")
