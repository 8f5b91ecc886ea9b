"""What the client raises.

ServiceError           the service answered with a problem document
├── InvalidRequest     422, 400: the graph or the request is wrong; `node` says where
├── TooLarge           413: a limit, which `limit` names
├── NotAuthorized      401, 403
├── NotFound           404
├── Overloaded         429, 503: and trying again did not help
└── DeadlineExceeded   504
Unreachable            nobody answered
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `code` is stable; `pointer` is an RFC 6901 JSON pointer."""

    code: str
    detail: str
    node: str | None = None
    op: str | None = None
    pointer: str | None = None
    shapes: tuple[tuple[int, ...], ...] | None = None
    hint: str | None = None
    cycle: tuple[str, ...] | None = None
    line: int | None = None
    column: int | None = None


class ServiceError(Exception):
    """A problem document (RFC 9457) as an exception.

    `code` is the stable code of the first fault, `faults` lists them all, `node` and `op`
    are those of the first; `document` is everything that was sent.
    """

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.document = dict(document)
        self.code = str(document.get("code", "internal"))
        self.detail = str(document.get("detail", f"HTTP status {status}"))
        self.faults = tuple(map(_fault, document.get("errors", ())))
        super().__init__(f"{self.code}: {self.detail}")

    @property
    def node(self) -> str | None:
        """The id of the node where the first fault is."""
        return self.faults[0].node if self.faults else None

    @property
    def op(self) -> str | None:
        """The operator of that node."""
        return self.faults[0].op if self.faults else None

    @property
    def limit(self) -> str | None:
        """The limit that was passed."""
        found = self.document.get("limit")
        return None if found is None else str(found)

    @property
    def request_id(self) -> str | None:
        """The id under which the service's log has this request."""
        found = self.document.get("request_id")
        return None if found is None else str(found)


class InvalidRequest(ServiceError):
    """The graph, its inputs or the request itself is wrong."""


class TooLarge(ServiceError):
    """The request passes a limit of the service."""


class NotAuthorized(ServiceError):
    """A key is missing, unknown, or not for this."""


class NotFound(ServiceError):
    """No graph, task or operator under this id or name."""


class Overloaded(ServiceError):
    """The service has no room now; the client has tried as often as it was told to."""


class DeadlineExceeded(ServiceError):
    """The computation took longer than the service allows."""


class Unreachable(Exception):
    """No answer: no connection, or it broke, or it took too long."""


_KINDS: dict[int, type[ServiceError]] = {
    400: InvalidRequest,
    401: NotAuthorized,
    403: NotAuthorized,
    404: NotFound,
    413: TooLarge,
    422: InvalidRequest,
    429: Overloaded,
    503: Overloaded,
    504: DeadlineExceeded,
}


def error_of(status: int, document: Any) -> ServiceError:
    """The exception for an answer with this status."""
    if not isinstance(document, dict):
        document = {}
    return _KINDS.get(status, ServiceError)(status, document)


def _fault(item: Mapping[str, Any]) -> Fault:
    shapes = item.get("shapes")
    cycle = item.get("cycle")
    return Fault(
        code=str(item.get("code", "")),
        detail=str(item.get("detail", "")),
        node=item.get("node"),
        op=item.get("op"),
        pointer=item.get("pointer"),
        shapes=None if shapes is None else tuple(map(tuple, shapes)),
        hint=item.get("hint"),
        cycle=None if cycle is None else tuple(cycle),
        line=item.get("line"),
        column=item.get("column"),
    )
