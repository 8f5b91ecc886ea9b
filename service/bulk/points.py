"""Values and gradients of a graph at many points, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.graph import Graph
from service.engine.run.batch import Reduction, batch, batch_gradient
from service.wire.context import Context
from service.wire.explain import explain_graph
from service.wire.graphs import Unreadable, read_graph

MOST_POINTS = 65_536
_BLOCK_ELEMENTS = 1 << 22


@dataclass(frozen=True, slots=True)
class PointsJob:
    """What all blocks of a job share: the graph's JSON, and what is wanted of it.

    `shared` are the values of inputs that are the same at all points.
    """

    graph: bytes
    shared: Mapping[str, Any] = field(default_factory=dict)
    output: str | None = None
    wrt: tuple[str, ...] | None = None
    reduce: Reduction = "none"
    dtype: Literal["float64", "float32"] = "float64"
    limits: Limits = DEFAULT_LIMITS


@dataclass(slots=True)
class PointsResult:
    """`value` has the leading axis of points; so has every gradient that isn't reduced."""

    value: Any
    gradients: dict[str, Any]
    points: int
    reduced: frozenset[str] = frozenset()


@lru_cache(maxsize=4)
def resolved(text: bytes, limits: Limits) -> Graph:
    """The graph of a JSON text; raises GraphError with all of its faults."""
    try:
        return read_graph(text, limits)
    except Unreadable:
        explain_graph(text, limits, Context().max_depth)


def compute_block(job: PointsJob, block: Mapping[str, Any]) -> PointsResult:
    """One block of points. What is reduced is summed over the block. Raises GraphError."""
    graph = resolved(job.graph, job.limits)
    names = list(block)
    given = batch(graph, {**job.shared, **block}, names, job.dtype, job.limits)
    reduce: Reduction = "none" if job.reduce == "none" else "sum"
    made = batch_gradient(given, output=job.output, wrt=job.wrt, reduce=reduce, values=False)
    common = frozenset() if reduce == "none" else frozenset(made.gradients) - set(names)
    return PointsResult(made.value, made.gradients, given.size, common)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many points make a block, and roughly how many seconds all of them take one core.

    The length depends on the graph and the points alone, never on the workers: the same
    blocks give the same bytes, wherever they run.
    """

    length: int
    seconds: float


def plan(job: PointsJob, points: Mapping[str, Any]) -> Plan:
    """The plan for these points; raises GraphError for what is wrong with the graph."""
    graph = resolved(job.graph, job.limits)
    given = batch(graph, {**job.shared, **points}, list(points), job.dtype, job.limits)
    program = given.program
    wanted = program.floating_inputs if job.wrt is None else job.wrt
    carried = [name for name in wanted if name in points or job.reduce == "none"]
    names = {name for name in (*carried, *points) if name in program.graph.inputs}
    each = 1 + sum(program.spec(name).size for name in names)
    length = max(1, min(MOST_POINTS, _BLOCK_ELEMENTS // each))
    # Three sweeps: about seven operations in a nanosecond, five nanoseconds for an element.
    elements = program.cost.elements - sum(np.size(value) for value in job.shared.values())
    nanoseconds = 3 * (0.15 * program.cost.flops + 5 * elements) * given.size
    return Plan(length, nanoseconds * 1e-9)


def split(points: Mapping[str, Any], length: int) -> Iterator[dict[str, Any]]:
    """The points in blocks of `length`, the last one shorter."""
    size = len(next(iter(points.values())))
    for low in range(0, size, length):
        yield {name: array[low : low + length] for name, array in points.items()}


def joined(results: Sequence[PointsResult], reduce: Reduction = "none") -> PointsResult:
    """The blocks' results as one; sums are added in the order of the blocks."""
    size = sum(result.points for result in results)
    reduced = results[0].reduced
    gradients: dict[str, Any] = {}
    for name in results[0].gradients:
        parts = [result.gradients[name] for result in results]
        if name not in reduced:
            gradients[name] = np.concatenate(parts)
            continue
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        gradients[name] = total / size if reduce == "mean" else total
    value = np.concatenate([result.value for result in results])
    return PointsResult(value, gradients, size, reduced)
