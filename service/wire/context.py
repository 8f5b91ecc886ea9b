"""What the requests of a process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.graph import Graph
from service.engine.lru_cache import Recent

GraphCache = Recent[bytes, Graph]

MAX_FAULTS = 20
"""Faults of a request's form that are looked for before giving up."""


def recent_graphs(most: int = 1_024, most_bytes: int = 256 * 1024 * 1024) -> GraphCache:
    """A cache of resolved graphs by their text, bounded by the memory of both."""
    return Recent(most, most_bytes)


class WouldBlock(Exception):
    """A reader was told not to wait, and needs something slow.

    That is a registered graph, or the explanation of a refusal. Read again with
    `may_block=True` in a thread.
    """


@dataclass(frozen=True, slots=True)
class Context:
    """Limits, the graphs seen before, and the way to registered ones.

    `find_graph` gives the JSON text of a registered graph for its id or name, and raises
    `service.wire.errors.GraphNotFound` when there is none; it may block. None means
    that nothing can be registered. `find_task` gives the JSON text of a grading task, or
    None where there is none of that id; it may block too.
    """

    limits: Limits = DEFAULT_LIMITS
    graphs: GraphCache = field(default_factory=recent_graphs)
    find_graph: Callable[[str], bytes] | None = None
    max_output_bytes: int = 256 * 1024 * 1024
    max_batch: int = 10_000_000
    max_depth: int = 64
    find_task: Callable[[str], bytes | None] | None = None
    max_diagnosis_runs: int = 2_000
