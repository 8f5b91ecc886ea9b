"""Who waits too long for a client is told so; who makes progress goes on."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from service.http.patience import Patience


async def waiting(patience: Patience, steps: int, ended: list[str]) -> None:
    """A task that notes how it ended."""
    task = patience.begin()
    try:
        for _ in range(steps):
            await asyncio.sleep(0.01)
            patience.begin()
        await asyncio.sleep(0 if steps else 60)
        ended.append("went on")
    except asyncio.CancelledError:
        ended.append("ran out" if patience.ran_out(task) else "cancelled")
        raise
    finally:
        patience.end(task)


@pytest.mark.parametrize(
    ("steps", "cancel", "expected"),
    [(0, False, "ran out"), (0, True, "cancelled"), (3, False, "went on")],
)
def test_only_waiting_without_progress_runs_out(steps: int, cancel: bool, expected: str) -> None:
    async def run() -> list[str]:
        patience, ended = Patience(30), list[str]()
        task = asyncio.ensure_future(waiting(patience, steps, ended))
        await asyncio.sleep(0)
        if cancel:
            task.cancel()
        elif steps:
            patience.sweep(monotonic() + 29)
        else:
            patience.sweep(monotonic() + 31)
        await asyncio.wait([task])
        patience.sweep(monotonic() + 1_000)  # Nobody waits any more.
        return ended

    assert asyncio.run(run()) == [expected]
