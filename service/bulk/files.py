"""Points from files, and results into files: NumPy's .npz, CSV, and JSON by lines."""

from __future__ import annotations

import csv
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import orjson

from service.bulk.points import PointsResult, joined
from service.engine.run.batch import Reduction
from service.wire.answers import encode
from service.wire.tensors import NON_FINITE

LINES = (".ndjson", ".jsonl")
KINDS = (".npz", ".csv", *LINES)


class UnreadablePoints(ValueError):
    """A file of points that can't be read; the message says where."""


def read_points(path: Path | None) -> dict[str, Any]:
    """Arrays by input, each with a leading axis of points. None reads JSON lines from stdin.

    Raises UnreadablePoints, OSError.
    """
    kind = ".ndjson" if path is None else path.suffix.lower()
    if kind == ".npz":
        assert path is not None
        points = _from_npz(path)
    elif kind == ".csv":
        assert path is not None
        points = _from_csv(path)
    elif kind in LINES:
        text = sys.stdin.buffer.read() if path is None else path.read_bytes()
        points = _from_lines(text)
    else:
        raise UnreadablePoints(f"points are read from {', '.join(KINDS)}")
    if not points or not len(next(iter(points.values()))):
        raise UnreadablePoints("there are no points")
    return points


def _from_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            points = {name: archive[name] for name in archive.files}
    except (ValueError, KeyError, EOFError) as error:
        raise UnreadablePoints(f"{path.name} is not an .npz of arrays") from error
    lengths = {name: array.shape[0] if array.ndim else None for name, array in points.items()}
    if None in lengths.values() or len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise UnreadablePoints(f"the arrays have no common leading axis ({shown})")
    return points


def _from_csv(path: Path) -> dict[str, Any]:
    with path.open(newline="", encoding="utf-8") as file:
        try:
            names = [name.strip() for name in next(csv.reader(file))]
        except StopIteration:
            raise UnreadablePoints(f"{path.name} is empty") from None
        if len(set(names)) != len(names) or not all(names):
            raise UnreadablePoints(f"the first line of {path.name} names the inputs, each once")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that there are no rows
                table = np.loadtxt(file, delimiter=",", ndmin=2, comments=None)
        except ValueError as error:
            raise UnreadablePoints(f"{path.name}: {error}") from None
    if not table.size:
        return {}
    if table.shape[1] != len(names):
        raise UnreadablePoints(f"{path.name} has {len(names)} names, and {table.shape[1]} columns")
    return {name: np.ascontiguousarray(table[:, place]) for place, name in enumerate(names)}


def _from_lines(text: bytes) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            point = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise UnreadablePoints(f"line {number} is not JSON") from None
        if not isinstance(point, dict):
            raise UnreadablePoints(f"line {number} is not an object of inputs")
        if not columns:
            columns = {name: [] for name in point}
        if point.keys() != columns.keys():
            raise UnreadablePoints(f"line {number} has other inputs than the first")
        for name, value in point.items():
            columns[name].append(value)
    return {name: _column(name, values) for name, values in columns.items()}


def _column(name: str, values: list[Any]) -> Any:
    try:
        array = np.array(values)
    except ValueError:
        raise UnreadablePoints(f"'{name}' has different shapes at different points") from None
    if array.dtype.kind == "U":
        strings = {item for item in _flat(values) if isinstance(item, str)}
        if strings <= NON_FINITE.keys():
            return array.astype(np.float64)
    if array.dtype.kind not in "bif":
        raise UnreadablePoints(f"'{name}' is not numeric at every point")
    return array if array.dtype.kind == "b" else array.astype(np.float64)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from chain.from_iterable(map(_flat, value))
    else:
        yield value


class Writer(Protocol):
    """Takes the blocks' results in order; `finish` writes what is only known at the end."""

    def add(self, result: PointsResult) -> None: ...

    def finish(self) -> None: ...


@contextmanager
def writing(path: Path | None, reduce: Reduction) -> Iterator[Writer]:
    """A writer into a file, or as JSON lines to standard output.

    The file appears when all is written; when that fails, what was there before stays.
    """
    if path is None:
        writer: Writer = LinesWriter(sys.stdout.buffer, reduce)
        yield writer
        writer.finish()
        sys.stdout.buffer.flush()
        return
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise UnreadablePoints(f"results are written as {', '.join(KINDS)}")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            writer = _WRITERS[kind](file, reduce)
            yield writer
            writer.finish()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class NpzWriter:
    """`value`, and `dNAME` for the gradient by every input."""

    def __init__(self, file: IO[bytes], reduce: Reduction) -> None:
        self._file = file
        self._reduce = reduce
        self._results: list[PointsResult] = []

    def add(self, result: PointsResult) -> None:
        self._results.append(result)

    def finish(self) -> None:
        whole = joined(self._results, self._reduce)
        np.savez(
            self._file,
            allow_pickle=False,
            value=whole.value,
            **{f"d{name}": gradient for name, gradient in whole.gradients.items()},
        )


class _Reducing:
    """What writers by lines do with gradients that are summed over all points."""

    def __init__(self, file: IO[bytes], reduce: Reduction) -> None:
        self._file = file
        self._reduce = reduce
        self._points = 0
        self._sums: dict[str, Any] = {}

    def _take(self, result: PointsResult) -> dict[str, Any]:
        """The gradients of every point, with those that are reduced taken out."""
        self._points += result.points
        for name in result.reduced:
            part = result.gradients[name]
            self._sums[name] = self._sums[name] + part if name in self._sums else part
        return {n: g for n, g in result.gradients.items() if n not in result.reduced}

    def _total(self) -> dict[str, Any]:
        share = self._points if self._reduce == "mean" else 1
        return {name: total / share for name, total in sorted(self._sums.items())}


class LinesWriter(_Reducing):
    """`{"value": …, "gradients": {…}}` on a line for every point.

    Gradients that are reduced follow on a line of their own at the end.
    """

    def add(self, result: PointsResult) -> None:
        gradients = self._take(result)
        lines = []
        for place in range(result.points):
            at = {name: gradient[place] for name, gradient in gradients.items()}
            lines.append(encode({"value": result.value[place], "gradients": at}))
        lines.append(b"")
        self._file.write(b"\n".join(lines))

    def finish(self) -> None:
        if self._sums:
            self._file.write(encode({"gradients": self._total()}) + b"\n")


class CsvWriter(_Reducing):
    """Columns `value`, `dNAME`, and `dNAME[i,j]` for the elements of tensors.

    Gradients that are reduced don't fit into rows, and are refused.
    """

    _head: list[str] | None = None

    def add(self, result: PointsResult) -> None:
        gradients = self._take(result)
        if self._sums:
            raise UnreadablePoints("a reduced gradient has no place in a .csv: write .npz")
        arrays = {"value": result.value} | {f"d{n}": g for n, g in gradients.items()}
        if self._head is None:
            self._head = [
                title for name, array in arrays.items() for title in _titles(name, array.shape[1:])
            ]
            row = ",".join(f'"{title}"' if "," in title else title for title in self._head)
            self._file.write(row.encode() + b"\n")
        columns: list[Sequence[float]] = []
        for array in arrays.values():
            flat = np.asarray(array).reshape(result.points, -1)
            columns += [flat[:, place].tolist() for place in range(flat.shape[1])]
        rows = map(",".join, zip(*(map(repr, column) for column in columns), strict=True))
        self._file.write("\n".join(chain(rows, ("",))).encode())

    def finish(self) -> None:
        """Nothing is left to write."""


def _titles(name: str, shape: tuple[int, ...]) -> Iterable[str]:
    if not shape:
        return [name]
    return [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(shape)]


_WRITERS: dict[str, Callable[[IO[bytes], Reduction], Writer]] = {
    ".npz": NpzWriter,
    ".csv": CsvWriter,
    **dict.fromkeys(LINES, LinesWriter),
}
