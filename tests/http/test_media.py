import pytest

from service.codes import Refusal
from service.http.media import acceptable, check_accept, check_content


@pytest.mark.parametrize(
    "declared",
    [
        b"application/json",
        b"Application/JSON; charset=UTF-8",
        b'application/json;charset="utf-8"',
        b"application/vnd.gradient+json",
        b"",
    ],
)
def test_json_is_taken(declared: bytes) -> None:
    assert not check_content({b"content-type": declared})
    assert not check_content({})
    for coding, packed in ((b"gzip", True), (b"X-GZIP ", True), (b"identity", False)):
        assert check_content({b"content-type": declared, b"content-encoding": coding}) is packed


@pytest.mark.parametrize(
    "headers",
    [
        {b"content-type": b"text/plain"},
        {b"content-type": b"application/x-www-form-urlencoded"},
        {b"content-type": b"application/json; charset=utf-16"},
        {b"content-type": b"text/html+json"},
        {b"content-type": b"application/json", b"content-encoding": b"gzip, gzip"},
        {b"content-encoding": b"br"},
    ],
)
def test_anything_else_is_refused(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Refusal) as raised:
        check_content(headers)
    assert raised.value.code.status == 415


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        (b"application/json", True),
        (b"text/html, application/xhtml+xml, */*;q=0.8", True),
        (b"application/*", True),
        (b"text/html", False),
        (b"application/json;q=0", False),
        (b"*/*, application/json;q=0", False),
        (b"application/json;q=nonsense", True),
        (b"", True),
        (b",,;;", True),
    ],
)
def test_accept_is_read_as_http_has_it(accept: bytes, taken: bool) -> None:
    assert acceptable(accept, ("application/json",)) is taken
    if not taken:
        with pytest.raises(Refusal) as raised:
            check_accept({b"accept": accept}, ("application/json",))
        assert raised.value.code.status == 406
