"""What stands between the parsing of a request and its execution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from service.engine.control import Control
from service.http.media import JSON
from service.wire.context import Context


@dataclass(frozen=True, slots=True)
class Answer:
    """What `execute` gives when it isn't plain JSON with status 200, or has more headers."""

    body: bytes
    media: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Cost(NamedTuple):
    """What a request takes, estimated before it is executed.

    `flops` counts floating-point operations of about a nanosecond each, with what the
    interpreter and the writing of the answer take counted in the same unit; `output_bytes`
    is the size of the answer, roughly; `nodes` that of the graph.
    """

    flops: int
    output_bytes: int
    nodes: int = 0


class PreparedRequest(NamedTuple):
    """A checked request, ready to be executed once."""

    cost: Cost
    execute: Callable[[Control | None], bytes | Answer]


class Parse(Protocol):
    """Parses and checks a body.

    Raises `service.wire.context.WouldBlock` when it may not block and would have to; it is
    called again in a thread then.
    """

    def __call__(
        self, body: bytes, context: Context, may_block: bool = True, /
    ) -> PreparedRequest: ...
