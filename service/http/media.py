"""Media types: what a request carries, what its client takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from service.codes import Refusal

JSON = "application/json"
OFFERED = (
    JSON,
    "application/problem+json",
    "image/svg+xml",
    "text/plain",
    "application/x-ndjson",
)
"""What a route may answer with that doesn't say more about it."""


def check_content(headers: Mapping[bytes, bytes]) -> bool:
    """Refuse a body that isn't JSON in UTF-8; one of no declared type is taken as JSON.

    Returns whether it is packed with gzip.
    """
    declared = headers.get(b"content-type")
    if declared is not None and declared != b"application/json" and not _is_json(declared):
        raise Refusal("unsupported_media_type", "the body must be application/json in UTF-8")
    coding = headers.get(b"content-encoding")
    if coding is None:
        return False
    coding = coding.strip().lower()
    if coding in {b"gzip", b"x-gzip"}:
        return True
    if coding not in {b"", b"identity"}:
        raise Refusal(
            "unsupported_media_type",
            "a body may be compressed with gzip, and not otherwise",
            headers=(("accept-encoding", "gzip"),),
        )
    return False


@lru_cache(maxsize=256)
def _is_json(declared: bytes) -> bool:
    kind, *parameters = declared.lower().split(b";")
    kind = kind.strip()
    if (
        kind
        and kind != b"application/json"
        and not (kind.startswith(b"application/") and kind.endswith(b"+json"))
    ):
        return False
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"charset":
            return value.strip().strip(b'"') in {b"utf-8", b"utf8", b"us-ascii"}
    return True


def check_accept(headers: Mapping[bytes, bytes], offered: Sequence[str]) -> None:
    """Refuse when Accept excludes every media type of `offered`."""
    accept = headers.get(b"accept")
    if accept is None or accept == b"*/*" or accept == b"application/json":
        return
    if not acceptable(accept, tuple(offered)):
        raise Refusal("not_acceptable", "this resource can be sent as " + " or ".join(offered))


@lru_cache(maxsize=256)
def acceptable(accept: bytes, offered: tuple[str, ...]) -> bool:
    """Whether the Accept header admits one of `offered` (RFC 9110, section 12.5.1)."""
    ranges: list[tuple[str, float]] = []
    for part in accept.decode("latin-1").lower().split(","):
        kind, *parameters = part.split(";")
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 1.0
        if kind.strip():
            ranges.append((kind.strip(), quality))
    if not ranges:
        return True
    return any(_quality(kind, ranges) > 0 for kind in offered)


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality that the most specific matching range gives to `kind`."""
    main = kind.partition("/")[0]
    for pattern in (kind, main + "/*", "*/*"):
        for name, quality in ranges:
            if name == pattern:
                return quality
    return 0.0
