"""What `gradient-service batch` does, once its arguments are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson
import typer

from service.bulk.blocks import Pool, Report, run_blocks
from service.bulk.cluster import Cluster
from service.bulk.files import UnreadablePoints, read_points, writing
from service.bulk.local import Processes, ThisProcess, cores
from service.bulk.points import PointsJob, compute_block, plan, split
from service.bulk.progress import Progress
from service.commands._graphs import request_from
from service.engine.errors import GraphError
from service.engine.run.batch import Reduction
from service.settings import get_settings
from service.wire.tensors import read_tensor

WORTH_SECONDS = 3.0
"""Work that is done sooner than this is not worth starting processes for."""


def run(
    *,
    points: Path | None,
    graph: str | None,
    expression: str | None,
    values: Sequence[str] | None,
    output: Path | None,
    wrt: Sequence[str] | None,
    of: str | None,
    reduce: Reduction,
    dtype: Literal["float64", "float32"],
    block: int | None,
    workers: int | None,
    address: str | None,
    say: Callable[[str], None],
) -> None:
    """Read, compute, write. Raises what is wrong with the graph; typer's errors for the rest."""
    limits = get_settings().limits
    request = request_from(graph or "", expression, list(values or ()))
    try:
        given = read_points(points)
    except (UnreadablePoints, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="POINTS") from None
    shared = {
        name: read_tensor(value, f"#/inputs/{name}", limits)
        for name, value in (request.get("inputs") or {}).items()
        if name not in given
    }
    job = PointsJob(
        graph=_graph_text(request["graph"]),
        shared=shared,
        output=of,
        wrt=None if wrt is None else tuple(wrt),
        reduce=reduce,
        dtype=dtype,
        limits=limits,
    )
    made = plan(job, given)
    length = block or made.length
    size = len(next(iter(given.values())))
    pool = chosen_pool(-(-size // length), made.seconds, workers, address)
    report, progress = Report(), Progress(size, "points")
    try:
        with writing(output, reduce) as writer:
            for result in run_blocks(compute_block, job, split(given, length), pool, report):
                writer.add(result)
                progress.add(result.points)
    except UnreadablePoints as error:
        raise typer.BadParameter(str(error), param_hint="--output") from None
    finally:
        seconds = progress.close()
    again = f", {report.run_again} run again" if report.run_again else ""
    say(
        f"{size:,} points in {seconds:.2f} s ({size / seconds:,.0f} per second): "
        f"{report.blocks} blocks on {described(pool)}{again}"
    )


def _graph_text(graph: Any) -> bytes:
    if isinstance(graph, str):
        from service.app import make_context
        from service.wire.errors import GraphNotFound

        find = make_context(get_settings()).find_graph
        if find is None:
            raise GraphNotFound
        return find(graph)
    if not isinstance(graph, dict):
        raise GraphError([])
    return orjson.dumps(graph)


def chosen_pool(blocks: int, seconds: float, workers: int | None, address: str | None) -> Pool:
    """The pool for so many blocks and seconds of work; one process is this one."""
    if address is not None:
        return Cluster(address)
    if workers is None:
        workers = cores() if seconds > WORTH_SECONDS else 1
    count = min(blocks, workers)
    return ThisProcess() if count == 1 else Processes(count)


def described(pool: Pool) -> str:
    """What a pool is, in words."""
    if isinstance(pool, Processes):
        return f"{pool.workers} processes"
    return f"the cluster at {pool.address}" if isinstance(pool, Cluster) else "one process"
