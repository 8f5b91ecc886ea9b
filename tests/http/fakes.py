"""Endpoints whose cost and behaviour a test chooses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from service.engine.control import Control
from service.http.endpoint import Answer
from service.http.front import Front
from service.routes._endpoint import WouldBlock
from service.settings import Settings


@dataclass
class FakeCost:
    flops: int = 1
    nodes: int = 3
    output_bytes: int = 10


@dataclass
class FakeWork:
    cost: FakeCost
    run: Callable[[Control | None], bytes | Answer]


@dataclass
class FakeEndpoint:
    """Reads {"flops": …, "sleep": …, "raise": …, "block": …} and notes what was done."""

    path: str = "/v1/fake"
    errors: dict[str, Exception] = field(default_factory=dict)
    threads: list[str] = field(default_factory=list)
    cancelled: int = 0
    blocked: int = 0

    def read(self, body: bytes, context: Any, may_block: bool) -> FakeWork:
        asked = json.loads(body)
        if asked.get("block") and not may_block:
            self.blocked += 1
            raise WouldBlock
        if "raise" in asked:
            raise self.errors[asked["raise"]]
        return FakeWork(FakeCost(asked.get("flops", 1)), lambda control: self.run(asked, control))

    def run(self, asked: dict[str, Any], control: Control | None) -> bytes | Answer:
        import threading

        self.threads.append(threading.current_thread().name)
        end = time.monotonic() + asked.get("sleep", 0)
        while time.monotonic() < end:
            try:
                if control is not None:
                    control.check()
            except Exception:
                self.cancelled += 1
                raise
            time.sleep(0.005)
        if asked.get("svg"):
            return Answer(b"<svg/>", "image/svg+xml", 203)
        return b'{"done":true}'


async def no_api(scope: Any, receive: Any, send: Any) -> None:
    raise KeyError("the words of a client")


def front_of(endpoint: FakeEndpoint, **settings: Any) -> Front:
    """A front with this endpoint and nothing behind it."""
    return Front(no_api, [endpoint], Settings(**settings), methods_of=lambda path: ())
