"""What the front needs of a compute endpoint, and what an endpoint may do beyond it.

`service.routes._endpoint.Endpoint` is the usual one. One that has more to say may also
have, as attributes or methods:

    scope       the scope that a key needs (default "compute")
    media       the media types that it may answer with (default JSON alone)
    for_query   given the query string, the endpoint as that query has it
    refuse      given an exception, an Answer in place of the problem document, or None
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from service.engine.control import Control


@dataclass(frozen=True, slots=True)
class Answer:
    """What `run` gives when it isn't plain JSON with status 200."""

    body: bytes
    media: str = "application/json"
    status: int = 200


class Cost(Protocol):
    """What work takes: `flops` of about a nanosecond each."""

    @property
    def flops(self) -> int: ...


class Work(Protocol):
    """A checked request, ready to run once."""

    @property
    def cost(self) -> Any: ...

    @property
    def run(self) -> Callable[[Control | None], bytes | Answer]: ...


class Endpoint(Protocol):
    """A POST path. `read(body, context, may_block)` gives Work, or raises what is wrong.

    Where it may not block it raises an exception named WouldBlock instead, and is called
    again in a thread.
    """

    @property
    def path(self) -> str: ...

    @property
    def read(self) -> Callable[[bytes, Any, bool], Any]: ...
