"""Tables of Apache Arrow: what Parquet and Arrow files have in common."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import numpy as np
import pyarrow as pa

from service.bulk.rows import Column, Computed, Layout, Rows, Summary, UnreadablePoints


def blocks(batches: Iterable[Any], length: int) -> Iterator[Any]:
    """Record batches of at most `length` rows."""
    for batch in batches:
        for low in range(0, batch.num_rows, length):
            yield batch.slice(low, length)


def layout(first: Any, names: frozenset[str]) -> Layout:
    """The shapes and kinds of the columns; a list column holds a tensor of one axis a row."""
    if not first.num_rows:
        raise UnreadablePoints("there are no points")
    inputs = {}
    for name in first.schema.names:
        if name in names:
            inputs[name] = _column(name, first.column(name))
    return Layout(inputs, tuple(name for name in first.schema.names if name not in inputs))


def _column(name: str, values: Any) -> Column:
    sizes: list[int] = []
    kind = values.type
    present = values.drop_null()
    while _is_list(kind):
        sizes.append(len(present[0]) if len(present) else 0)
        present = present.flatten().drop_null()
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return Column(tuple(sizes), "b")
    if pa.types.is_integer(kind):
        return Column(tuple(sizes), "i")
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Column(tuple(sizes), "f")
    raise UnreadablePoints(f"'{name}' is a column of {values.type}, not of numbers")


def _is_list(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


_DTYPES = {"b": "bool", "i": "float64", "f": "float64"}
"""Integers are floats, as in JSON: what needs indices takes whole numbers."""


def rows(block: Any, layout: Layout) -> Rows:
    """The rows of a batch; one with a null, or with a list of another length, is bad."""
    errors: dict[int, str] = {}
    inputs = {}
    for name, column in layout.inputs.items():
        values = block.column(name)
        if column.shape:
            inputs[name] = _tensors(name, values, column, errors)
            continue
        for place in np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False)).tolist():
            errors.setdefault(place, f"'{name}' is missing")
        if values.null_count:
            values = values.fill_null(False if column.kind == "b" else 0)
        if pa.types.is_decimal(values.type):
            values = values.cast(pa.float64())
        array = values.to_numpy(zero_copy_only=False)
        inputs[name] = np.ascontiguousarray(array, _DTYPES[column.kind])
    extra = {name: block.column(name) for name in layout.extra}
    return Rows(block.num_rows, inputs, extra, errors)


def _tensors(name: str, values: Any, column: Column, errors: dict[int, str]) -> Any:
    """Lists as one array, row by row where they are not all of one length."""
    dtype = _DTYPES[column.kind]
    flat = values
    while _is_list(flat.type):
        flat = flat.flatten()
    count = len(values) * int(np.prod(column.shape))
    if (
        not values.null_count
        and not flat.null_count
        and len(flat) == count
        and _even(values, column.shape)
    ):
        return np.ascontiguousarray(flat.to_numpy(zero_copy_only=False), dtype).reshape(
            (len(values), *column.shape)
        )
    array = np.zeros((len(values), *column.shape), dtype)
    for place, row in enumerate(values.to_pylist()):
        try:
            one = np.array(row, dtype)
        except (TypeError, ValueError):
            errors.setdefault(place, f"'{name}' is missing, in whole or in part")
            continue
        if row is None or one.shape != column.shape:
            told = (
                "is missing"
                if row is None
                else f"has the shape {one.shape}, at first it was {column.shape}"
            )
            errors.setdefault(place, f"'{name}' {told}")
            continue
        array[place] = one
    return array


def _even(values: Any, shape: tuple[int, ...]) -> bool:
    """Whether all lists have the lengths of `shape`."""
    for size in shape:
        if pa.types.is_fixed_size_list(values.type):
            if values.type.list_size != size:
                return False
        elif not bool(np.all(values.value_lengths().to_numpy(zero_copy_only=False) == size)):
            return False
        values = values.flatten()
    return True


def encode(computed: Computed) -> bytes:
    """The block as an Arrow stream, with a column `error`."""
    if computed.sums:
        raise UnreadablePoints("a reduced gradient has no place in a table: write .npz or .ndjson")
    rows = computed.rows
    names, columns = [], []
    for name, values in rows.extra.items():
        names.append(
            pa.field(name, values.type) if hasattr(values, "type") else pa.field(name, pa.string())
        )
        columns.append(
            values if hasattr(values, "type") else pa.array(map(_text, values), pa.string())
        )
    arrays = {"value": computed.value} | {f"d{n}": g for n, g in computed.gradients.items()}
    for name, array in arrays.items():
        column = _array(np.asarray(array))
        shape = np.shape(array)[1:]
        # Lists are flat: the shape of a row's tensor stands with the column.
        metadata = {"shape": json.dumps(shape)} if len(shape) > 1 else None
        names.append(pa.field(name, column.type, metadata=metadata))
        columns.append(column)
    names.append(pa.field("error", pa.string()))
    columns.append(pa.array([rows.errors.get(place) for place in range(rows.size)], pa.string()))
    batch = pa.record_batch(columns, schema=pa.schema(names))
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, batch.schema) as writer:
        writer.write_batch(batch)
    return buffer.getvalue()


def _array(array: Any) -> Any:
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    size = int(np.prod(array.shape[1:]))
    return flat if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, size)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def head(computed: Computed) -> list[str]:
    """A table's schema is its own head."""
    return []


def assemble_with(
    make_writer: Callable[[Any], Any], parts: Callable[[], Iterable[bytes]], summary: Summary
) -> None:
    """Write all blocks by the writer that `make_writer(schema)` gives."""
    writer = None
    try:
        for part in parts():
            with pa.ipc.open_stream(part) as stream:
                table = stream.read_all()
            if not summary.bad:
                table = table.drop_columns(["error"])
            if writer is None:
                writer = make_writer(table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def open_table(reader: Callable[[IO[bytes]], Any], file: IO[bytes], name: str, kind: str) -> Any:
    """What `reader` makes of a file. Raises UnreadablePoints."""
    try:
        return reader(file)
    except pa.ArrowException:
        raise UnreadablePoints(f"{name} is no {kind} file") from None
