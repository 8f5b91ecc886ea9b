"""Finished blocks beside the file they will become, so that a killed job can be gone on with.

`.NAME.parts/` holds `job.json`, which says what the blocks are of, and a file a block. A
block's file appears under its name when it is whole; so whatever is there is finished.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

_LENGTH_BYTES = 8


class OtherJob(ValueError):
    """The blocks that are there are of another job, or there are none."""


class Spool:
    """The finished blocks of the job that makes the file `target`."""

    def __init__(self, target: Path) -> None:
        self.folder = target.with_name(f".{target.name}.parts")
        self._digest = ""

    def begin(self, job: Mapping[str, Any], *, resume: bool) -> frozenset[int]:
        """Open the folder for a job; gives the numbers of the blocks that are finished.

        Without `resume` what is there goes. Raises OtherJob when what is there is not of
        this job, OSError.
        """
        digest = hashlib.sha256(orjson.dumps(job, option=orjson.OPT_SORT_KEYS)).hexdigest()
        record = self.folder / "job.json"
        if resume:
            try:
                there = orjson.loads(record.read_bytes())["digest"]
            except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
                there = None
            if there is None:
                raise OtherJob(
                    "there are no finished blocks to go on from: run it without --resume"
                )
            if there != digest:
                raise OtherJob(
                    "the finished blocks are of other points or submissions, of another graph or "
                    "task, or of other options: run it without --resume"
                )
        else:
            self.discard()
            self.folder.mkdir(parents=True)
            _write_whole(record, orjson.dumps({"digest": digest, "job": job}))
        return frozenset(int(path.stem) for path in self.folder.glob("*.block"))

    def put(self, number: int, header: Mapping[str, Any], body: bytes) -> None:
        """Keep a finished block."""
        head = orjson.dumps(header)
        _write_whole(self._path(number), len(head).to_bytes(_LENGTH_BYTES, "little") + head + body)

    def header(self, number: int) -> dict[str, Any]:
        """What was said of a block when it was kept."""
        with self._path(number).open("rb") as file:
            size = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header: dict[str, Any] = orjson.loads(file.read(size))
            return header

    def body(self, number: int) -> bytes:
        """The bytes of a block."""
        with self._path(number).open("rb") as file:
            size = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            file.seek(size, os.SEEK_CUR)
            return file.read()

    def bodies(self, count: int) -> Iterator[bytes]:
        """The bytes of the first `count` blocks, in order."""
        return map(self.body, range(count))

    def discard(self) -> None:
        """Remove the folder."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:09d}.block"


class MemorySpool:
    """The same for results that go to standard output: nothing is kept."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[Mapping[str, Any], bytes]] = {}

    def begin(self, job: Mapping[str, Any], *, resume: bool) -> frozenset[int]:
        """Nothing is finished. Raises OtherJob with `resume`."""
        if resume:
            raise OtherJob("--resume needs --output: finished blocks lie beside it")
        return frozenset()

    def put(self, number: int, header: Mapping[str, Any], body: bytes) -> None:
        """Keep a finished block."""
        self._blocks[number] = header, body

    def header(self, number: int) -> Mapping[str, Any]:
        """What was said of a block when it was kept."""
        return self._blocks[number][0]

    def body(self, number: int) -> bytes:
        """The bytes of a block."""
        return self._blocks[number][1]

    def discard(self) -> None:
        """Forget the blocks."""
        self._blocks.clear()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whenever the process or machine ends."""
    part = path.with_suffix(".tmp")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
