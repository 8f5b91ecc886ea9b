"""JSON by lines: an object of inputs a line in, `{"value": …, "gradients": {…}}` a line out.

Members that no input reads are carried into the line of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import IO, Any

import numpy as np
import orjson

from service.bulk.formats._lines import Lines
from service.bulk.rows import Column, Computed, Layout, Rows, Summary, UnreadablePoints
from service.wire.answers import encode as encode_answer
from service.wire.tensors import NON_FINITE

_OWN = ("value", "gradients", "error")


class JsonLines(Lines):
    """The rows of a file of JSON lines."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        super().__init__(file)
        self.names = tuple(
            next((row for row in _documents(self.first()) if isinstance(row, dict)), ())
        )


open_source = JsonLines


def layout(first: bytes, names: frozenset[str]) -> Layout:
    """The shapes and kinds of the first line that has all inputs as numbers.

    Raises UnreadablePoints where none of the first lines can be read.
    """
    told = "there are no points"
    for number, row in enumerate(_documents(first), 1):
        if isinstance(row, str):
            told = f"line {number} {row}"
            continue
        try:
            inputs = {name: _column(name, row[name]) for name in row if name in names}
        except UnreadablePoints as error:
            told = f"line {number}: {error}"
            continue
        extra = tuple(name for name in row if name not in names)
        clash = next((name for name in extra if name in _OWN), None)
        if clash is not None:
            raise UnreadablePoints(f"'{clash}' is a member of results: give it another name")
        return Layout(inputs, extra)
    raise UnreadablePoints(told)


def rows(block: bytes, layout: Layout) -> Rows:
    """The rows of some lines; one that is no object, or has other inputs, is bad."""
    documents = list(_documents(block))
    columns: dict[str, list[Any]] = {name: [] for name in layout.inputs}
    extra: dict[str, list[Any]] = {name: [] for name in layout.extra}
    errors: dict[int, str] = {}
    for number, row in enumerate(documents):
        if isinstance(row, str):
            errors[number] = f"the line {row}"
            row = {}
        for name, column in layout.inputs.items():
            try:
                columns[name].append(_value(name, row, column))
            except UnreadablePoints as error:
                errors.setdefault(number, str(error))
                columns[name].append(np.zeros(column.shape))
        for name in layout.extra:
            extra[name].append(row.get(name))
    inputs = {
        name: np.array(values, "bool" if layout.inputs[name].kind == "b" else "float64").reshape(
            (len(documents), *layout.inputs[name].shape)
        )
        for name, values in columns.items()
    }
    return Rows(len(documents), inputs, extra, errors)


def _documents(text: bytes) -> Iterator[dict[str, Any] | str]:
    """The objects of all lines that are not blank; what is wrong with a line in its place."""
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            document = orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError:
            yield "is not JSON"
            continue
        yield document if isinstance(document, dict) else "is not an object of inputs"


def _value(name: str, row: dict[str, Any], column: Column) -> Any:
    if name not in row:
        raise UnreadablePoints(f"'{name}' is missing")
    value = row[name]
    if type(value) is float and not column.shape and column.kind == "f":
        return value
    array = _array(name, value)
    if array.shape != column.shape:
        raise UnreadablePoints(
            f"'{name}' has the shape {array.shape}, at first it was {column.shape}"
        )
    if (array.dtype.kind == "b") != (column.kind == "b"):
        raise UnreadablePoints(f"'{name}' is true or false at some points, and a number at others")
    return array


def _column(name: str, value: Any) -> Column:
    array = _array(name, value)
    return Column(array.shape, "b" if array.dtype.kind == "b" else "f")


def _array(name: str, value: Any) -> Any:
    try:
        array = np.array(value)
    except ValueError:
        raise UnreadablePoints(f"'{name}' is no rectangular list") from None
    if (
        array.dtype.kind == "U"
        and {v for v in _flat(value) if isinstance(v, str)} <= NON_FINITE.keys()
    ):
        return array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise UnreadablePoints(f"'{name}' is not numeric")
    return array


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from chain.from_iterable(map(_flat, value))
    else:
        yield value


def encode(computed: Computed) -> bytes:
    """A line for every row; a bad row's has `error` in place of its results."""
    rows = computed.rows
    extra = {name: _plain(values) for name, values in rows.extra.items()}
    lines = []
    for place in range(rows.size):
        line = {name: values[place] for name, values in extra.items()}
        if place in rows.errors:
            line["error"] = rows.errors[place]
        else:
            line["value"] = computed.value[place]
            line["gradients"] = {n: g[place] for n, g in computed.gradients.items()}
        lines.append(encode_answer(line))
    lines.append(b"")
    return b"\n".join(lines)


def _plain(values: Any) -> list[Any]:
    """Cells as JSON has them."""
    if hasattr(values, "to_pylist"):
        values = values.to_pylist()
    elif isinstance(values, np.ndarray):
        values = values.tolist()
    return [
        v if isinstance(v, str | int | float | bool | list | dict | None) else str(v)
        for v in values
    ]


def head(computed: Computed) -> list[str]:
    """JSON lines have no first line."""
    return []


def assemble(
    parts: Callable[[], Iterable[bytes]], titles: list[str], file: IO[bytes], summary: Summary
) -> None:
    """Write all blocks, and reduced gradients on a line of their own at the end."""
    for part in parts():
        file.write(part)
    file.write(last_line(summary))


def last_line(summary: Summary) -> bytes:
    """The line of the reduced gradients, empty where there are none."""
    return encode_answer({"gradients": summary.reduced}) + b"\n" if summary.reduced else b""
