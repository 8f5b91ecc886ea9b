"""A compute operation: a POST path of FastAPI whose work is known before it is done.

`parse(body, context, may_block)` checks a request and gives a PreparedRequest, or raises what
is wrong with it. `prepared.cost` is what it would take, and `prepared.execute(control)` does
it: JSON in UTF-8, or an Answer of another kind. Both are plain functions that may run in any
thread; what they raise becomes a problem document (`service.errors.problem`).

To FastAPI an operation is a route like any other: documented, traced, with the dependencies
and overrides that it was included with. The pipeline may execute it without FastAPI in
between, which gives the same answer sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import Request, Response
from fastapi.routing import APIRoute

from service.engine.control import Control
from service.engine.errors import Cancelled
from service.errors import problem
from service.http import telemetry
from service.http.execution import Execution
from service.http.media import JSON
from service.http.policy import Policy
from service.http.prepared import Answer, Parse
from service.http.request_context import CONTEXT
from service.wire.context import Context

Refuse = Callable[[Exception], Answer | None]
"""Gives the answer that stands in place of an error's problem document, or None."""


class Handler(NamedTuple):
    """How one request of an operation is parsed and refused."""

    parse: Parse
    refuse: Refuse | None = None

    def refusal(self, error: Exception) -> Answer | None:
        """The operation's own form of a refusal; None where the problem document is sent."""
        return None if self.refuse is None else self.refuse(error)


class Operation(APIRoute):
    """A POST path that computes.

    `media` are the media types that it may answer with; None where it negotiates by itself.
    `handler_for` chooses the handler by the ASGI scope of a request, where query, path or
    headers have a say. `request` and `examples` describe it in the OpenAPI document: the
    model of the body, and names of files in openapi/examples.
    """

    policy: Policy | None = None
    """Set by the router that the operation belongs to."""

    def __init__(
        self,
        path: str,
        parse: Parse,
        *,
        summary: str,
        description: str,
        media: Sequence[str] | None = (JSON,),
        refuse: Refuse | None = None,
        handler_for: Callable[[Mapping[str, Any]], Handler] | None = None,
        request: Any = None,
        examples: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        self.handler = Handler(parse, refuse)
        self.handler_for = handler_for
        self.media = None if media is None else tuple(media)
        self.request = request
        self.examples = examples
        name = options.setdefault("name", path.rpartition("/")[2])
        if request is not None:
            options.setdefault("operation_id", name.replace("-", "_"))
        super().__init__(
            path,
            self.answer,
            methods=["POST"],
            summary=summary,
            description=description,
            **options,
        )

    @property
    def parse(self) -> Parse:
        """The parser of a request whose query says nothing."""
        return self.handler.parse

    def compute(self, body: bytes, context: Context, control: Control | None = None) -> bytes:
        """Parse and execute in the caller's thread; the bytes of the answer."""
        answer = self.parse(body, context, True).execute(control)
        return answer.body if isinstance(answer, Answer) else answer

    def choose(self, scope: Mapping[str, Any]) -> Handler:
        """The handler for a request. Raises what is wrong with its query."""
        return self.handler if self.handler_for is None else self.handler_for(scope)

    async def answer(self, request: Request) -> Response:
        """Answer a request that comes through FastAPI."""
        execution: Execution = request.app.state.execution
        handler = self.handler
        headers: dict[str, str] = {}
        try:
            handler = self.choose(request.scope)
            parse, context = telemetry.traced(handler.parse), request.scope[CONTEXT]
            answer = await execution.run(parse, await request.body(), request.receive, context)
        except Cancelled:
            raise
        except Exception as error:
            refusal = handler.refusal(error)
            if refusal is None:
                raise
            request.scope[CONTEXT].refused = error
            headers = dict(problem(error).headers)
            answer = refusal
        if isinstance(answer, bytes):
            answer = Answer(answer)
        # Given as a header, the media type is sent as it stands.
        return Response(
            answer.body,
            answer.status,
            {"content-type": answer.media, **dict(answer.headers), **headers},
        )
