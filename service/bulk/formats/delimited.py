"""CSV: a first line of names, a row a line; text in columns that no input reads is kept."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

import numpy as np

from service.bulk.formats._lines import Lines
from service.bulk.rows import Column, Computed, Layout, Rows, Summary, UnreadablePoints

_ERROR = "\0"
"""Stands at the end of a row for the column of errors, which is there if any row is bad."""


class Delimited(Lines):
    """The rows of a CSV file. Raises UnreadablePoints for a first line that is none."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        head = file.readline()
        while head.count(b'"') % 2 and (line := file.readline()):
            head += line
        if not head.strip():
            raise UnreadablePoints(f"{name} is empty")
        text = head.decode("utf-8-sig", "surrogateescape")
        self.names = tuple(title.strip() for title in next(csv.reader([text])))
        if len(set(self.names)) != len(self.names) or not all(self.names):
            raise UnreadablePoints(f"the first line of {name} names the columns, each once")
        super().__init__(file, quoted=True)

    def first(self) -> tuple[tuple[str, ...], bytes]:  # type: ignore[override]
        """The names and the first few rows."""
        return self.names, super().first()

    def blocks(self, length: int) -> Iterable[tuple[tuple[str, ...], bytes]]:  # type: ignore[override]
        """The names and the lines of `length` rows at a time."""
        return ((self.names, block) for block in super().blocks(length))


open_source = Delimited


def layout(first: tuple[tuple[str, ...], bytes], names: frozenset[str]) -> Layout:
    """Every input is a column of numbers."""
    columns = first[0]
    inputs = {name: Column() for name in columns if name in names}
    return Layout(inputs, tuple(name for name in columns if name not in inputs))


def rows(block: tuple[tuple[str, ...], bytes], layout: Layout) -> Rows:
    """The rows of some lines; a row with a wrong number of cells or no number is bad."""
    columns, text = block
    if not layout.extra:
        table = _numbers(text, len(columns))
        if table is not None:
            inputs = {
                name: np.ascontiguousarray(table[:, place]) for place, name in enumerate(columns)
            }
            return Rows(len(table), inputs)
    return _one_by_one(columns, text, layout)


def _numbers(text: bytes, width: int) -> Any:
    """The table of a block of nothing but numbers; None where it is not that."""
    if not text.strip():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that there are no rows
            table = np.loadtxt(io.BytesIO(text), delimiter=",", ndmin=2, comments=None)
    except ValueError:
        return None
    return table if table.shape[1] == width else None


def _one_by_one(columns: Sequence[str], text: bytes, layout: Layout) -> Rows:
    read = csv.reader(io.StringIO(text.decode("utf-8", "surrogateescape"), newline=""))
    cells = [row for row in read if row]
    errors: dict[int, str] = {}
    numbers = np.full((len(cells), len(layout.inputs)), np.nan)
    places = [columns.index(name) for name in layout.inputs]
    for number, row in enumerate(cells):
        if len(row) != len(columns):
            errors[number] = f"{len(row)} columns, where the first line names {len(columns)}"
            continue
        try:
            numbers[number] = [float(row[place]) for place in places]
        except ValueError:
            name = next(
                n for n, p in zip(layout.inputs, places, strict=True) if not _is_number(row[p])
            )
            errors[number] = f"'{name}' is no number"
    extra = {}
    for name in layout.extra:
        place = columns.index(name)
        extra[name] = [row[place] if place < len(row) else "" for row in cells]
    inputs = {
        name: np.ascontiguousarray(numbers[:, place]) for place, name in enumerate(layout.inputs)
    }
    return Rows(len(cells), inputs, extra, errors)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def encode(computed: Computed) -> bytes:
    """The lines of a block. Raises UnreadablePoints for what has no place in a table."""
    if computed.sums:
        raise UnreadablePoints("a reduced gradient has no place in a .csv: write .npz or .ndjson")
    rows = computed.rows
    columns: list[Iterable[str]] = [map(_quoted, map(_text, one)) for one in rows.extra.values()]
    for array in _arrays(computed).values():
        flat = np.asarray(array).reshape(rows.size, -1)
        columns += [map(_shown, flat[:, place].tolist()) for place in range(flat.shape[1])]
    ends = [_ERROR] * rows.size
    for number, sentence in rows.errors.items():
        ends[number] = _ERROR + _quoted(sentence)
    lines = [",".join(row) + end for row, end in zip(zip(*columns, strict=True), ends, strict=True)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def head(computed: Computed) -> list[str]:
    """The titles of the columns: `value`, `dNAME`, and `dNAME[i,j]` for elements of tensors."""
    titles = list(computed.rows.extra)
    for name, array in _arrays(computed).items():
        shape = np.shape(array)[1:]
        titles += (
            [f"{name}[{','.join(map(str, i))}]" for i in np.ndindex(shape)] if shape else [name]
        )
    return titles


def assemble(
    parts: Callable[[], Iterable[bytes]], titles: list[str], file: IO[bytes], summary: Summary
) -> None:
    """Write the first line and all blocks, with a column `error` if any row is bad."""
    if summary.bad:
        titles = [*titles, "error"]
    file.write(",".join(map(_quoted, titles)).encode("utf-8", "surrogateescape") + b"\n")
    for part in parts():
        file.write(part.replace(_ERROR.encode(), b"," if summary.bad else b""))


def _arrays(computed: Computed) -> dict[str, Any]:
    return {"value": computed.value} | {f"d{n}": g for n, g in computed.gradients.items()}


def _shown(number: float) -> str:
    return repr(number)


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _quoted(cell: str) -> str:
    cell = cell.replace(_ERROR, "")
    if any(mark in cell for mark in ',"\n\r'):
        return '"' + cell.replace('"', '""') + '"'
    return cell
