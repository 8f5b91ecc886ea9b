"""The garbage collector, held back while much is made that is no garbage."""

from __future__ import annotations

import gc
from threading import Lock

_HOLD_FROM_BYTES = 64 * 1024


class CollectorHeldBack:
    """Keep the garbage collector still while a text of `size` bytes is read.

    A large document makes millions of objects, none of them garbage, and the collector
    would go through them again and again. Thread-safe: it is on again when the last of
    several readers is done.
    """

    __slots__ = ("_large",)
    _readers = 0
    _was_enabled = False
    _lock = Lock()

    def __init__(self, size: int) -> None:
        self._large = size >= _HOLD_FROM_BYTES

    def __enter__(self) -> None:
        if self._large:
            kind = type(self)
            with kind._lock:
                if kind._readers == 0:
                    kind._was_enabled = gc.isenabled()
                    gc.disable()
                kind._readers += 1

    def __exit__(self, *_: object) -> None:
        if self._large:
            kind = type(self)
            with kind._lock:
                kind._readers -= 1
                if kind._readers == 0 and kind._was_enabled:
                    gc.enable()
