"""Answers that nobody reads are given up; a slow reader gets all of its own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.load.unread import BATCH, NUMBERS, ask, resident_bytes
from tests.serving import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("writing"), write_seconds="1") as running:
        yield running


def rest(connection: socket.socket) -> bytes:
    """What comes until the other side has closed."""
    received = bytearray()
    with suppress(ConnectionError):
        while chunk := connection.recv(1_000_000):
            received += chunk
    return bytes(received)


def metric(server: Server, name: str) -> float:
    text = httpx.get(server.url + "/metrics").text
    (line,) = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(line.rpartition(" ")[2])


def wait_until(server: Server, name: str, least: float, most: float) -> None:
    end = time.monotonic() + 20
    while not least <= metric(server, name) <= most:
        assert time.monotonic() < end, (name, metric(server, name))
        time.sleep(0.1)


@pytest.mark.parametrize("case", [NUMBERS, BATCH], ids=["answer", "stream"])
def test_an_answer_that_nobody_reads_is_given_up(server: Server, case: tuple[str, bytes]) -> None:
    before = metric(server, "gradient_hung_up_total")
    with ask(server, *case) as connection:
        wait_until(server, "gradient_hung_up_total", before + 1, before + 1)
        wait_until(server, "gradient_unsent_bytes", 0, 0)
        assert len(rest(connection)) < 20_000_000
    assert "without completing" not in server.log.read_text()


def test_small_answers_that_nobody_reads_do_not_keep_their_connection(server: Server) -> None:
    body = b'{"graph":{"expression":"sum(x*x)"},"inputs":{"x":[' + b"1," * 4_000 + b"1]}}"
    head = b"POST /v1/gradient HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with ask(server, "/v1/gradient", body) as connection, suppress(ConnectionError):
        while True:  # A TimeoutError if the server neither reads on nor closes.
            connection.sendall(head + body)


def test_a_slow_reader_gets_the_whole_answer(server: Server) -> None:
    path, body = NUMBERS
    with ask(server, path, body) as connection:
        received = bytearray()
        end = time.monotonic() + 3.0
        while time.monotonic() < end:  # Longer than the patience, a little at a time.
            received += connection.recv(65_536)
            time.sleep(0.01)
        head, _, begun = bytes(received).partition(b"\r\n\r\n")
        (length,) = [
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"content-length" in line
        ]
        assert len(begun) < length
        received = bytearray(begun)
        while len(received) < length:
            chunk = connection.recv(1_000_000)
            assert chunk
            received += chunk
    assert len(json.loads(received)["values"]["b"]) == 2_000_000


def test_a_stream_is_made_as_it_is_read(server: Server) -> None:
    """A batch whose lines are 300 MB together: a reader of its beginning costs its beginning."""
    before = resident_bytes(server.process.pid)
    with ask(server, *BATCH) as connection:
        while not connection.recv(65_536).count(b'"score"'):
            pass
        for _ in range(10):
            time.sleep(0.1)
            assert resident_bytes(server.process.pid) < before + 60e6
            connection.recv(65_536)


def test_a_stream_ends_with_a_line_that_says_why(tmp_path: Path) -> None:
    path, body = BATCH
    with serving(tmp_path, max_output_bytes="3000000") as server:
        answer = httpx.post(server.url + path, content=body, timeout=60)
    lines = answer.text.splitlines()
    assert len(answer.content) < 3_001_000
    assert "error" not in json.loads(lines[-2])
    error = json.loads(lines[-1])["error"]
    assert (error["code"], error["limit"]) == ("limit_exceeded", "output_bytes")
