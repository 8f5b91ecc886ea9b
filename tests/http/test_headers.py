"""The security headers of pages and of everything else."""

from __future__ import annotations

from service.http.headers import DATA_POLICY, PAGE_POLICY, secured


def test_pages_may_load_what_is_here_and_data_nothing() -> None:
    for kind, policy in ((b"text/html; charset=utf-8", PAGE_POLICY), (b"text/plain", DATA_POLICY)):
        headers = dict(secured([(b"Content-Type", kind)]))
        assert headers[b"content-security-policy"] == policy
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"x-frame-options"] == b"DENY"


def test_what_a_route_says_itself_stays() -> None:
    own = [(b"content-security-policy", b"default-src *"), (b"x-frame-options", b"SAMEORIGIN")]
    assert secured(own)[:2] == own
    assert len({name for name, _ in secured(own)}) == len(secured(own))
