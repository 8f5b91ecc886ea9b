"""Response headers that every answer carries, made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


class Cors:
    """Cross-origin access for the origins that the settings name; none by default."""

    def __init__(self, origins: Sequence[str]) -> None:
        self.active = bool(origins)
        self._any = "*" in origins
        self._origins = {origin.encode() for origin in origins}

    def answer(self, headers: Mapping[bytes, bytes]) -> tuple[Header, ...]:
        """What an answer to a request with these headers carries."""
        origin = headers.get(b"origin")
        if origin is None:
            return ()
        if self._any:
            allowed = b"*"
        elif origin in self._origins:
            allowed = origin
        else:
            return ((b"vary", b"origin"),)
        return (
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", b"x-request-id, retry-after, etag"),
            (b"vary", b"origin"),
        )

    def preflight(self, headers: Mapping[bytes, bytes], allow: bytes) -> tuple[Header, ...]:
        """What the answer to a preflight request carries, `allow` being the path's methods."""
        common = self.answer(headers)
        if len(common) < 2:
            return common
        return (
            *common,
            (b"access-control-allow-methods", allow),
            (
                b"access-control-allow-headers",
                b"authorization, content-type, x-api-key, x-request-id, if-none-match",
            ),
            (b"access-control-max-age", b"600"),
        )
