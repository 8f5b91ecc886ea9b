"""Where a request's work runs: on the event loop if it is cheap enough, else in a pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from service.engine.control import Control
from service.engine.errors import Cancelled, DeadlineExceeded
from service.http.asgi import Receive
from service.http.metrics import Metrics
from service.http.pools import Pools, WorkerPool
from service.http.prepared import Answer, Cost, Parse, PreparedRequest
from service.settings import Settings
from service.wire.context import Context, WouldBlock

Result = TypeVar("Result")


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

    async def run(self, parse: Parse, body: bytes, receive: Receive) -> bytes | Answer:
        """The answer to a request.

        Raises what `parse` and `execute` raise, Refusal (overloaded) when the queue is full,
        DeadlineExceeded, and Cancelled when the client hung up.
        """
        settings, context = self._settings, self._context
        if len(body) <= settings.inline_body_bytes:
            try:
                prepared = parse(body, context, False)
            except WouldBlock:
                pass
            else:
                cost = prepared.cost
                self._count(cost)
                if cost.flops <= settings.inline_flops:
                    self._metrics.inline += 1
                    return prepared.execute(None)
                job = Job(settings.deadline_seconds, receive)
                return await job.run(self._pool(cost), lambda: prepared.execute(job.control))
        return await self._in_pools(parse, body, receive)

    async def _in_pools(self, parse: Parse, body: bytes, receive: Receive) -> bytes | Answer:
        """Parse in the pool that the size asks for, execute in the one that the cost does."""
        job = Job(self._settings.deadline_seconds, receive)
        first, heavy = self._pool_for_size(body), self._pools.heavy

        def parse_and_execute() -> tuple[PreparedRequest, bytes | Answer | None]:
            prepared = parse(body, self._context, True)
            if first is heavy or first is self._pool(prepared.cost):
                job.control.check()
                return prepared, prepared.execute(job.control)
            return prepared, None

        prepared, answer = await job.run(first, parse_and_execute)
        self._count(prepared.cost)
        if answer is not None:
            return answer
        return await job.run(heavy, lambda: prepared.execute(job.control))

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
                timeout=max(0.0, self._end - asyncio.get_running_loop().time()),
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


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
