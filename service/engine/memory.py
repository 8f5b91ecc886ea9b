"""Freed memory stays with the process for a while, in place of going back each time.

The C library gives large arrays back to the system as soon as they are freed, and gets them
again page by page, each one cleared, for the next computation of the same kind. That can
take as long as the computation itself: half the time of a convolution's gradient. Kept for
ever, it would add up to the largest heap that requests of all kinds have made together.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of malloc.h
LARGEST = 64 * 1024 * 1024
"""Bytes of an array from which on it is the system's own business."""
KEPT = 256 * 1024 * 1024
"""Bytes that are kept, at most, for what comes next."""


def keep_freed_memory() -> bool:
    """Have the whole process keep what it frees; False where the C library knows no way (glibc)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    # One heap for all threads: what one has freed serves another.
    wanted = ((_MMAP_THRESHOLD, LARGEST), (_TRIM_THRESHOLD, KEPT), (_ARENA_MAX, 1))
    done = [mallopt(name, value) for name, value in wanted]
    return done == [1, 1, 1]


def give_back_freed_memory() -> None:
    """Return what is free now to the system: some 7 ms for 100 MB, so from time to time."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
