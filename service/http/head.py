"""The head of a request: what HTTP does not allow in it, and headers that come in parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from service.codes import Refusal
from service.http.headers import Header

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*)(:[0-9]*)?")
_SINGLE = (
    b"authorization",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"origin",
    b"x-api-key",
)
"""Headers that have one value: a second one that differs says another thing."""


def check_head(headers: Mapping[bytes, bytes], version: str) -> None:
    """Raise Refusal (bad_request) without a host that can be one, or with two different keys."""
    host = headers.get(b"host")
    if host is None:
        if version == "1.1":
            raise Refusal("bad_request", "a request has a Host header")
    elif not _is_host(host):
        raise Refusal("bad_request", "the Host header is not a host and a port")
    authorization = headers.get(b"authorization")
    if authorization is not None and b"x-api-key" in headers:
        kind, _, key = authorization.partition(b" ")
        if kind.lower() == b"bearer" and key.strip() != headers[b"x-api-key"]:
            raise Refusal("bad_request", "Authorization and X-API-Key have different keys")


def joined(raw: Sequence[Header]) -> dict[bytes, bytes]:
    """The headers of a request in which some are repeated, as RFC 9110 (section 5.3) joins them.

    Raises Refusal (bad_request) for a second host, and for two values of what has one.
    """
    headers: dict[bytes, bytes] = {}
    for name, value in raw:
        known = headers.get(name)
        if known is None:
            headers[name] = value
        elif name == b"host" or (name in _SINGLE and known != value):
            raise Refusal("bad_request", f"the header {name.decode('latin-1')} came twice")
        elif name not in _SINGLE:
            headers[name] = known + b", " + value
    return headers


@lru_cache(maxsize=256)
def _is_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None
