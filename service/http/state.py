"""Whether this process is up, and whether it is about to stop."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class State:
    """Read by /readyz, by the pipeline, and by whoever drains."""

    __slots__ = ("draining", "stopped")

    def __init__(self) -> None:
        self.draining = False
        self.stopped = False


def drain_on_sigterm(state: State, seconds: float) -> Callable[[], None]:
    """Put a pause between SIGTERM and the server's own handler.

    During it /readyz says no and every answer closes its connection, while requests are
    still taken: load balancers and clients move away before the door is shut. A second
    signal shortens the pause. Returns the function that takes the handler out again.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    before: Any = signal.getsignal(signal.SIGTERM)
    if not callable(before):
        return lambda: None

    def begin(number: int) -> None:
        if state.draining:
            before(number, None)
            return
        state.draining = True
        loop.call_later(seconds, before, number, None)

    def handler(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin, number)

    signal.signal(signal.SIGTERM, handler)

    def undo() -> None:
        if signal.getsignal(signal.SIGTERM) is handler:
            signal.signal(signal.SIGTERM, before)

    return undo
