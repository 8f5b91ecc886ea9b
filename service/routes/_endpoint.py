"""What a compute endpoint is: bytes in, checked work out; then the work, bytes out.

The parts around it (the way in from HTTP, the command line, tests) use nothing else:

    work = endpoint.read(body, context)      # parse and check; raises what is wrong
    work.cost                                # known before anything is computed
    answer = work.run(control)               # compute and write: JSON bytes

Both steps are plain functions that may run in any thread. What they raise is turned into
a problem document by `service.errors.problem`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from service.engine.control import DEFAULT_LIMITS, Control, Limits
from service.schemas.graph_cache import GraphCache


class WouldBlock(Exception):
    """`read` was told not to wait, and needs something slow (a registered graph).

    Call it again with `may_block=True` in a thread.
    """


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work takes, estimated before it runs.

    `flops` counts floating-point operations of about a nanosecond each, with what the
    interpreter spends per node counted in the same unit; `output_bytes` is the size of
    the answer, roughly.
    """

    flops: int
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Work:
    """A checked request, ready to run once. `run` gives the answer as JSON in UTF-8."""

    cost: Cost
    run: Callable[[Control | None], bytes]


@dataclass(frozen=True, slots=True)
class Context:
    """What all requests of a process share.

    `find_graph` gives the JSON text of a registered graph for its id or name, and raises
    `service.schemas.errors.GraphNotFound` when there is none; it may block. None means
    that nothing can be registered.
    """

    limits: Limits = DEFAULT_LIMITS
    graphs: GraphCache = field(default_factory=GraphCache)
    find_graph: Callable[[str], bytes] | None = None
    max_output_bytes: int = 256 * 1024 * 1024
    max_batch: int = 10_000_000
    max_depth: int = 64


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One POST path: how it is read, and what the OpenAPI document says of it.

    `read(body, context, may_block)` parses and checks a body and gives its Work. `request`
    and `response` document the two; `examples` names files in openapi/examples.
    """

    path: str
    summary: str
    description: str
    read: Callable[[bytes, Context, bool], Work]
    request: type[BaseModel]
    response: type[BaseModel]
    statuses: tuple[int, ...] = (400, 401, 403, 404, 406, 408, 413, 415, 422, 429, 503, 504)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def answer(self, body: bytes, context: Context, control: Control | None = None) -> bytes:
        """Read and run in one go, in the caller's thread."""
        return self.read(body, context, True).run(control)
