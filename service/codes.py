"""Every error code with its status and meaning, and the refusal that carries one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Code:
    """A stable error code: its HTTP status, its title and what it means."""

    name: str
    status: int
    title: str
    meaning: str

    @property
    def slug(self) -> str:
        return self.name.replace("_", "-")


def _table(*rows: tuple[int, str, str, str]) -> dict[str, Code]:
    return {name: Code(name, status, title, meaning) for status, name, title, meaning in rows}


CODES: dict[str, Code] = _table(
    (400, "malformed_json", "Not JSON", "The body isn't one JSON document in UTF-8."),
    (400, "bad_request", "Bad request", "The request isn't well-formed HTTP."),
    (
        401,
        "unauthorized",
        "No valid key",
        "A key is needed, and none or an unknown one came.",
    ),
    (403, "forbidden", "Not allowed", "The key has no scope for what was asked."),
    (404, "not_found", "No such resource", "Nothing is found at this path."),
    (
        404,
        "graph_not_found",
        "No such graph",
        "No graph is registered under this id or name.",
    ),
    (404, "task_not_found", "No such task", "No grading task is held under this id."),
    (
        404,
        "operator_not_found",
        "No such operator",
        "The catalogue has no operator of this name.",
    ),
    (
        405,
        "method_not_allowed",
        "Wrong method",
        "Allow names the methods of this path.",
    ),
    (
        406,
        "not_acceptable",
        "No such representation",
        "Accept excludes all that can be sent.",
    ),
    (408, "request_timeout", "Request too slow", "The body did not arrive in time."),
    (409, "conflict", "Conflict", "The name is taken by something else."),
    (
        412,
        "precondition_failed",
        "Precondition failed",
        "The resource has another ETag.",
    ),
    (
        413,
        "body_too_large",
        "Body too large",
        "The body has more bytes than are taken.",
    ),
    (
        413,
        "limit_exceeded",
        "Over a limit",
        "Says which limit, its value and what was asked.",
    ),
    (
        415,
        "unsupported_media_type",
        "Wrong media type",
        "A body is JSON, compressed with gzip or not at all.",
    ),
    (
        422,
        "invalid_request",
        "Invalid request",
        "A member is missing, unknown or of wrong type.",
    ),
    (
        422,
        "unknown_operator",
        "Unknown operator",
        "No operator has this name; see the hint.",
    ),
    (422, "unknown_node", "Unknown node", "No node has this id; see the hint."),
    (422, "unknown_input", "Unknown input", "The graph has no input of this name."),
    (422, "duplicate_node", "Duplicate node", "Two nodes have the same id."),
    (
        422,
        "cycle",
        "Cycle",
        "Nodes depend on each other in a circle: `cycle` is its path.",
    ),
    (
        422,
        "arity",
        "Wrong number of inputs",
        "The operator takes another number of inputs.",
    ),
    (
        422,
        "attribute",
        "Bad attribute",
        "An attribute is missing, unknown or of wrong type.",
    ),
    (422, "missing_input", "Missing input", "An input of the graph has no value."),
    (
        422,
        "unused_input",
        "Unused input",
        "A value was given for a name that isn't an input.",
    ),
    (
        422,
        "shape_mismatch",
        "Shapes do not fit",
        "Shapes or ranks don't fit the operator.",
    ),
    (422, "dtype", "Wrong dtype", "The tensor's dtype can't be used here."),
    (
        422,
        "invalid_tensor",
        "Not a tensor",
        "Ragged, not numeric, or its size isn't its shape's.",
    ),
    (422, "empty_graph", "Empty graph", "The graph has no nodes."),
    (
        422,
        "ambiguous_output",
        "Which output?",
        "Several nodes could be the output: name one.",
    ),
    (
        422,
        "not_scalar",
        "Not a scalar",
        "Give a cotangent, or reduce the output to a scalar.",
    ),
    (422, "not_differentiable", "Not differentiable", "The node has no gradient."),
    (422, "not_finite", "Not finite", "This can't be computed from NaN or infinity."),
    (422, "value", "Value out of range", "An operator can't take this value."),
    (
        422,
        "syntax",
        "Syntax error",
        "The expression can't be read at `line` and `column`.",
    ),
    (
        429,
        "too_many_requests",
        "Too many requests",
        "The key's rate is used up; see Retry-After.",
    ),
    (
        431,
        "header_too_large",
        "Head too large",
        "The request's head has too many bytes.",
    ),
    (
        500,
        "internal",
        "Internal error",
        "A fault of the service; the request id finds its log.",
    ),
    (
        503,
        "overloaded",
        "Overloaded",
        "The queue is full: try again after Retry-After.",
    ),
    (503, "not_ready", "Not ready", "The service is starting or about to stop."),
    (
        503,
        "store_unavailable",
        "Store unavailable",
        "The database of graphs and tasks can't be reached now; see Retry-After.",
    ),
    (
        504,
        "deadline_exceeded",
        "Out of time",
        "The computation took longer than allowed.",
    ),
    (
        507,
        "store_full",
        "Store full",
        "There is no room for another graph or task.",
    ),
)
"""Every code, by name. Codes keep their meaning; new ones may be added."""


class Refusal(Exception):
    """The service refuses a request, with a code of `CODES`.

    `headers` go out with the answer (Retry-After, Allow), `members` into the document.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        **members: Any,
    ) -> None:
        self.code = CODES[code]
        self.detail = detail
        self.headers = tuple(headers)
        self.members = members
        super().__init__(detail)
