"""Python imports this at its start where the folder is on its path: a wall clock that can be set.

The seconds that it is ahead stand in the file that CLOCK_AHEAD names. The monotonic clock is
left alone, as it is when a machine's wall clock is set. (libfaketime, which does it for any
program, breaks the timed waits of Python's threads.)
"""

import os
import time

_true_ns = time.time_ns


def _ahead() -> int:
    with open(os.environ["CLOCK_AHEAD"]) as file:
        return int(file.read())


time.time_ns = lambda: _true_ns() + _ahead() * 1_000_000_000
time.time = lambda: time.time_ns() / 1e9
