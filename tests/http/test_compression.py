"""gzip: what is packed and for whom; bodies that are bombs, cut short or no gzip at all."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest

from service.codes import Refusal
from service.http.compression import MOST_MEMBERS, takes_gzip, unpacked
from tests.http.every_path import Way, ask, reach

GRAPH = {"graph": {"expression": "sum(x * x)"}, "inputs": {"x": [0.1 * i for i in range(2_000)]}}


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (b"gzip", True),
        (b"deflate, GZIP;q=0.5", True),
        (b"*", True),
        (b"x-gzip", True),
        (b"", False),
        (b"identity", False),
        (b"br", False),
        (b"gzip;q=0", False),
        (b"gzip; q=0.00", False),
        (b"*;q=1, gzip;q=0", False),
    ],
)
def test_accept_encoding_is_read_as_http_has_it(header: bytes, taken: bool) -> None:
    assert takes_gzip(header) is taken


def test_a_body_is_unpacked_up_to_the_limit() -> None:
    content = b"".join(b"%d," % i for i in range(10_000))
    packed = gzip.compress(content)
    assert unpacked(packed, len(content)) == content
    assert unpacked(packed, len(content) - 1) is None
    assert unpacked(packed + packed, 2 * len(content)) == content + content
    assert unpacked(packed + packed, len(content)) is None
    assert unpacked(gzip.compress(b""), 10) == b""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"\x1f\x8b",
        gzip.compress(b"x" * 100)[:-1],
        gzip.compress(b"x" * 100)[:-5] + b"\0\0\0\0\0",
        gzip.compress(b"x") + b"and more",
        gzip.compress(b"x") * (MOST_MEMBERS + 1),
        zlib.compress(b"{}"),
    ],
    ids=["empty", "plain", "head", "cut", "sum", "trailing", "many", "zlib"],
)
def test_what_gzip_did_not_make_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as raised:
        unpacked(body, 1_000)
    assert raised.value.code.status == 400


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = b" " * 1_000_000
    return b"".join([packer.compress(chunk) for _ in range(size // 1_000_000)]) + packer.flush()


@pytest.mark.parametrize("nested", [False, True])
def test_a_bomb_is_413_and_takes_no_more_than_the_limit(nested: bool) -> None:
    limit = 1_000_000
    body = bomb(500_000_000)
    if nested:
        body = gzip.compress(body)
    way = reach("plain", max_body_bytes=limit)
    packed = {"content-encoding": "gzip", "content-type": "application/json"}
    ask(way, [("POST", "/v1/gradient", {"json": GRAPH})])
    tracemalloc.start()
    (answer,) = ask(way, [("POST", "/v1/gradient", {"content": body, "headers": packed})])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == (400 if nested else 413)
    assert peak < 4 * limit
    assert way.app.pools.held_bytes == 0


@pytest.mark.parametrize("way", ["plain", "shortcut emptied", "mounted"])
def test_a_packed_body_is_the_same_request(way: str) -> None:
    reached = reach(way)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    for path in ("/v1/gradient", "/v1/graphs"):
        document: dict[str, Any] = GRAPH if "gradient" in path else {"graph": GRAPH["graph"]}
        plain, packed = ask(
            reached,
            [
                ("POST", path, {"json": document}),
                (
                    "POST",
                    path,
                    {"content": gzip.compress(json.dumps(document).encode()), "headers": headers},
                ),
            ],
        )
        assert plain.status_code in (200, 201)
        assert packed.content == plain.content
    assert reached.app.pools.held_bytes == 0


def sizes(way: Way, method: str, path: str, **options: Any) -> tuple[Any, Any]:
    """The same request's answers without gzip and with it."""
    asked = []
    for coding in ("identity", "gzip"):
        headers = {**options.get("headers", {}), "accept-encoding": coding}
        asked.append((method, path, {**options, "headers": headers}))
    plain, packed = ask(way, asked)
    assert packed.content == plain.content
    assert packed.status_code == plain.status_code
    return plain, packed


@pytest.mark.parametrize("way", ["plain", "shortcut emptied", "mounted"])
@pytest.mark.parametrize(
    ("method", "path", "json", "least"),
    [
        ("GET", "/openapi.json", None, 6),
        ("GET", "/v1/operators", None, 4),
        ("POST", "/v1/gradient", GRAPH, 1.7),
        ("POST", "/v1/explain", {**GRAPH, "inputs": {"x": [1, 2]}}, 2.5),
    ],
)
def test_answers_are_packed_for_who_takes_it(
    way: str, method: str, path: str, json: Any, least: float
) -> None:
    plain, packed = sizes(reach(way), method, path, json=json)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert int(plain.headers["content-length"]) > least * int(packed.headers["content-length"])
    if method == "GET":
        assert "accept-encoding" in plain.headers["vary"].lower()


@pytest.mark.parametrize("way", ["plain", "shortcut emptied"])
def test_small_answers_and_base64_go_out_as_they_are(way: str) -> None:
    reached = reach(way)
    for document in ({"graph": {"expression": "1 + 2"}}, {**GRAPH, "encoding": "base64"}):
        _, packed = sizes(reached, "POST", "/v1/gradient", json=document)
        assert "content-encoding" not in packed.headers


def test_a_packed_answer_has_a_weak_tag_that_is_recognised() -> None:
    way = reach("plain")
    large = {"graph": {"expression": "+".join(f"x{i}" for i in range(500))}, "name": "large"}
    ask(way, [("POST", "/v1/graphs", {"json": large})])
    plain, packed = sizes(way, "GET", "/v1/graphs/large")
    assert packed.headers["etag"] == "W/" + plain.headers["etag"]
    again = {"headers": {"if-none-match": packed.headers["etag"]}}
    assert ask(way, [("GET", "/v1/graphs/large", again)])[0].status_code == 304


def test_lines_of_a_stream_are_packed_as_they_come() -> None:
    task = {"graph": {"expression": "x * y"}, "inputs": {"x": 1, "y": 2}}
    body = {**task, "submissions": [{"gradients": {"x": 2, "y": 1}}] * 50}
    plain, packed = sizes(reach("plain"), "POST", "/v1/grade/batch", json=body)
    assert packed.headers["content-encoding"] == "gzip"
    assert len(plain.text.splitlines()) == 50
