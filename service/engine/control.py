"""Limits, and the clock that long computations look at between nodes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Event

from service.engine.errors import Cancelled, DeadlineExceeded, LimitExceeded

MOST_PARTS = 10_000
"""Outputs of all nodes of a graph that have several: a few bytes of JSON may ask for millions."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask of the engine. Counts, elements, bytes and flops."""

    nodes: int = 2_000_000
    elements_per_tensor: int = 50_000_000
    elements_total: int = 200_000_000
    flops: int = 200_000_000_000
    order: int = 8
    derived_nodes: int = 200_000

    def check(self, limit: str, asked: int) -> None:
        """Raise LimitExceeded when `asked` is more than the limit of that name."""
        allowed: int = getattr(self, limit)
        if asked > allowed:
            raise LimitExceeded(limit, allowed, asked)


DEFAULT_LIMITS = Limits()


class Control:
    """A deadline (seconds from now) and a switch that says nobody waits any more."""

    __slots__ = ("_cancelled", "_end")

    def __init__(self, seconds: float | None = None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._cancelled = Event()

    def cancel(self) -> None:
        """Ask the computation to stop at its next look at the clock. Thread-safe."""
        self._cancelled.set()

    def put_off(self, seconds: float) -> None:
        """Move the deadline: for so long the computation waited for somebody else."""
        if self._end is not None:
            self._end += seconds

    def check(self) -> None:
        """Raise Cancelled or DeadlineExceeded when the work has lost its purpose."""
        if self._cancelled.is_set():
            raise Cancelled
        if self._end is not None and time.monotonic() > self._end:
            raise DeadlineExceeded
