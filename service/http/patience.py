"""How long the service waits for a client: to send its body, or to read its answer.

One look at all that wait, twice a second, ends those that wait too long, which costs a
request nothing; a timer for each would cost more than a small gradient does.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any


class Patience:
    """The tasks of `loop` that wait for their clients, and since when each of them does."""

    def __init__(self, seconds: float) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._seconds = seconds
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()

    def begin(self) -> asyncio.Task[Any]:
        """Note that the current task waits from now on. Again: that there was progress."""
        task = asyncio.current_task(self.loop)
        assert task is not None
        self._waiting[task] = monotonic()
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """It waits no longer."""
        self._waiting.pop(task, None)
        if self._late:
            self._late.discard(task)

    def ran_out(self, task: asyncio.Task[Any]) -> bool:
        """Whether a CancelledError in this task comes from here: then it goes on."""
        return task in self._late and not task.uncancel()

    def sweep(self, now: float) -> None:
        """Cancel the tasks that have waited too long."""
        for task, since in list(self._waiting.items()):
            if now - since > self._seconds and task not in self._late:
                self._late.add(task)
                task.cancel()
