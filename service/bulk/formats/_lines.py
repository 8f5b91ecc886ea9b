"""Files of lines: a block is the bytes of some lines, split into rows where it is computed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import IO

FIRST_LINES = 64


class Lines:
    """The lines of a file in blocks.

    With `quoted`, a line ends outside of double quotes only, as in CSV.
    """

    size: int | None = None

    def __init__(self, file: IO[bytes], *, quoted: bool = False) -> None:
        self._file = file
        self._quoted = quoted
        self._first = self._read(FIRST_LINES)

    def first(self) -> bytes:
        """The first few lines; reading still begins with them."""
        return self._first

    def blocks(self, length: int) -> Iterator[bytes]:
        """The bytes of `length` lines at a time, a few more where the file begins."""
        missing = length - FIRST_LINES
        head = self._first + (self._read(missing) if missing > 0 else b"")
        if head:
            yield head
        while block := self._read(length):
            yield block

    def _read(self, length: int) -> bytes:
        block = b"".join(islice(self._file, length))
        # A quote that is open at the end holds the end of its line.
        while self._quoted and block.count(b'"') % 2 and (line := self._file.readline()):
            block += line
        return block
