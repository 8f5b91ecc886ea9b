"""One table from what went wrong to a status, a code and a title; one problem document.

    Exception
    ├── EngineError            of the engine: graphs, limits, deadlines (service.engine.errors)
    ├── SchemaError            of the wire: not JSON, too deep (service.wire.errors)
    ├── Refusal                of the service around it: access, media types (service.codes)
    ├── HTTPException          of Starlette: no such path, wrong method
    ├── ValidationError …      of Pydantic, FastAPI and msgspec: the request's form
    └── anything else          500, with nothing of its text in the answer

The fast way in front, FastAPI's handlers and the command line all answer with
`problem(exception)`, an `application/problem+json` document (RFC 9457). Nothing that a
client sent is repeated in it but the name of a place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from service.codes import CODES, Code, Refusal
from service.engine.errors import (
    Cancelled,
    DeadlineExceeded,
    EngineError,
    Fault,
    GraphError,
    LimitExceeded,
    OperatorError,
)
from service.wire.answers import encode
from service.wire.errors import MalformedJson, SchemaError, TooDeep

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100
"""Faults that one document lists; `errors_total` counts them when there are more."""
_MAX_TEXT = 600


_BY_STATUS: dict[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    409: "conflict",
    412: "precondition_failed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    429: "too_many_requests",
    431: "header_too_large",
    503: "overloaded",
    504: "deadline_exceeded",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A finished refusal: the HTTP status, further headers, and the document."""

    code: Code
    detail: str
    errors: tuple[Mapping[str, Any], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    members: Mapping[str, Any] | None = None

    @property
    def status(self) -> int:
        return self.code.status

    def document(self, *, base: str = "", request_id: str | None = None) -> dict[str, Any]:
        """The members of the document. `base` is put in front of the type's path."""
        document: dict[str, Any] = {
            "type": f"{base}/problems/{self.code.slug}",
            "title": self.code.title,
            "status": self.code.status,
            "code": self.code.name,
            "detail": self.detail,
        }
        if self.members:
            document.update(self.members)
        if self.errors:
            document["errors"] = self.errors
        if request_id is not None:
            document["request_id"] = request_id
        return document

    def body(self, *, base: str = "", request_id: str | None = None) -> bytes:
        """The document as UTF-8 JSON."""
        return encode(self.document(base=base, request_id=request_id))


def problem(error: BaseException) -> Problem:
    """The problem that describes `error`; for an unforeseen exception, `internal`."""
    match error:
        case GraphError():
            return from_faults(error.faults)
        case OperatorError():
            return from_faults([error.fault])
        case LimitExceeded():
            return Problem(
                CODES["limit_exceeded"],
                _short(str(error)),
                members={
                    "limit": error.limit,
                    "allowed": error.allowed,
                    "asked": error.asked,
                },
            )
        case DeadlineExceeded():
            return Problem(CODES["deadline_exceeded"], "the time for this request ran out")
        case Cancelled():
            return Problem(CODES["request_timeout"], "the client hung up")
        case Refusal():
            return Problem(
                error.code,
                _short(error.detail),
                headers=error.headers,
                members=error.members,
            )
        case MalformedJson():
            place = {"line": error.line, "column": error.column} if error.line else None
            return Problem(CODES["malformed_json"], _short(error.detail), members=place)
        case TooDeep():
            return Problem(
                CODES["limit_exceeded"],
                str(error),
                members={"limit": "json_depth", "allowed": error.allowed},
            )
        case SchemaError():
            return Problem(CODES[error.code], _short(str(error)))
        case EngineError():
            return Problem(CODES["invalid_request"], _short(str(error)))
        case MemoryError():
            detail = "this request needs more memory than there is"
            return Problem(CODES["limit_exceeded"], detail, members={"limit": "memory"})
        case RecursionError():
            detail = "the request is nested too deeply"
            return Problem(CODES["limit_exceeded"], detail, members={"limit": "nesting"})
    return _foreign(error)


def from_faults(faults: Iterable[Fault]) -> Problem:
    """The problem that lists these faults; the first one gives code and status."""
    faults = tuple(faults)
    first = CODES.get(faults[0].code, CODES["invalid_request"])
    detail = faults[0].detail
    if len(faults) > 1:
        detail = f"{_short(detail)} (and {len(faults) - 1} more)"
    more = {"errors_total": len(faults)} if len(faults) > MAX_ERRORS else None
    return Problem(first, _short(detail), tuple(map(_item, faults[:MAX_ERRORS])), members=more)


def _item(fault: Fault) -> dict[str, Any]:
    item: dict[str, Any] = {"code": fault.code, "detail": _short(fault.detail)}
    if fault.node is not None:
        item["node"] = _short(fault.node)
    if fault.op is not None:
        item["op"] = _short(fault.op)
    if fault.pointer is not None:
        pointer = fault.pointer
        item["pointer"] = pointer[1:] if pointer.startswith("#") else "/graph" + pointer
    if fault.shapes is not None:
        item["shapes"] = fault.shapes
    if fault.hint is not None:
        item["hint"] = _short(fault.hint)
    if fault.cycle is not None:
        item["cycle"] = fault.cycle
    if fault.line is not None:
        item["line"] = fault.line
        item["column"] = fault.column
    return item


def _foreign(error: BaseException) -> Problem:
    """Exceptions of the libraries, recognised without importing what isn't loaded."""
    module = type(error).__module__.partition(".")[0]
    if module == "msgspec":
        import msgspec

        if isinstance(error, msgspec.ValidationError):
            return Problem(CODES["invalid_request"], "a member is missing or of the wrong type")
        return Problem(CODES["malformed_json"], "the body is not valid JSON")
    if module in {"pydantic", "pydantic_core", "fastapi"} and hasattr(error, "errors"):
        return _validation(error.errors())
    if hasattr(error, "status_code") and module in {"starlette", "fastapi"}:
        return _http(error)
    return Problem(CODES["internal"], "the service failed; its log has more under the request's id")


def _http(error: Any) -> Problem:
    status = int(error.status_code)
    name = _BY_STATUS.get(status, "internal" if status >= 500 else "bad_request")
    code = CODES[name]
    given = error.detail if isinstance(error.detail, str) else ""
    generic = given in {"", HTTPStatus(status).phrase} or status >= 500
    headers = tuple((str(k).lower(), str(v)) for k, v in (error.headers or {}).items())
    return Problem(code, _short(code.meaning if generic else given), headers=headers)


def _validation(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """What Pydantic found, without the input, the URL and the context that it adds."""
    if any(str(error["type"]) == "json_invalid" for error in errors):
        return Problem(CODES["malformed_json"], "the body is not valid JSON")
    items = []
    for error in errors[:MAX_ERRORS]:
        place = list(error["loc"])
        where = "the request"
        if place and place[0] in {"body", "query", "path", "header", "cookie"}:
            where = str(place.pop(0))
        items.append(
            {
                "code": "invalid_request",
                "detail": _MESSAGES.get(str(error["type"]), _short(str(error["msg"]))),
                "pointer": _pointer(place),
                **({} if where in {"body", "the request"} else {"in": where}),
            }
        )
    first = items[0]["detail"] if items else "the request is not valid"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    place_text = f" at {items[0]['pointer']}" if items and items[0]["pointer"] else ""
    return Problem(
        CODES["invalid_request"],
        _short(f"{first}{place_text}{more}"),
        tuple(items),
        members={"errors_total": len(errors)} if len(errors) > MAX_ERRORS else None,
    )


_MESSAGES = {
    "missing": "this member is required",
    "extra_forbidden": "there is no member of this name",
}


def _pointer(place: Iterable[object]) -> str:
    """An RFC 6901 pointer; each part is cut, since a client may have named it."""
    return "".join("/" + str(part)[:64].replace("~", "~0").replace("/", "~1") for part in place)[
        :_MAX_TEXT
    ]


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


def problem_schemas() -> dict[str, Any]:
    """The JSON schemas of a problem document and its parts, for the OpenAPI document."""
    codes = {
        "type": "string",
        "enum": list(CODES),
        "description": "\n".join(
            f"- `{code.name}` ({code.status}): {code.meaning}" for code in CODES.values()
        ),
    }
    item = {
        "type": "object",
        "description": "One fault and its place.",
        "required": ["code", "detail"],
        "properties": {
            "code": {"$ref": "#/components/schemas/ErrorCode"},
            "detail": {"type": "string"},
            "node": {"type": "string", "description": "The node's id."},
            "op": {"type": "string", "description": "The operator as it was written."},
            "pointer": {
                "type": "string",
                "description": "RFC 6901, from the request's root.",
            },
            "in": {
                "type": "string",
                "description": "query, path or header; else the body.",
            },
            "shapes": {
                "type": "array",
                "items": {"type": "array", "items": {"type": "integer"}},
            },
            "hint": {"type": "string"},
            "cycle": {"type": "array", "items": {"type": "string"}},
            "line": {"type": "integer"},
            "column": {"type": "integer"},
        },
    }
    document = {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"$ref": "#/components/schemas/ErrorCode"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/ProblemFault"}},
            "errors_total": {
                "type": "integer",
                "description": f"How many there are, when more than {MAX_ERRORS}.",
            },
            "limit": {"type": "string", "description": "The limit that was passed."},
            "allowed": {"type": "integer", "description": "The limit's value."},
            "asked": {"type": "integer", "description": "What the request would need."},
            "line": {"type": "integer", "description": "Of the body, where known."},
            "column": {"type": "integer"},
            "request_id": {"type": "string"},
        },
    }
    return {"Problem": document, "ProblemFault": item, "ErrorCode": codes}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses=` for these statuses, each naming the codes that it may carry."""
    return {
        status: {
            "description": "; ".join(
                f"`{code.name}`: {code.meaning}" for code in CODES.values() if code.status == status
            ),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
