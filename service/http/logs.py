"""Structured logs: one JSON object a line, on standard error, without submitted content.

Lines about requests are gathered and written together a few times a second, so that the
request itself pays for the making of one small object only.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson

MAX_LINES = 256


def line(level: str, event: str, **members: Any) -> bytes:
    """One line of the log. `members` are of the service's making, never of a client's."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    return orjson.dumps(
        {"time": stamp, "level": level, "event": event, **members},
        default=str,
        option=orjson.OPT_APPEND_NEWLINE,
    )


class AccessLog:
    """Lines about requests, gathered until `flush`."""

    def __init__(self, which: str) -> None:
        self.all = which == "all"
        self.off = which == "off"
        self._lines: list[bytes] = []

    def add(
        self,
        *,
        request_id: bytes,
        method: str,
        path: str,
        status: int,
        seconds: float,
        code: str | None,
        key: str | None,
        bytes_in: int,
        bytes_out: int,
        trace_id: str | None = None,
    ) -> None:
        """Note one request. `path` is the route's template."""
        traced = {} if trace_id is None else {"trace_id": trace_id}
        self._lines.append(
            line(
                "info" if status < 500 else "error",
                "request",
                request_id=request_id.decode("latin-1"),
                method=method,
                path=path,
                status=status,
                code=code,
                milliseconds=round(seconds * 1000, 3),
                key=key,
                bytes_in=bytes_in,
                bytes_out=bytes_out,
                **traced,
            )
        )
        if len(self._lines) >= MAX_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered; a closed or full standard error is no reason to fail."""
        if self._lines:
            data = b"".join(self._lines)
            self._lines.clear()
            with suppress(OSError, ValueError):
                sys.stderr.flush()
                os.write(sys.stderr.fileno(), data)


def failure(error: BaseException, *, request_id: str, path: str) -> None:
    """Log an unforeseen exception: its type and where it arose.

    Its text is left out, because it may hold what a client sent.
    """
    frames = [
        f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    logging.getLogger("service").error(
        "internal error",
        extra={
            "members": {
                "request_id": request_id,
                "path": path,
                "exception": type(error).__name__,
                "frames": frames[-20:],
            }
        },
    )


class JsonFormatter(logging.Formatter):
    """Log records as JSON lines; of an exception, type and frames but not its text."""

    def format(self, record: logging.LogRecord) -> str:
        members: dict[str, Any] = {
            "logger": record.name,
            **getattr(record, "members", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            members["exception"] = record.exc_info[0].__name__
            members["frames"] = [
                f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])
            ][-20:]
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        document = {
            "time": stamp,
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **members,
        }
        return orjson.dumps(document, default=str).decode()


def configuration(level: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` and uvicorn's `log_config` take."""
    quiet = {"handlers": ["stderr"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "service.http.logs.JsonFormatter"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {
            "uvicorn": quiet,
            "uvicorn.error": {"level": level.upper()},
            "service": quiet,
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
