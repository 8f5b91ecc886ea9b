"""Reading bodies: counted while they arrive, and not waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from service.codes import Refusal
from service.engine.errors import Cancelled
from service.http.asgi import Receive
from service.http.pools import Pools
from service.settings import Settings

DISCARD_SECONDS = 3.0
"""A refused body is read and dropped for so long, so that its sender reads the answer."""
_CLOSE = (("connection", "close"),)


class Bodies:
    """Reads the bodies of all requests of a process.

    One look at all of them twice a second ends the slow ones, which costs a request
    nothing; a timer for each would cost more than a small gradient does.
    """

    def __init__(self, settings: Settings, pools: Pools) -> None:
        self._max = settings.max_body_bytes
        self._seconds = settings.body_seconds
        self._pools = pools
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()

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
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._reading[task] = loop.time()
        try:
            message = await receive()
            if message["type"] != "http.request":
                raise Cancelled
            body: bytes = message.get("body", b"")
            if message.get("more_body", False):
                return await self._gather(receive, headers, body, most)
        except asyncio.CancelledError:
            if task in self._late and not task.uncancel():
                raise Refusal(
                    "request_timeout", "the body did not arrive in time", headers=_CLOSE
                ) from None
            raise
        finally:
            self._reading.pop(task, None)
            if self._late:
                self._late.discard(task)
        if len(body) > most:
            raise _too_large(most)
        self._pools.hold(len(body))
        return body

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
            self._reading.pop(task, None)  # too large is the reason now, whatever the time
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

    def sweep(self, now: float) -> None:
        """End the reading of bodies that began too long ago."""
        for task, since in list(self._reading.items()):
            if now - since > self._seconds and task not in self._late:
                self._late.add(task)
                task.cancel()


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
