"""Apache Parquet. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from service.bulk.formats import _arrow
from service.bulk.formats._arrow import encode, head, layout, rows
from service.bulk.rows import Summary

__all__ = ["assemble", "encode", "head", "layout", "open_source", "rows"]

_BUFFER_BYTES = 1 << 20


class Parquet:
    """The rows of a Parquet file."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = _arrow.open_table(_opened, file, name, "Parquet")
        self.names = tuple(self._file.schema_arrow.names)
        self.size = self._file.metadata.num_rows

    def first(self) -> Any:
        """The first row."""
        schema = self._file.schema_arrow
        return next(
            self._file.iter_batches(1, use_threads=False), pa.RecordBatch.from_pylist([], schema)
        )

    def blocks(self, length: int) -> Iterator[Any]:
        """Record batches of `length` rows, fewer at the end of a group of rows."""
        return self._file.iter_batches(length, use_threads=False)  # type: ignore[no-any-return]


def _opened(file: IO[bytes]) -> Any:
    """A Parquet file that is read piece by piece: by itself pyarrow holds all that was read."""
    return pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER_BYTES)


open_source = Parquet


def assemble(
    parts: Callable[[], Iterable[bytes]], titles: list[str], file: IO[bytes], summary: Summary
) -> None:
    """Write all blocks, a group of rows each."""
    _arrow.assemble_with(lambda schema: pq.ParquetWriter(file, schema), parts, summary)
