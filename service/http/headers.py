"""Response headers that every answer carries, made once."""

from __future__ import annotations

from collections.abc import Sequence

Header = tuple[bytes, bytes]

NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
CLOSE: Header = (b"connection", b"close")

PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    b"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)
"""For the pages: everything from here, nothing inline."""

DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'"
"""For everything else, should a browser show it."""

PAGES: tuple[Header, ...] = (
    NOSNIFF,
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


def secured(headers: Sequence[Header]) -> list[Header]:
    """`headers` and the security headers that they lack."""
    present = {name.lower(): value for name, value in headers}
    extended = list(headers)
    extended += [header for header in PAGES if header[0] not in present]
    if b"content-security-policy" not in present:
        page = present.get(b"content-type", b"").startswith(b"text/html")
        policy = PAGE_POLICY if page else DATA_POLICY
        extended.append((b"content-security-policy", policy))
    return extended
