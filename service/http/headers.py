"""Response headers that every answer carries, made once."""

from __future__ import annotations

from collections.abc import Sequence

Header = tuple[bytes, bytes]

NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
CLOSE: Header = (b"connection", b"close")

PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    b"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors "
)
"""For the pages: everything from here, nothing inline; then those who may frame them."""

DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'"
"""For everything else, should a browser show it."""

PAGES: tuple[Header, ...] = (
    NOSNIFF,
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_UNFRAMED: Header = (b"x-frame-options", b"DENY")


class Secured:
    """Adds the security headers. Pages may be framed by `ancestors`, origins; by none if empty."""

    def __init__(self, ancestors: Sequence[str]) -> None:
        self._framed = bool(ancestors)
        self._policy = PAGE_POLICY + (" ".join(ancestors) or "'none'").encode()

    def __call__(self, headers: Sequence[Header]) -> list[Header]:
        """`headers` and the security headers that they lack."""
        present = {name.lower(): value for name, value in headers}
        page = present.get(b"content-type", b"").startswith(b"text/html")
        wanted = PAGES if page and self._framed else (*PAGES, _UNFRAMED)
        extended = list(headers)
        extended += [header for header in wanted if header[0] not in present]
        if b"content-security-policy" not in present:
            policy = self._policy if page else DATA_POLICY
            extended.append((b"content-security-policy", policy))
        return extended
