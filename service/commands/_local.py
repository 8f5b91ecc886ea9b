"""Compute endpoints without a server: the same bytes in and out."""

from __future__ import annotations

import sys
from pathlib import Path

from service.engine.control import Control


def read_input(file: str) -> bytes:
    """The bytes of a file; of standard input for `-`."""
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        import typer

        raise typer.BadParameter(f"{file}: {error.strerror}") from None


def answer(path: str, body: bytes) -> bytes:
    """What POSTing `body` to the endpoint at `path` answers; raises what it would refuse with."""
    from service.app import make_context, operations
    from service.settings import get_settings

    settings = get_settings()
    control = Control(settings.deadline_seconds)
    return operations()[path].compute(body, make_context(settings), control)


def write_output(content: bytes, file: Path | None = None) -> None:
    """Write to a file, or with a newline to standard output."""
    if file is not None:
        file.write_bytes(content)
        return
    sys.stdout.buffer.write(content if content.endswith(b"\n") else content + b"\n")
    sys.stdout.buffer.flush()
