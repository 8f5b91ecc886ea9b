"""What can be wrong with a request before there is a graph to look at.

    SchemaError
    ├── MalformedJson      the body isn't one JSON document in UTF-8 (400)
    ├── TooDeep            the JSON is nested too deeply (413)
    └── GraphNotFound      no registered graph has this id or name (404)

Everything that is wrong inside a well-formed document is a `GraphError` with one
`Fault` for each place. None of these repeats a value that was sent.
"""

from __future__ import annotations


class SchemaError(Exception):
    """The root. `code` is the stable error code."""

    code = "invalid_request"


class MalformedJson(SchemaError):
    """`detail` says in words what no JSON reader takes; `line` and `column` where, if known."""

    code = "malformed_json"

    def __init__(self, detail: str, line: int | None = None, column: int | None = None) -> None:
        self.detail = detail
        self.line = line
        self.column = column
        super().__init__(detail)


class TooDeep(SchemaError):
    """The JSON is nested more than `allowed` levels deep."""

    code = "limit_exceeded"

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        super().__init__(f"the JSON is nested more than {allowed} levels deep")


class GraphNotFound(SchemaError):
    """No graph is registered under this id or name."""

    code = "graph_not_found"

    def __init__(self) -> None:
        super().__init__("no graph is registered under this id or name")
