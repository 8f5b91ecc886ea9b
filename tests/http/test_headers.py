"""The security headers of pages and of everything else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from service.http.headers import DATA_POLICY, PAGE_POLICY, Secured
from service.settings import Settings

PAGE = [(b"Content-Type", b"text/html; charset=utf-8")]


def test_pages_may_load_what_is_here_and_data_nothing() -> None:
    secured = Secured(())
    page = PAGE_POLICY + b"'none'"
    for kind, policy in ((b"text/html; charset=utf-8", page), (b"text/plain", DATA_POLICY)):
        headers = dict(secured([(b"Content-Type", kind)]))
        assert headers[b"content-security-policy"] == policy
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"x-frame-options"] == b"DENY"


def test_what_a_route_says_itself_stays() -> None:
    secured = Secured(())
    own = [(b"content-security-policy", b"default-src *"), (b"x-frame-options", b"SAMEORIGIN")]
    assert secured(own)[:2] == own
    assert len({name for name, _ in secured(own)}) == len(secured(own))


def test_a_page_may_be_framed_by_whom_the_settings_name_and_data_by_nobody() -> None:
    secured = Secured(("https://course.example", "https://*.school.example"))
    headers = dict(secured(PAGE))
    assert headers[b"content-security-policy"].endswith(
        b"frame-ancestors https://course.example https://*.school.example"
    )
    assert b"x-frame-options" not in headers
    assert dict(secured([(b"content-type", b"text/plain")]))[b"x-frame-options"] == b"DENY"


@pytest.mark.parametrize("origin", ["https://a.example; script-src *", "a b", "a,b", ""])
def test_an_origin_can_say_nothing_else(origin: str) -> None:
    with pytest.raises(ValidationError):
        Settings(frame_ancestors=(origin,))
