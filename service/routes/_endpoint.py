"""What a compute endpoint is: bytes in, checked work out; then the work, bytes out.

The parts around it (the way in from HTTP, the command line, tests) use nothing else:

    work = endpoint.read(body, context, may_block)   # parse and check; raises what is wrong
    work.cost                                        # known before anything is computed
    answer = work.run(control)                       # compute and write: JSON bytes

Both steps are plain functions that may run in any thread. What they raise is turned into
a problem document by `service.errors.problem`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec
from pydantic import BaseModel

from service.engine.control import Control
from service.wire.context import Context, WouldBlock

__all__ = ["Context", "Cost", "Endpoint", "Read", "Work", "WouldBlock"]


class Cost(NamedTuple):
    """What a piece of work takes, estimated before it runs.

    `flops` counts floating-point operations of about a nanosecond each, with what the
    interpreter and the writing of the answer take counted in the same unit; `output_bytes`
    is the size of the answer, roughly; `nodes` that of the graph.
    """

    flops: int
    output_bytes: int
    nodes: int = 0


class Work(NamedTuple):
    """A checked request, ready to run once. `run` gives the answer as JSON in UTF-8."""

    cost: Cost
    run: Callable[[Control | None], bytes]


class Read(Protocol):
    """Parses and checks a body. Raises WouldBlock when it may not block and would have to."""

    def __call__(self, body: bytes, context: Context, may_block: bool = True, /) -> Work: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One POST path: how it is read, and what the OpenAPI document says of it.

    `request` is the msgspec struct of the body, `response` the model that documents the
    answer; `examples` names pairs of files in openapi/examples, `NAME.request.json` and
    `NAME.response.json`.
    """

    path: str
    summary: str
    description: str
    read: Read
    request: type[msgspec.Struct]
    response: type[BaseModel]
    examples: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def answer(self, body: bytes, context: Context, control: Control | None = None) -> bytes:
        """Read and run in one go, in the caller's thread."""
        return self.read(body, context, True).run(control)
