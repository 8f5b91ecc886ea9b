"""Operations whose cost and behaviour a test chooses."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.exceptions import HTTPException

from service.app import answer_problem
from service.codes import Refusal
from service.engine.control import Control
from service.engine.errors import EngineError
from service.http.application import Application
from service.http.operation import Operation
from service.http.prepared import Answer, Cost, PreparedRequest
from service.http.routing import Router
from service.settings import Settings
from service.wire.context import Context, WouldBlock

Scenario = Callable[[httpx.AsyncClient], Awaitable[None]]


@dataclass
class FakeWork:
    """Parses {"flops": …, "sleep": …, "raise": …, "block": …} and notes what was done."""

    errors: dict[str, Exception] = field(default_factory=dict)
    threads: list[str] = field(default_factory=list)
    cancelled: int = 0
    blocked: int = 0

    def parse(self, body: bytes, context: Any, may_block: bool = True, /) -> PreparedRequest:
        asked = json.loads(body)
        if asked.get("block") and not may_block:
            self.blocked += 1
            raise WouldBlock
        if "raise" in asked:
            raise self.errors[asked["raise"]]
        cost = Cost(asked.get("flops", 1), 10, 3)
        return PreparedRequest(cost, lambda control: self.execute(asked, control))

    def execute(self, asked: dict[str, Any], control: Control | None) -> bytes | Answer:
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


def app_of(work: FakeWork, *, access: Any = "compute", **settings: Any) -> Application:
    """An application with one operation, `/v1/fake`; /broken raises."""
    operation = Operation("/v1/fake", work.parse, summary="", description="")
    return app_with(operation, access=access, **settings)


def app_with(operation: Operation, *, access: Any = "compute", **settings: Any) -> Application:
    """An application with this operation; /broken raises."""
    app = Application(Settings(**settings), Context())
    app.include_router(Router(operation, access=access))

    @app.get("/broken")
    async def broken() -> None:
        raise KeyError("the words of a client")

    for kind in (EngineError, Refusal, HTTPException, Exception):
        app.add_exception_handler(kind, answer_problem)
    app.open_shortcut()
    return app


def play(app: Application, scenario: Scenario) -> None:
    """Have a client play a scenario with the application."""

    async def run() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await asyncio.wait_for(scenario(client), 20)
        app.close()

    asyncio.run(run())
