"""How far bulk work has come, on a terminal."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_EVERY_SECONDS = 0.2


class Progress:
    """A line on standard error that is written over; silent where that is no terminal."""

    def __init__(self, total: int | None, what: str, stream: TextIO | None = None) -> None:
        self._total = total
        self._what = what
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()
        self._began = time.monotonic()
        self._next = 0.0
        self.done = 0

    def add(self, count: int) -> None:
        """`count` more are done."""
        self.done += count
        now = time.monotonic()
        if self._shown and (now >= self._next or self.done == self._total):
            self._next = now + _EVERY_SECONDS
            self._stream.write(f"\r\x1b[K{self.line(now)}")
            self._stream.flush()

    def line(self, now: float) -> str:
        """The line as it stands."""
        rate = self.done / max(1e-9, now - self._began)
        of = "" if self._total is None else f" of {self._total:,}"
        text = f"{self.done:,}{of} {self._what}, {rate:,.0f} per second"
        if self._total is not None and 0 < self.done < self._total:
            text += f", {(self._total - self.done) / rate:.0f} s left"
        return text

    def close(self) -> float:
        """Clear the line; gives the seconds since the beginning."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
        return time.monotonic() - self._began
