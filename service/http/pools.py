"""Worker pools: how many requests are computed at a time, and how many may wait.

Two pools of threads: light requests never wait behind heavy ones. Each pool has a bounded
queue; a request that would overfill it is refused at once with 503 and Retry-After. The
bodies held in memory at one time are bounded too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

import numpy as np

from service.codes import Refusal
from service.settings import Settings

Result = TypeVar("Result")


def overloaded(retry_after: int, what: str = "the queue is full") -> Refusal:
    """The refusal of a request that there is no room for now."""
    return Refusal(
        "overloaded",
        f"{what}; try again later",
        headers=(("retry-after", str(retry_after)),),
    )


def _quiet() -> None:
    """Floating-point warnings are settings of a thread: what isn't finite is in the answer."""
    np.seterr(all="ignore")


class WorkerPool:
    """Some threads and a bounded queue before them."""

    def __init__(self, name: str, threads: int, queue: int, retry_after: int) -> None:
        self.name = name
        self.threads = threads
        self.queue = queue
        self.refused = 0
        self._retry_after = retry_after
        self._pending = 0
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(threads, f"{name}-pool", initializer=_quiet)

    @property
    def running(self) -> int:
        return min(self._pending, self.threads)

    @property
    def waiting(self) -> int:
        return max(0, self._pending - self.threads)

    def submit(self, work: Callable[[], Result], *, begun: bool = False) -> asyncio.Future[Result]:
        """Have `work` done in a thread; Refusal `overloaded` when the queue is full.

        What is `begun` goes on whatever the queue: it is part of a request that was let in.
        Cancelling the future takes work that still waits out of the queue. Work that runs
        keeps its thread, and its place here, until it ends.
        """
        with self._lock:
            if self._pending >= self.threads + self.queue and not begun:
                self.refused += 1
                raise overloaded(self._retry_after)
            self._pending += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._done)
        return asyncio.wrap_future(future)

    def _done(self, _: Future[Result]) -> None:
        with self._lock:
            self._pending -= 1

    def close(self) -> None:
        """Drop what waits; let what runs end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Pools:
    """The two pools, and the counts of bytes held for requests and for answers."""

    def __init__(self, settings: Settings) -> None:
        retry_after = settings.retry_after_seconds
        self.light = WorkerPool("light", settings.light_threads, settings.light_queue, retry_after)
        self.heavy = WorkerPool("heavy", settings.heavy_threads, settings.heavy_queue, retry_after)
        self.held_bytes = 0
        self.unsent = 0
        """Bytes of answers that are reserved or held until their clients have read them."""
        self._max_unsent = settings.max_unsent_bytes
        self._max_bytes = settings.max_pending_bytes
        self._retry_after = retry_after

    def hold(self, count: int) -> None:
        """Count bytes that are kept; Refusal `overloaded` when there are too many."""
        if self.held_bytes + count > self._max_bytes:
            raise overloaded(self._retry_after, "too many bytes are being held")
        self.held_bytes += count

    def release(self, count: int) -> None:
        """They are gone again."""
        self.held_bytes -= count

    def has_room(self, count: int) -> bool:
        """Whether an answer of so many bytes may be made; a very large one, if it is alone."""
        return not self.unsent or self.unsent + count <= self._max_unsent

    def refuse_unsent(self) -> Refusal:
        """The refusal of a request whose answer there is no room for."""
        return overloaded(self._retry_after, "too many answers are being held")

    def close(self) -> None:
        """End both pools."""
        self.light.close()
        self.heavy.close()
