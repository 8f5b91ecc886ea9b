"""Truths that were computed before: the same task is graded hundreds of times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from service.grading.truth import Truth

_MOST_ELEMENTS = 20_000_000


class TruthCache:
    """The truths used last, by the text of their task. Thread-safe."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._truths: OrderedDict[bytes, Truth] = OrderedDict()
        self._lock = Lock()

    def get(self, text: bytes) -> Truth | None:
        """The truth of the task with exactly this text."""
        with self._lock:
            truth = self._truths.get(text)
            if truth is not None:
                self._truths.move_to_end(text)
            return truth

    def obtain(self, text: bytes, make: Callable[[], Truth]) -> Truth:
        """The truth of the task with this text, made now if it is new. Raises what `make` does."""
        truth = self.get(text)
        if truth is None:
            truth = make()
            size = truth.circuit.program.cost.elements * len(truth.points)
            if size <= _MOST_ELEMENTS // self._most:
                with self._lock:
                    self._truths[text] = truth
                    if len(self._truths) > self._most:
                        self._truths.popitem(last=False)
        return truth
