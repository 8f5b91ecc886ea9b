"""File formats of points and results, a module each, by the endings of file names.

A module has `open_source(file, name)`, `layout(first, names)` and `rows(block, layout)` to
read, `encode(computed)` to write a block as bytes in any process, and `assemble(parts,
file, summary)` to make the file of all blocks' bytes.
"""

from __future__ import annotations

import gzip
import sys
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from service.bulk.rows import UnreadablePoints

_MODULES = {
    ".npz": "npz",
    ".csv": "delimited",
    ".ndjson": "json_lines",
    ".jsonl": "json_lines",
    ".parquet": "parquet",
    ".arrow": "arrow_file",
    ".feather": "arrow_file",
}
_COMPRESSED = (".csv", ".ndjson", ".jsonl")
STREAM = "json_lines"
"""The format of standard input and output."""


def format_of(path: Path | None) -> str:
    """The name of the module for a path; None is a standard stream. Raises UnreadablePoints."""
    if path is None:
        return STREAM
    ending = path.suffix.lower()
    if ending == ".gz" and path.with_suffix("").suffix.lower() in _COMPRESSED:
        ending = path.with_suffix("").suffix.lower()
    if ending not in _MODULES:
        endings = ", ".join((*_MODULES, *(f"{one}.gz" for one in _COMPRESSED)))
        raise UnreadablePoints(f"points and results are files that end in {endings}")
    return _MODULES[ending]


def module_of(name: str) -> Any:
    """The module of a format. Raises UnreadablePoints where its library is not installed."""
    try:
        return import_module(f"{__name__}.{name}")
    except ImportError as error:
        if error.name is None or not error.name.startswith("pyarrow"):
            raise
        raise UnreadablePoints(
            "Parquet and Arrow need the extra `arrow`: pip install 'gradient-service[arrow]'"
        ) from None


def open_points(path: Path | None) -> IO[bytes]:
    """The bytes of a file of points, unpacked where it ends in .gz."""
    if path is None:
        return sys.stdin.buffer
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]
