"""The median of repeated calls."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def median_seconds(call: Callable[[], Any], least: float = 0.5, most: int = 200) -> float:
    """Repeat `call` for `least` seconds, at least three times after one that is not counted.

    A call that takes ten seconds by itself is not repeated.
    """
    started = time.perf_counter()
    call()
    first = time.perf_counter() - started
    if first > 10:
        return first
    times: list[float] = []
    while (sum(times) < least or len(times) < 3) and len(times) < most:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


def report(**figures: float | str) -> None:
    """Print the figures as the last line."""
    json.dump(figures, sys.stdout)
    print()
