"""Sending an answer: counted, in pieces, and given up when nobody reads it."""

from __future__ import annotations

import asyncio

from service.engine.errors import Cancelled
from service.http.asgi import Message, Send
from service.http.patience import Patience
from service.http.pools import Pools
from service.http.request_context import RequestContext

PIECE = 262_144
"""So many bytes are handed to the server at once; it takes more when these are on their way."""


class Writing:
    """A `send` for one request. Without `content` the answer's body is left out, as of HEAD.

    Raises Cancelled when the client reads nothing for too long.
    """

    __slots__ = ("_content", "_context", "_patience", "_pools", "_send")

    def __init__(
        self,
        context: RequestContext,
        patience: Patience,
        pools: Pools,
        send: Send,
        *,
        content: bool = True,
    ) -> None:
        self._context = context
        self._patience = patience
        self._pools = pools
        self._send = send
        self._content = content

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body = message.get("body", b"")
        self._context.sent += len(body)
        if not self._content:
            await self._send({**message, "body": b""})
        elif len(body) <= PIECE and not message.get("more_body", False):
            await self._send(message)  # The server takes it as it is: nobody is waited for.
        else:
            await self._wait(message, body)

    async def _wait(self, message: Message, body: bytes) -> None:
        """Send a body, or a part of a stream, as it is read."""
        task = self._patience.begin()
        try:
            if len(body) > PIECE:
                message = await self._in_pieces(message, body)
            await self._send(message)
        except asyncio.CancelledError:
            if not self._patience.ran_out(task):
                raise
            self._context.refused = Cancelled()
            raise self._context.refused from None
        finally:
            self._patience.end(task)

    async def _in_pieces(self, message: Message, body: bytes) -> Message:
        """Send all but the last piece of a body; the message with that one."""
        last = (len(body) - 1) // PIECE * PIECE
        # All of it is held until then. What was reserved for it may have been less.
        more = max(0, len(body) - self._context.unsent)
        self._pools.unsent += more
        try:
            for start in range(0, last, PIECE):
                piece = body[start : start + PIECE]
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
                self._patience.begin()
        finally:
            self._pools.unsent -= more
        return {**message, "body": body[last:]}
