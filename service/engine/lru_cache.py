"""The values used last, by their key: what every cache of the service is made of."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Hashable
from math import inf
from threading import Lock
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """At most `most` values of at most `most_size` together; those unused for longest go first.

    The unit of size is the caller's. Thread-safe.
    """

    def __init__(self, most: int, most_size: float = inf) -> None:
        self._most = most
        self._most_size = most_size
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()
        self.size = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """The value of the key, if it is kept still."""
        with self._lock:
            known = self._values.get(key)
            if known is None:
                self.misses += 1
                return None
            self.hits += 1
            self._values.move_to_end(key)
            return known[0]

    def put(self, key: Key, value: Value, size: int = 0) -> None:
        """Keep a value; one that is too large by itself is not kept."""
        if size > self._most_size:
            return
        with self._lock:
            self._take(key)
            self._values[key] = value, size
            self.size += size
            self._shrink()

    def grow(self, key: Key, more: int) -> None:
        """The value of the key, if it is kept still, has become larger."""
        with self._lock:
            known = self._values.get(key)
            if known is None:
                return
            value, size = known
            if size + more > self._most_size:
                self._take(key)
                return
            self._values[key] = value, size + more
            self.size += more
            self._shrink()

    def _take(self, key: Key) -> None:
        before = self._values.pop(key, None)
        if before is not None:
            self.size -= before[1]

    def _shrink(self) -> None:
        while len(self._values) > self._most or self.size > self._most_size:
            _, (_, dropped) = self._values.popitem(last=False)
            self.size -= dropped


MADE: Recent[tuple[int, Hashable], Any] = Recent(16_384, 128 * 1024 * 1024)
"""What was made of graphs: programs, and the code of their derivatives; sized in bytes."""
_OWNERS = itertools.count()


class Share:
    """The part of `MADE` that belongs to one graph, program or model.

    It is bounded by what all of them take together, whatever hangs on the single one.
    """

    __slots__ = ("_owner",)

    def __init__(self) -> None:
        self._owner = next(_OWNERS)

    def get(self, key: Hashable) -> Any:
        """What was made last under the key, or None."""
        return MADE.get((self._owner, key))

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes."""
        MADE.put((self._owner, key), value, size)

    def grow(self, key: Hashable, more: int) -> None:
        """The value has become larger by so many bytes."""
        MADE.grow((self._owner, key), more)
