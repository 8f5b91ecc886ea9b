"""Arrow's own files (Feather). Needs pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import pyarrow as pa

from service.bulk.formats import _arrow
from service.bulk.formats._arrow import encode, head, layout, rows
from service.bulk.rows import Summary

__all__ = ["assemble", "encode", "head", "layout", "open_source", "rows"]


class ArrowFile:
    """The rows of an Arrow file."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._reader = _arrow.open_table(pa.ipc.open_file, file, name, "Arrow")
        self.names = tuple(self._reader.schema.names)
        self.size = None

    def first(self) -> Any:
        """The first row."""
        empty = pa.RecordBatch.from_pylist([], self._reader.schema)
        return next(_arrow.blocks(self._batches(), 1), empty)

    def blocks(self, length: int) -> Iterator[Any]:
        """Record batches of at most `length` rows."""
        return _arrow.blocks(self._batches(), length)

    def _batches(self) -> Iterator[Any]:
        return map(self._reader.get_batch, range(self._reader.num_record_batches))


open_source = ArrowFile


def assemble(
    parts: Callable[[], Iterable[bytes]], titles: list[str], file: IO[bytes], summary: Summary
) -> None:
    """Write all blocks, a record batch each."""
    _arrow.assemble_with(lambda schema: pa.ipc.new_file(file, schema), parts, summary)
