"""Where a request's work runs: on the event loop if it is cheap enough, else in a pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

from service.engine.control import Control
from service.engine.errors import Cancelled, DeadlineExceeded
from service.http.asgi import Receive
from service.http.metrics import Metrics
from service.http.pools import Pools, WorkerPool
from service.http.prepared import Answer, Cost, Parse, PreparedRequest
from service.http.request_context import RequestContext
from service.settings import Settings
from service.wire.context import Context, WouldBlock

Result = TypeVar("Result")

_LARGE_ANSWER = 1024 * 1024
"""Room is looked for, before they are made, for answers of more bytes than this."""
_ROOM_SECONDS = 0.05
"""How often it is looked for."""
_PIECE_BYTES = 65_536
_PIECE_SECONDS = 0.05
"""A piece of a stream is sent when it has so many bytes, or took so long."""


class Execution:
    """Parses and executes the requests of a process, each in the pool that its cost asks for.

    Only small bodies are parsed on the event loop, and only what is known to cost less than
    the hop to a thread is executed there.
    """

    def __init__(
        self, settings: Settings, pools: Pools, metrics: Metrics, context: Context
    ) -> None:
        self._settings = settings
        self._pools = pools
        self._metrics = metrics
        self._context = context

    async def run(
        self, parse: Parse, body: bytes, receive: Receive, request: RequestContext
    ) -> bytes | Answer:
        """The answer to a request.

        Raises what `parse` and `execute` raise, Refusal (overloaded) when the queue is full,
        DeadlineExceeded, and Cancelled when the client hung up.
        """
        settings, pools = self._settings, self._pools
        prepared: PreparedRequest | None = None
        if len(body) <= settings.inline_body_bytes:
            with suppress(WouldBlock):
                prepared = parse(body, self._context, False)
        if prepared is None:
            answer = await self._in_pools(parse, body, receive, request)
        else:
            cost, execute = prepared
            self._count(cost)
            if cost.flops <= settings.inline_flops:
                self._metrics.inline += 1
                return execute(None)
            job = Job(settings.deadline_seconds, receive)
            await self._reserve(cost, job, request)
            answer = await job.run(self._pool(cost), lambda: execute(job.control))
        size = len(answer.body if isinstance(answer, Answer) else answer)
        if size - request.unsent > _LARGE_ANSWER and not pools.has_room(size):
            raise pools.refuse_unsent()
        return answer

    async def _in_pools(
        self, parse: Parse, body: bytes, receive: Receive, request: RequestContext
    ) -> bytes | Answer:
        """Parse in the pool that the size asks for, execute in the one that the cost does."""
        job = Job(self._settings.deadline_seconds, receive)
        first, heavy = self._pool_for_size(body), self._pools.heavy

        def parse_and_execute() -> tuple[PreparedRequest, bytes | Answer | None]:
            prepared = parse(body, self._context, True)
            known = prepared.cost.output_bytes <= _LARGE_ANSWER
            if known and (first is heavy or first is self._pool(prepared.cost)):
                job.control.check()
                return prepared, prepared.execute(job.control)
            return prepared, None

        prepared, answer = await job.run(first, parse_and_execute)
        self._count(prepared.cost)
        if answer is not None:
            return answer
        await self._reserve(prepared.cost, job, request)
        return await job.run(heavy, lambda: prepared.execute(job.control))

    async def _reserve(self, cost: Cost, job: Job, request: RequestContext) -> None:
        """Wait until there is room for a large answer; Refusal (overloaded) if none comes."""
        if cost.output_bytes <= _LARGE_ANSWER:
            return
        await self._wait_for_room(cost.output_bytes, job)
        request.unsent += cost.output_bytes
        self._pools.unsent += cost.output_bytes

    async def _wait_for_room(self, size: int, job: Job) -> None:
        while not self._pools.has_room(size):
            if job.seconds_left < _ROOM_SECONDS:
                raise self._pools.refuse_unsent()
            await asyncio.sleep(_ROOM_SECONDS)

    async def stream(
        self, receive: Receive, work: Callable[[Control], Iterator[bytes]]
    ) -> AsyncIterator[bytes]:
        """What the generator `work` yields, joined into pieces of some size.

        It runs in the heavy pool, a piece at a time, and no piece is made before the client has
        read the one before, which its deadline waits for. Raises what `offload` does before
        the first piece.
        """
        pool, job = self._pools.heavy, Job(self._settings.deadline_seconds, receive)
        lines = work(job.control)
        await self._wait_for_room(_LARGE_ANSWER, job)
        first, more = await job.run(pool, lambda: _piece(lines))

        async def pieces() -> AsyncIterator[bytes]:
            piece, going_on = first, more
            try:
                while True:
                    since = monotonic()
                    if piece:
                        yield piece
                    while going_on and not self._pools.has_room(_LARGE_ANSWER):
                        await asyncio.sleep(_ROOM_SECONDS)
                    job.control.put_off(monotonic() - since)
                    if not going_on:
                        return
                    piece, going_on = await pool.submit(lambda: _piece(lines), begun=True)
            finally:
                job.control.cancel()

        return pieces()

    async def offload(
        self, body: bytes, receive: Receive, work: Callable[[Control], Result]
    ) -> Result:
        """What `work` returns, done in the pool for bodies of this size.

        Raises Refusal (overloaded), DeadlineExceeded, Cancelled, and what `work` raises.
        """
        job = Job(self._settings.deadline_seconds, receive)
        return await job.run(self._pool_for_size(body), lambda: work(job.control))

    def _pool_for_size(self, body: bytes) -> WorkerPool:
        large = len(body) > self._settings.light_body_bytes
        return self._pools.heavy if large else self._pools.light

    def _pool(self, cost: Cost) -> WorkerPool:
        light = cost.flops <= self._settings.light_flops
        return self._pools.light if light else self._pools.heavy

    def _count(self, cost: Any) -> None:
        self._metrics.nodes += cost.nodes
        self._metrics.flops += cost.flops


class Job:
    """Work in a thread for one request, until its deadline or until its client goes away."""

    __slots__ = ("_end", "_receive", "control")

    def __init__(self, seconds: float, receive: Receive) -> None:
        self.control = Control(seconds)
        self._end = asyncio.get_running_loop().time() + seconds
        self._receive = receive

    @property
    def seconds_left(self) -> float:
        """Until the deadline."""
        return self._end - asyncio.get_running_loop().time()

    async def run(self, pool: WorkerPool, work: Callable[[], Result]) -> Result:
        """The result of `work`; raises Cancelled, DeadlineExceeded, or what `work` raises.

        A NumPy kernel can't be stopped, so an answer at the deadline does not wait for the
        thread: that ends at its next look at the control.
        """
        future = pool.submit(work)
        hang_up = asyncio.ensure_future(_hung_up(self._receive))
        try:
            await asyncio.wait(
                (future, hang_up),
                timeout=max(0.0, self.seconds_left),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if future.done():
                return future.result()
            raise Cancelled if hang_up.done() else DeadlineExceeded
        finally:
            if not future.done():
                self.control.cancel()
                future.cancel()
            hang_up.cancel()


def _piece(lines: Iterator[bytes]) -> tuple[bytes, bool]:
    """The next lines: as many as are soon made; and whether there may be more."""
    made: list[bytes] = []
    size, end = 0, monotonic() + _PIECE_SECONDS
    for line in lines:
        made.append(line)
        size += len(line)
        if size >= _PIECE_BYTES or monotonic() > end:
            return b"".join(made), True
    return b"".join(made), False


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
