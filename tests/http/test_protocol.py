"""A real server against connections that behave badly."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(
        tmp_path_factory.mktemp("protocol"),
        header_seconds="1",
        body_seconds="1",
        keep_alive_seconds="1",
        max_header_bytes="4096",
        max_body_bytes="100000",
    ) as running:
        yield running


def talk(server: Server, data: bytes, seconds: float = 5) -> bytes:
    """Send, then read until the server closes."""
    with server.connect() as connection:
        connection.settimeout(seconds)
        connection.sendall(data)
        return read(connection)


def read(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def problem_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)["code"]


def test_a_connection_that_says_nothing_is_closed(server: Server) -> None:
    assert talk(server, b"") == b""


def test_half_a_head_is_given_up(server: Server) -> None:
    assert problem_of(talk(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")) == (
        408,
        "request_timeout",
    )


def test_half_a_body_is_given_up(server: Server) -> None:
    head = b"POST /problems HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"
    assert problem_of(talk(server, head)) == (408, "request_timeout")


def test_a_head_without_its_body_is_given_up(server: Server) -> None:
    head = b"POST /problems HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n"
    assert problem_of(talk(server, head)) == (408, "request_timeout")


def test_blank_lines_do_not_keep_a_connection_open(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        connection.sendall(b"\r\n")
        connection.settimeout(5)
        assert b"alive" in read(connection)


def test_an_endless_head_is_refused(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        received = b""
        try:
            for _ in range(100):
                connection.sendall(b"X-Filler: " + b"a" * 200 + b"\r\n")
                time.sleep(0.001)
            received = read(connection)
        except OSError:
            received = received or b""
    assert not received or problem_of(received) == (431, "header_too_large")


def test_what_is_not_http_is_refused(server: Server) -> None:
    assert problem_of(talk(server, b"\x16\x03\x01 nonsense\r\n\r\n")) == (400, "bad_request")


@pytest.mark.parametrize("framing", [b"Content-Length: 200000", b"Content-Length: 999999999999999"])
def test_a_large_body_is_refused_by_its_declared_length(server: Server, framing: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /problems HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
        connection.sendall(b" " * 200_000)
        assert problem_of(read(connection)) == (413, "body_too_large")


def test_a_large_body_is_refused_while_it_streams(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(
            b"POST /problems HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(10):
            connection.sendall(b"4e20\r\n" + b" " * 20_000 + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert problem_of(read(connection)) == (413, "body_too_large")


def test_a_client_that_waits_for_100_continue_is_refused_at_once(server: Server) -> None:
    head = b"POST /problems HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n"
    answer = talk(server, head + b"Expect: 100-continue\r\n\r\n")
    assert problem_of(answer) == (413, "body_too_large")


def test_the_server_is_well_after_all_this(server: Server) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/static/docs.js"):
        assert httpx.get(server.url + path, timeout=5).status_code == 200
    assert b"Traceback" not in server.log.read_bytes()


def test_too_many_connections_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, max_connections="3") as server:
        held = [server.connect() for _ in range(3)]
        time.sleep(0.2)
        assert problem_of(talk(server, b"")) == (503, "overloaded")
        for connection in held:
            connection.close()
        time.sleep(0.2)
        assert httpx.get(server.url + "/healthz").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"content-type": "text/plain"}, 415), ({"accept": "text/html"}, 406)],
)
def test_a_refusal_before_the_body_is_one_answer_and_the_connection_goes_on(
    server: Server, headers: dict[str, str], status: int
) -> None:
    with httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            headers = {"content-type": "application/json", **headers}
            refused = client.post("/v1/gradient", content=b"x" * 90_000, headers=headers)
            assert refused.status_code == status
        right = client.post("/v1/gradient", json={"graph": {"expression": "1 + 2"}})
        assert right.json()["value"] == 3.0


def drip(connection: socket.socket) -> None:
    """Send a byte now and then, for eight seconds."""
    for _ in range(80):
        connection.sendall(b"x")
        time.sleep(0.1)


def test_the_rest_of_a_refused_body_is_waited_for_so_long_and_no_longer(server: Server) -> None:
    head = b"POST /v1/gradient HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
    with server.connect() as connection:
        connection.settimeout(10)
        connection.sendall(head + b"Content-Length: 99999\r\n\r\n" + b"x" * 9_000)
        answer = connection.recv(65536)
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            drip(connection)
    assert answer.startswith(b"HTTP/1.1 415")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("name", ["Upgrade", "upgrade"])
def test_an_offered_upgrade_costs_no_body(server: Server, name: str) -> None:
    body = b'{"graph": {"expression": "1 + 2"}}'
    request = (
        f"POST /v1/gradient HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
        f"{name}: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = talk(server, request.encode() + body)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"value":3.0' in answer


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SUM = b'{"graph":{"expression":"1 + 2"}}'
POST = b"POST /v1/gradient HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(SUM) + SUM
HEAD = b"POST /v1/gradient HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def answers(received: bytes) -> list[tuple[int, str]]:
    """Status and code of each answer that came on a connection."""
    read = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        (length,) = [int(line.split(b":")[1]) for line in lines if b"content-length:" in line]
        document = json.loads(received[:length])
        read.append((int(lines[0].split()[1]), document.get("code", "")))
        received = received[length:]
    return read


BAD, FINE = (400, "bad_request"), (200, "")
MALFORMED = (400, "malformed_json")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (GET + b"garbage\r\n\r\n", [FINE, BAD]),
        (POST + b"garbage\r\n\r\n", [FINE, BAD]),
        (POST + GET + POST + b"\x00\x01\x02", [FINE, FINE, FINE, BAD]),
        (GET + b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", [FINE, BAD]),
        (GET + b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", [FINE, BAD]),
        (GET + b"GET / HTTP/1.1\r\nHost x\r\n\r\n", [FINE, BAD]),
        (CHUNKED + b"zz\r\n" + SUM, [BAD]),
        (CHUNKED + b"-1\r\n" + SUM, [BAD]),
        (CHUNKED + b"fffffffffffffffff\r\n" + SUM, [BAD]),
        (CHUNKED + b"\r\n", [BAD]),
        (CHUNKED + b"20\r\n" + SUM + b"too much\r\n0\r\n\r\n", [BAD]),
        (GET + CHUNKED + b"zz\r\n" + SUM, [FINE, BAD]),
        (POST + POST + CHUNKED + b"zz\r\n" + SUM, [FINE, FINE, BAD]),
        (HEAD + b"Content-Length: x\r\n\r\n" + SUM, [BAD]),
        (HEAD + b"Content-Length: -1\r\n\r\n" + SUM, [BAD]),
        (HEAD + b"Content-Length: 32\r\nContent-Length: 31\r\n\r\n" + SUM, [BAD]),
        (HEAD + b"Content-Length: 32\r\nTransfer-Encoding: chunked\r\n\r\n" + SUM, [BAD]),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + SUM, [BAD]),
        (HEAD + b"\r\n" + SUM, [MALFORMED, BAD]),
        (b"GET /healthz HTTP/1.1\r\n\r\n" + GET, [BAD, FINE]),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + GET, [BAD, FINE]),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", [BAD]),
        (b"GET /healthz HTTP/1.1\r\nHost: x y\r\n\r\n", [BAD]),
        (b"GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n", [BAD]),
        (b"GET /healthz HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", [FINE]),
        (b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", [FINE]),
        (b"GET /healthz HTTP/1.0\r\n\r\n", [FINE]),
        (GET.replace(b"\r\n\r\n", b"\r\nX-API-Key: a\r\nX-API-Key: b\r\n\r\n"), [BAD]),
        (
            GET.replace(b"\r\n\r\n", b"\r\nX-API-Key: a\r\nAuthorization: Bearer b\r\n\r\n"),
            [BAD],
        ),
        (
            GET.replace(b"\r\n\r\n", b"\r\nX-API-Key: a\r\nAuthorization: Bearer a\r\n\r\n"),
            [FINE],
        ),
        (HEAD + b"Content-Type: text/plain\r\nContent-Type: application/json\r\n\r\n", [BAD]),
    ],
)
def test_what_is_wrong_with_the_framing_is_said(
    server: Server, sent: bytes, expected: list[tuple[int, str]]
) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        assert answers(read(connection)) == expected


@pytest.mark.parametrize("extra", [b"", POST])
def test_the_heads_limit_holds_for_a_head_in_one_packet(server: Server, extra: bytes) -> None:
    filler = b"\r\nX-Filler: " + b"a" * 5_000
    large = extra + GET.replace(b"\r\n\r\n", filler + b"\r\n\r\n")
    assert answers(talk(server, large))[-1] == (431, "header_too_large")
    body = b'{"graph":{"expression":"1 + 2"},"values":"all"}'.ljust(6_000)
    allowed = HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    assert answers(talk(server, extra + allowed))[-1] == FINE


def test_a_refusal_is_read_by_a_client_that_goes_on_sending(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(CHUNKED + b"zz\r\n")
        for _ in range(50):
            connection.sendall(b"x" * 60_000)
        connection.shutdown(socket.SHUT_WR)
        assert answers(read(connection)) == [BAD]
