"""Reading bodies: counted while they arrive, and not waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from service.codes import Refusal
from service.engine.errors import Cancelled
from service.http.asgi import Receive
from service.http.compression import unpacked
from service.http.patience import Patience
from service.http.pools import Pools
from service.settings import Settings

DISCARD_SECONDS = 3.0
"""A refused body is read and dropped for so long, so that its sender reads the answer."""
_CLOSE = (("connection", "close"),)
_MOST_PACKED = 1_032


class Bodies:
    """Reads the bodies of all requests of a process."""

    def __init__(self, settings: Settings, pools: Pools) -> None:
        self._max = settings.max_body_bytes
        self._inline = settings.inline_body_bytes
        self._pools = pools
        self.patience = Patience(settings.body_seconds)

    async def read(
        self, receive: Receive, headers: Mapping[bytes, bytes], most: int | None = None
    ) -> bytes:
        """The whole body, whose length the caller releases from the pools when done.

        `most` is a limit of the path's own, in bytes.
        Raises Refusal (body_too_large, request_timeout, overloaded), and Cancelled when
        the client went away.
        """
        most = self._max if most is None else most
        declared = headers.get(b"content-length")
        if declared is not None and _number(declared) > most:
            await self._refuse(receive, headers, most)
        task = self.patience.begin()
        try:
            message = await receive()
            if message["type"] != "http.request":
                raise Cancelled
            body: bytes = message.get("body", b"")
            if message.get("more_body", False):
                return await self._gather(receive, headers, body, most)
        except asyncio.CancelledError:
            if self.patience.ran_out(task):
                raise Refusal(
                    "request_timeout", "the body did not arrive in time", headers=_CLOSE
                ) from None
            raise
        finally:
            self.patience.end(task)
        if len(body) > most:
            raise _too_large(most)
        self._pools.hold(len(body))
        return body

    async def unpack(self, packed: bytes, most: int | None = None) -> bytes:
        """The content of a gzip body that was read, held in its place.

        Raises Refusal (bad_request, body_too_large, overloaded).
        """
        most = self._max if most is None else most
        # Deflate packs 1,032 bytes in one at most, so this is what it can come to.
        bound = min(most, _MOST_PACKED * len(packed))
        self._pools.hold(bound)
        size = 0
        try:
            if bound <= 8 * self._inline:
                body = unpacked(packed, most)
            else:
                body = await self._pools.light.submit(lambda: unpacked(packed, most))
            if body is None:
                raise _too_large(most)
            size = len(body)
            return body
        finally:
            self._pools.release(bound - size)

    async def _gather(
        self, receive: Receive, headers: Mapping[bytes, bytes], first: bytes, most: int
    ) -> bytes:
        chunks: list[bytes] = []
        count = 0
        chunk, more = first, True
        try:
            while True:
                if count + len(chunk) > most:
                    if not more:
                        raise _too_large(most)
                    await self._refuse(receive, headers, most)
                self._pools.hold(len(chunk))
                count += len(chunk)
                chunks.append(chunk)
                if not more:
                    return b"".join(chunks)
                message = await receive()
                if message["type"] != "http.request":
                    raise Cancelled
                chunk, more = message.get("body", b""), message.get("more_body", False)
        except BaseException:
            self._pools.release(count)
            raise

    async def _refuse(self, receive: Receive, headers: Mapping[bytes, bytes], most: int) -> None:
        """Raise body_too_large, after a while of dropping what still arrives.

        A connection that is closed with unread bytes is reset, and its client may never
        see the answer. A client that waits for `100 Continue` has sent nothing yet.
        """
        task = asyncio.current_task()
        if task is not None:
            self.patience.end(task)  # too large is the reason now, whatever the time
        if headers.get(b"expect", b"").lower() != b"100-continue":
            budget = 4 * most
            with suppress(TimeoutError):
                async with asyncio.timeout(DISCARD_SECONDS):
                    while budget > 0:
                        message = await receive()
                        budget -= len(message.get("body", b""))
                        if not message.get("more_body", False):
                            break
        raise _too_large(most)


def _too_large(most: int) -> Refusal:
    return Refusal(
        "body_too_large",
        f"the body has more than {most} bytes",
        headers=_CLOSE,
        limit="max_body_bytes",
        allowed=most,
    )


def _number(declared: bytes) -> int:
    try:
        return int(declared)
    except ValueError:
        return 0
