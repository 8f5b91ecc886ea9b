"""Clients that ask for much and read nothing of it."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from tests.serving import Server


def _body(**document: Any) -> bytes:
    return json.dumps(document).encode()


NUMBERS = (
    "/v1/forward",
    _body(
        graph={"expression": "a = broadcast_to(x, shape=[2000000])\nb = sin(a)\nf = sum(b)"},
        inputs={"x": 0.1},
        values="all",
    ),
)
"""An answer of 48 MB."""
BATCH = (
    "/v1/grade/batch",
    _body(
        graph={"expression": "a = broadcast_to(x, shape=[8000])\nf = sum(sin(a))"},
        inputs={"x": 0.1},
        reveal="full",
        rubric={"points": {"a": 1}},
        submissions=[0] * 3_000,
    ),
)
"""Lines of 500 MB together."""


def ask(server: Server, path: str, body: bytes) -> socket.socket:
    """A connection on which an answer comes that nobody has read yet."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", server.port))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    with open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
