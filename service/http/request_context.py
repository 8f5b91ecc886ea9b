"""What the pipeline knows of one request while it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

from service.settings import ApiKey

CONTEXT = "service.request_context"
"""The key of the RequestContext in the ASGI scope."""
ABORT = "service.abort"
"""The key of the function that drops the connection, where the server has one for it."""


class RequestContext:
    """One request: what its answer, its count and its log line need.

    `key` is None when the service is open to all. `held` counts the bytes of the body that
    are in memory; `unpacked` says whether they came with gzip. `sent` counts the bytes of the
    answer, `unsent` those that are reserved for an answer that isn't read yet. `refused` is
    the error that was answered with a refusal, `code` its code.
    """

    __slots__ = (
        "code",
        "headers",
        "held",
        "key",
        "refused",
        "request_id",
        "sent",
        "started",
        "status",
        "trace_id",
        "unpacked",
        "unsent",
    )

    def __init__(self, headers: Mapping[bytes, bytes], request_id: bytes) -> None:
        self.started = perf_counter()
        self.headers = headers
        self.request_id = request_id
        self.key: ApiKey | None = None
        self.code: str | None = None
        self.trace_id: str | None = None
        self.status = 0
        self.held = 0
        self.sent = 0
        self.unsent = 0
        self.unpacked = False
        self.refused: Exception | None = None
