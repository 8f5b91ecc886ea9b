"""The file of an SQLite database: whether it is the one that was opened, and still sound.

SQLite writes to its log beside the file, and so goes on for a while when the file itself was
deleted, replaced or damaged; what was written then is lost.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from service.store.model import StoreUnavailable

_MAGIC = b"SQLite format 3\0"
LOG_PAGES = 256
"""Pages after which the log is written into the file, which may have to grow for that."""
_RESERVE_BYTES = 2 * 1024 * 1024
"""Twice the log: deleting goes on once it has been written."""


class DatabaseFile:
    """A database's file, and a reserve beside it: room for deleting on a disk that is full."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._reserve = Path(f"{path}.reserve")
        self._opened: tuple[int, int] | None = None

    def remember(self) -> None:
        """From now on the file that is there is the database."""
        found = self.path.stat()
        self._opened = found.st_dev, found.st_ino
        self.keep_reserve()

    def replaced(self) -> bool:
        """Whether another file stands in its place, such as a backup that was put back."""
        with suppress(OSError):
            found = self.path.stat()
            return self._opened is not None and (found.st_dev, found.st_ino) != self._opened
        return False

    def check(self) -> None:
        """Raise StoreUnavailable when the file is gone, cut short or no database."""
        try:
            with self.path.open("rb") as file:
                head, size = file.read(100), os.fstat(file.fileno()).st_size
        except OSError as error:
            raise StoreUnavailable("the database's file is gone") from error
        # What a new or grown database lacks is still in its log.
        page = int.from_bytes(head[16:18], "big")
        pages = int.from_bytes(head[28:32], "big")
        short = size < pages * (65_536 if page == 1 else page)
        if head and (head[:16] != _MAGIC or (short and not self._logged())):
            raise StoreUnavailable("the database's file is damaged")

    def _logged(self) -> bool:
        """Whether there is something in the log."""
        with suppress(OSError):
            return Path(f"{self.path}-wal").stat().st_size > 0
        return False

    def check_tables(self, tables: tuple[str, ...]) -> None:
        """The same, and what is in the tables is read anew. Raises StoreUnavailable."""
        self.check()
        try:
            with closing(sqlite3.connect(self.path, timeout=1.0)) as connection:
                for table in tables:
                    connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise StoreUnavailable("the database's file is damaged") from error

    def keep_reserve(self) -> None:
        """Have the reserve there, if the disk has room for it."""
        with suppress(OSError):
            if not self._reserve.exists():
                try:
                    self._reserve.write_bytes(bytes(_RESERVE_BYTES))
                except OSError:
                    self._reserve.unlink(missing_ok=True)

    def release_reserve(self) -> bool:
        """Give its room back; False when there was none."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True
