"""Graphs that were seen before, recognised by the bytes of their text."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from service.engine.graph import Graph


class GraphCache:
    """The resolved graphs used last, bounded by their number and by the size of their text.

    A resolved graph takes about ten times the memory of its text, so `max_bytes` is a
    tenth of what the cache may hold in memory. Thread-safe.
    """

    def __init__(self, max_entries: int = 1_024, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._graphs: OrderedDict[bytes, Graph] = OrderedDict()
        self._bytes = 0
        self.hits = 0
        self.misses = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._graphs)

    @property
    def text_bytes(self) -> int:
        """The size of the texts that are kept."""
        return self._bytes

    def get(self, text: bytes) -> Graph | None:
        """The graph that was read from exactly this text."""
        with self._lock:
            graph = self._graphs.get(text)
            if graph is None:
                self.misses += 1
            else:
                self.hits += 1
                self._graphs.move_to_end(text)
            return graph

    def put(self, text: bytes, graph: Graph) -> None:
        """Keep a graph, and let go of those unused for longest when there are too many."""
        if len(text) > self._max_bytes:
            return
        with self._lock:
            if text not in self._graphs:
                self._bytes += len(text)
            self._graphs[text] = graph
            while len(self._graphs) > self._max_entries or self._bytes > self._max_bytes:
                dropped, _ = self._graphs.popitem(last=False)
                self._bytes -= len(dropped)
