"""What can be wrong with a graph or with computing it.

    EngineError
    ├── GraphError         one or more faults of the graph or of its inputs
    ├── LimitExceeded      the request asks for more than a limit allows
    ├── DeadlineExceeded   the time for the request ran out
    └── Cancelled          nobody waits for the answer any more

A fault names the place (node, operator, JSON pointer inside the graph) and never
repeats a value that was sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where.

    `code` is stable and documented; `pointer` is an RFC 6901 pointer relative to the
    graph ("/nodes/2/inputs/0") or, when it starts with "#", to the whole request
    ("#/inputs/x").
    """

    code: str
    detail: str
    node: str | None = None
    op: str | None = None
    pointer: str | None = None
    shapes: tuple[Shape, ...] | None = None
    hint: str | None = None
    cycle: tuple[str, ...] | None = None
    line: int | None = None
    column: int | None = None


class EngineError(Exception):
    """The root of everything the engine raises on purpose."""


class GraphError(EngineError):
    """The graph, or what was given for its inputs, is wrong; `faults` lists how."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.detail for fault in self.faults[:3]))


class OperatorError(EngineError):
    """Raised by an operator's shape rule; the builder turns it into a Fault with its place."""

    def __init__(
        self,
        detail: str,
        *,
        code: str = "shape_mismatch",
        hint: str | None = None,
        shapes: tuple[Shape, ...] | None = None,
    ) -> None:
        self.fault = Fault(code, detail, hint=hint, shapes=shapes)
        super().__init__(detail)

    def at(self, node: str | None, op: str, pointer: str | None) -> Fault:
        """The fault with its place: `node` of operator `op`, at `pointer`."""
        detail = f"{op} '{node}': {self.fault.detail}" if node else f"{op}: {self.fault.detail}"
        return replace(self.fault, detail=detail, node=node, op=op, pointer=pointer)


class LimitExceeded(EngineError):
    """`limit` names the setting, `allowed` is its value, `asked` what the request needs."""

    def __init__(self, limit: str, allowed: int, asked: int) -> None:
        self.limit = limit
        self.allowed = allowed
        self.asked = asked
        super().__init__(f"{limit} is limited to {allowed}; the request needs {asked}")


class DeadlineExceeded(EngineError):
    """The request's time ran out between two nodes."""


class Cancelled(EngineError):
    """The client hung up; the work was dropped between two nodes."""


def escaped(name: str) -> str:
    """A name as a part of a JSON pointer, cut where it is long (RFC 6901)."""
    return name[:64].replace("~", "~0").replace("/", "~1")


def fault(code: str, detail: str, **place: object) -> GraphError:
    """A GraphError of one fault."""
    return GraphError([Fault(code, detail, **place)])  # type: ignore[arg-type]
