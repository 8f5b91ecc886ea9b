"""What `gradient-service batch` does, once its arguments are known."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import typer

from service import __version__
from service.bulk.blocks import BlockLost, Pool, Report, run_blocks
from service.bulk.cluster import Cluster
from service.bulk.formats import format_of, module_of, open_points
from service.bulk.local import Processes, ThisProcess, cores
from service.bulk.points import Encoded, FileJob, PointsJob, encode_block, plan, resolved
from service.bulk.progress import Progress
from service.bulk.rows import Layout, Rows, Summary, UnreadablePoints
from service.bulk.spool import OtherJob, Spool
from service.commands._graphs import request_from
from service.engine.errors import GraphError
from service.engine.run.batch import Reduction
from service.settings import get_settings
from service.wire.tensors import read_tensor

WORTH_SECONDS = 3.0
"""Work that is done sooner than this is not worth starting processes for."""
FAILED = 1


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
    resume: bool,
    say: Callable[[str], None],
) -> None:
    """Read, compute, write. Raises what is wrong with the graph; typer's errors for the rest."""
    limits = get_settings().limits
    request = request_from(graph or "", expression, list(values or ()))
    text = _graph_text(request["graph"])
    wanted = frozenset(resolved(text, limits).inputs)
    try:
        given = _Points(points, wanted)
    except (UnreadablePoints, OSError) as error:
        raise typer.BadParameter(_sentence(error), param_hint="POINTS") from None
    job = PointsJob(
        graph=text,
        shared={
            name: read_tensor(value, f"#/inputs/{name}", limits)
            for name, value in (request.get("inputs") or {}).items()
            if name not in given.layout.inputs
        },
        output=of,
        wrt=None if wrt is None else tuple(wrt),
        reduce=reduce,
        dtype=dtype,
        limits=limits,
    )
    made = plan(job, given.example)
    length = block or made.length
    size = given.source.size
    rows = size if size is not None else given.guessed_size
    blocks = None if rows is None else -(-rows // length)
    pool = chosen_pool(blocks, made.seconds * (rows or 0), workers, address)
    report, progress = Report(), Progress(size, "points")
    try:
        writer = format_of(output)
        work = FileJob(job, given.layout, given.format, writer)
        results = _Results(output, writer, reduce, _described(work, points, length), resume)
    except (UnreadablePoints, OtherJob, OSError) as error:
        raise typer.BadParameter(_sentence(error), param_hint="--output") from None
    try:
        waiting = results.unfinished(given.source.blocks(length))
        for result in run_blocks(encode_block, work, waiting, pool, report):
            results.add(result)
            progress.add(result.rows)
        results.finish()
    except UnreadablePoints as error:
        results.discard()
        raise typer.BadParameter(_sentence(error), param_hint="--output") from None
    except GraphError:
        results.discard()
        raise
    except (OSError, BlockLost, ImportError) as error:
        _give_up(_sentence(error) + results.kept)
    finally:
        seconds = progress.close()
    say(_summary(results, report, pool, progress.done, seconds))


def _give_up(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    raise typer.Exit(FAILED)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _summary(results: _Results, report: Report, pool: Pool, done: int, seconds: float) -> str:
    again = f", {report.run_again} run again" if report.run_again else ""
    found = len(results.finished)
    before = f", {found} blocks were there" if found else ""
    bad = f"; {results.bad:,} rows could not be computed" if results.bad else ""
    return (
        f"{done:,} points in {seconds:.2f} s ({done / seconds:,.0f} per second): "
        f"{report.blocks} blocks on {described(pool)}{again}{before}{bad}"
    )


class _Points:
    """The rows of a file, with the layout that its first rows have.

    Raises UnreadablePoints, OSError.
    """

    def __init__(self, path: Path | None, wanted: frozenset[str]) -> None:
        self.format = format_of(path)
        reader = module_of(self.format)
        self.source = reader.open_source(open_points(path), path.name if path else "-")
        first = self.source.first()
        self.layout: Layout = reader.layout(first, wanted)
        rows: Rows = reader.rows(first, self.layout)
        good = [place for place in range(rows.size) if place not in rows.errors]
        if not good:
            number, told = next(iter(rows.errors.items()), (None, "there are no points"))
            raise UnreadablePoints(told if number is None else f"row {number + 1}: {told}")
        self.example = {name: array[good[:1]] for name, array in rows.inputs.items()}
        bytes_read = len(first if isinstance(first, bytes) else first[1]) if _is_text(first) else 0
        # What is packed is some four times as long.
        packed = 4 if path is not None and path.suffix == ".gz" else 1
        self.guessed_size = (
            path.stat().st_size * packed * rows.size // bytes_read
            if path is not None and bytes_read
            else None
        )


def _is_text(first: Any) -> bool:
    return isinstance(first, bytes) or (isinstance(first, tuple) and isinstance(first[1], bytes))


@dataclass(slots=True)
class _Results:
    """The blocks' results on their way into a file or to standard output."""

    path: Path | None
    writer: str
    reduce: Reduction
    job: dict[str, Any]
    resume: bool
    bad: int = 0
    rows: int = 0
    count: int = 0
    finished: frozenset[int] = frozenset()
    sums: dict[str, Any] = field(default_factory=dict)
    spool: Spool | None = None

    def __post_init__(self) -> None:
        module_of(self.writer)
        if self.path is None:
            if self.resume:
                raise UnreadablePoints("--resume needs --output: finished blocks lie beside it")
            return
        self.spool = Spool(self.path)
        self.finished = self.spool.begin(self.job, resume=self.resume)

    @property
    def kept(self) -> str:
        """How to go on after a failure."""
        return "" if self.spool is None else "; finished blocks are kept: go on with --resume"

    def unfinished(self, blocks: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        """The blocks that are still to be computed, with their numbers."""
        for number, block in enumerate(blocks):
            self.count = number + 1
            if number not in self.finished:
                yield number, block

    def add(self, result: Encoded) -> None:
        """Take the result of a block; they come in order."""
        header = {
            "rows": result.rows,
            "errors": result.errors,
            "head": result.head,
            "sums": {name: _packed(total) for name, total in result.sums.items()},
        }
        if self.spool is not None:
            self.spool.put(result.number, header, result.body)
        else:
            self._count(header)
            sys.stdout.buffer.write(result.body)

    def _count(self, header: dict[str, Any]) -> None:
        self.rows += header["rows"]
        self.bad += header["errors"]
        for name, packed in header["sums"].items():
            total = _unpacked(packed)
            self.sums[name] = self.sums[name] + total if name in self.sums else total

    def finish(self) -> None:
        """Write what is only known at the end: for a file, all of it."""
        spool, path = self.spool, self.path
        if spool is None or path is None:
            sys.stdout.buffer.write(module_of(self.writer).last_line(self._whole()))
            sys.stdout.buffer.flush()
            return
        head: list[str] = []
        for number in range(self.count):
            header = spool.header(number)
            head = head or header["head"]
            self._count(header)
        whole = spool.folder / "whole"
        with whole.open("wb") as file, _packing(file, path) as packed:
            module_of(self.writer).assemble(
                lambda: spool.bodies(self.count), head, packed, self._whole()
            )
        whole.replace(path)
        spool.discard()

    def _whole(self) -> Summary:
        share = max(1, self.rows - self.bad) if self.reduce == "mean" else 1
        reduced = {name: total / share for name, total in sorted(self.sums.items())}
        return Summary(self.rows, self.bad, self.reduce, reduced)

    def discard(self) -> None:
        """Remove the finished blocks of work that can't succeed."""
        if self.spool is not None:
            self.spool.discard()


def _packing(file: Any, path: Path) -> Any:
    """`file`, or what packs into it where the path ends in .gz: the same bytes every time."""
    if path.suffix.lower() != ".gz":
        return nullcontext(file)
    return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)


def _packed(array: Any) -> str:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def _unpacked(text: str) -> Any:
    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)[()]


def _described(work: FileJob, points: Path | None, length: int) -> dict[str, Any]:
    """What the blocks are of, as JSON: other points, graphs or options make another job."""
    job = work.points
    shared = {
        name: [str(np.asarray(v).dtype), list(np.shape(v)), _digest(np.asarray(v).tobytes())]
        for name, v in job.shared.items()
    }
    stat = None if points is None else points.stat()
    return {
        "version": __version__,
        "graph": _digest(job.graph),
        "shared": shared,
        "output": job.output,
        "wrt": job.wrt,
        "reduce": job.reduce,
        "dtype": job.dtype,
        "block": length,
        "formats": [work.reader, work.writer],
        "points": None if stat is None else [str(points), stat.st_size, stat.st_mtime_ns],
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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


def chosen_pool(
    blocks: int | None, seconds: float, workers: int | None, address: str | None
) -> Pool:
    """The pool for so many blocks and seconds of work; one process is this one."""
    if address is not None:
        return Cluster(address)
    if workers is None:
        workers = cores() if seconds > WORTH_SECONDS else 1
    count = workers if blocks is None else max(1, min(blocks, workers))
    return ThisProcess() if count == 1 else Processes(count)


def described(pool: Pool) -> str:
    """What a pool is, in words."""
    if isinstance(pool, Processes):
        return f"{pool.workers} processes"
    return f"the cluster at {pool.address}" if isinstance(pool, Cluster) else "one process"
