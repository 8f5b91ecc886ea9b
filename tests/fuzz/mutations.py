"""Requests that were right once: bodies of the document's examples, changed bit by bit.

    python -m tests.fuzz.mutations 40000 [SEED]

sends so many to every POST path, in process, and prints each that was answered 500 and the
statuses of all. A mutation changes the JSON (a value for another kind of value, a member more
or less, a part of another request) or the bytes (flipped, cut, doubled, no UTF-8).
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
from pydantic import SecretStr

from service.app import create_app
from service.settings import Settings
from tests.fuzz.watching import DOCUMENT, ROOT

Json = Any

STRANGE: tuple[Json, ...] = (
    *(None, True, False, 0, -1, 1.7, -0.0, 1e308, -1e-320, 10**20, 2**63, -(2**63) - 1, 10**400),
    *("", "x", "NaN", "inf", "-inf", "1e30", "\ud800", "a\udfffb", "\0", "x.0", "dx", "input"),
    *("f = x[", "x" * 300, "∂", "x\u202ey", "__class__", "/", "~1", "sha256:" + "0" * 64),
    *([], {}, [[]], [1, [2]], [0, 10**20], [0, 2**62, 4], [1] * 70, [None], ["x", "x"], [-1]),
    {"\ud800": 1},
    {"x": {"x": {"x": {}}}},
    {"data": "AAAA", "dtype": "float64", "shape": [1]},
    {"object_type": "array", "shape": [1], "dtype": "float64", "data": {"buffer": [1]}},
)
BYTES = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\x00", b'"', b"{", b"]", b",", b"1e999", b"\\u")
NAMES = ("graph", "inputs", "wrt", "output", "nodes", "id", "op", "value", "shape", "expression")


def graphs() -> dict[str, Json]:
    """Some graphs that are registered, by name, for paths that have one in them."""
    return {
        "fuzzed": {"expression": "f = sum(x * w)\ng = tanh(f)", "output": ["f", "g"]},
        "numbers": {"expression": "f = x * y + sin(x)"},
    }


def seeds() -> list[tuple[str, Json]]:
    """(path, body) of every example of a POST path; an empty object where there is none."""
    found: list[tuple[str, Json]] = []
    for path, operations in DOCUMENT["paths"].items():
        if "post" not in operations:
            continue
        places = [path]
        if "{" in path:
            places = [path.replace("{graph}", name) for name in graphs()]
            places = [place.split("{")[0] + "fuzzed" if "{" in place else place for place in places]
        bodies: list[Json] = [{}]
        for media in operations["post"].get("requestBody", {}).get("content", {}).values():
            if "example" in media:
                bodies.append(media["example"])
            bodies += [one["value"] for one in media.get("examples", {}).values() if "value" in one]
        found += [(place, body) for place in places for body in bodies]
    for file in sorted((ROOT / "openapi" / "examples").glob("*.request.json")):
        body = json.loads(file.read_bytes())
        stem = file.name.removesuffix(".request.json")
        matching = [p for p in DOCUMENT["paths"] if stem.startswith(p.rpartition("/")[2] + "-")]
        found += [(path, body) for path in matching if "post" in DOCUMENT["paths"][path]]
    return found


def places(document: Json) -> Iterator[tuple[Json, Json]]:
    """Every (container, key) of a document."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        pairs = one.items() if isinstance(one, dict) else enumerate(one)
        for key, value in list(pairs):
            yield one, key
            if isinstance(value, dict | list):
                waiting.append(value)


class Mutator:
    """Makes changed requests out of seeds, the same ones for the same number."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seeds = seeds()
        self.paths = sorted({path for path, _ in self.seeds})
        self.parts = [container[key] for _, body in self.seeds for container, key in places([body])]

    def request(self) -> tuple[str, bytes]:
        """A path and a body."""
        path, body = self.random.choice(self.seeds)
        if self.random.random() < 0.05:
            path = self.random.choice(self.paths)
        document = [copy.deepcopy(body)]
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3))):
            self._change(document)
        content = self._written(document[0])
        if self.random.random() < 0.3:
            content = self._garbled(content)
        return path, content

    def _change(self, document: list[Json]) -> None:
        container, key = self.random.choice(list(places(document)))
        value = container[key]
        match self.random.randrange(7):
            case 0 | 1:
                container[key] = copy.deepcopy(self.random.choice(STRANGE))
            case 2:
                container[key] = copy.deepcopy(self.random.choice(self.parts))
            case 3 if isinstance(container, dict):
                del container[key]
            case 3 | 4 if isinstance(container, list) and container is not document:
                container.insert(key, copy.deepcopy(value))
            case 4 if isinstance(container, dict):
                container[self.random.choice((*NAMES, "\udc80", ""))] = value
            case 5 if isinstance(value, int | float) and not isinstance(value, bool):
                container[key] = value * self.random.choice((-1, 3, 1000, 10**9))
            case 5 if isinstance(value, str) and value:
                at = self.random.randrange(len(value))
                more = self.random.choice(("\ud800", "(", "]", "\n", "**", "é", "=", "0", value))
                container[key] = value[:at] + more + value[at + self.random.randrange(2) :]
            case _:
                container[key] = [value] if self.random.random() < 0.5 else {"x": value}

    def _written(self, document: Json) -> bytes:
        text = json.dumps(document, ensure_ascii=self.random.random() < 0.7)
        return text.encode("utf-8", "surrogatepass")

    def _garbled(self, content: bytes) -> bytes:
        at = self.random.randrange(len(content) + 1)
        match self.random.randrange(5):
            case 0:
                return content[:at] + self.random.choice(BYTES) + content[at:]
            case 1:
                return content[:at] + self.random.choice(BYTES) + content[at + 1 :]
            case 2:
                return content[:at]
            case 3:
                end = min(len(content), at + self.random.randrange(1, 20))
                return content[:end] + content[at:end] + content[end:]
        flipped = bytearray(content)
        if flipped:
            flipped[at % len(flipped)] ^= 1 << self.random.randrange(8)
        return bytes(flipped)


async def send(count: int, seed: int) -> tuple[Counter[int], list[tuple[str, bytes, bytes]]]:
    """How often each status came, and the requests that were answered 500, with the answers."""
    settings = Settings(
        database_url=SecretStr("sqlite://"),
        max_total_elements=200_000,
        max_tensor_elements=100_000,
        max_flops=200_000_000,
        max_nodes=20_000,
        max_derived_nodes=5_000,
        max_output_bytes=20_000_000,
        deadline_seconds=2.0,
        access_log="off",
        log_level="critical",
    )
    app = create_app(settings)
    mutator = Mutator(seed)
    statuses: Counter[int] = Counter()
    failed = []
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        for name, graph in graphs().items():
            answer = await client.put(f"/v1/graphs/names/{name}", json={"graph": graph})
            if answer.status_code >= 300:
                answer = await client.post("/v1/graphs", json={"graph": graph, "name": name})
            assert answer.status_code < 300, answer.text
        for number in range(count):
            path, body = mutator.request()
            answer = await client.post(
                path, content=body, headers={"content-type": "application/json"}
            )
            statuses[answer.status_code] += 1
            if answer.status_code == 500:
                failed.append((path, body, answer.content))
            if number % 1000 == 999:
                print(number + 1, dict(statuses), flush=True)
        again = {"graph": {"expression": "f = x * x"}, "inputs": {"x": 3.0}}
        for path in ("/v1/hessian", "/v1/gradient", "/v1/explain"):
            answer = await client.post(path, json=again)
            assert answer.status_code == 200, (path, answer.text)
    app.close()
    app.state.store.close()
    return statuses, failed


def main() -> int:
    """Send them; 1 when one was answered 500."""
    count, *seed = map(int, sys.argv[1:] or ["2000"])
    statuses, failed = asyncio.run(send(count, seed[0] if seed else 0))
    for path, body, answer in failed:
        print(f"{path}\n  {body[:2000]!r}\n  {answer[:300]!r}")
    print(f"{sum(statuses.values())} requests: {dict(sorted(statuses.items()))}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
