"""Values and gradients of a graph at many points, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from service.bulk.formats import module_of
from service.bulk.rows import Computed, Layout, Rows
from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.errors import GraphError
from service.engine.graph import Graph
from service.engine.run.batch import Reduction, batch, batch_gradient
from service.wire.decode import read_graph

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
    return read_graph(text, limits)


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
class FileJob:
    """A job whose points come from a file and whose results go to one.

    `reader` and `writer` are names of modules in `service.bulk.formats`.
    """

    points: PointsJob
    layout: Layout
    reader: str
    writer: str


@dataclass(slots=True)
class Encoded:
    """The results of a block as they will be written; `sums` of the reduced gradients."""

    number: int
    body: bytes
    head: list[str]
    rows: int
    errors: int
    sums: dict[str, Any]


def encode_block(job: FileJob, block: tuple[int, Any]) -> Encoded:
    """Read a numbered block of a file's rows, compute, and encode. Raises UnreadablePoints."""
    number, payload = block
    writer = module_of(job.writer)
    rows = module_of(job.reader).rows(payload, job.layout)
    computed = compute_rows(job.points, rows)
    body, head = writer.encode(computed), writer.head(computed)
    return Encoded(number, body, head, rows.size, len(rows.errors), computed.sums)


def compute_rows(job: PointsJob, rows: Rows) -> Computed:
    """Results at all rows: NaN at bad ones, to which those are added that can't be computed."""
    parts: list[tuple[Any, PointsResult]] = []
    good = np.array([place for place in range(rows.size) if place not in rows.errors], np.intp)
    waiting = [good] if len(good) else []
    while waiting:
        places = waiting.pop()
        inputs = rows.inputs
        if len(places) < rows.size:
            inputs = {name: array[places] for name, array in inputs.items()}
        try:
            parts.append((places, compute_block(job, inputs)))
        except GraphError as error:
            if len(places) == 1:
                rows.errors[int(places[0])] = error.faults[0].detail
            else:
                # One row, or some, can't be computed: halves find them in order.
                middle = len(places) // 2
                waiting += [places[middle:], places[:middle]]
    return _scattered(job, rows, parts)


def _scattered(job: PointsJob, rows: Rows, parts: Sequence[tuple[Any, PointsResult]]) -> Computed:
    if not parts:
        return Computed(rows, *_nothing(job, rows))
    first = parts[0][1]
    sums = {name: sum(part.gradients[name] for _, part in parts) for name in sorted(first.reduced)}
    if len(parts) == 1 and first.points == rows.size:
        each = {n: g for n, g in first.gradients.items() if n not in first.reduced}
        return Computed(rows, first.value, each, sums)

    def whole(get: Any) -> Any:
        one = np.asarray(get(first))
        array = np.full((rows.size, *one.shape[1:]), np.nan, one.dtype)
        for places, part in parts:
            array[places] = get(part)
        return array

    gradients = {
        name: whole(lambda part, name=name: part.gradients[name])
        for name in first.gradients
        if name not in first.reduced
    }
    return Computed(rows, whole(lambda part: part.value), gradients, sums)


def _nothing(job: PointsJob, rows: Rows) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """NaN in the shapes of results, for a block of bad rows alone."""
    graph = resolved(job.graph, job.limits)
    one = {
        name: np.zeros((1, *array.shape[1:]), array.dtype) for name, array in rows.inputs.items()
    }
    given = batch(graph, {**job.shared, **one}, list(one), job.dtype, job.limits)
    program = given.program
    wanted = program.floating_inputs if job.wrt is None else job.wrt
    carried = [name for name in wanted if name in one or job.reduce == "none"]
    dtype = np.dtype(job.dtype)
    value = np.full(rows.size, np.nan, dtype)
    gradients = {
        name: np.full((rows.size, *program.spec(name).shape), np.nan, dtype) for name in carried
    }
    return value, gradients, {}


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
