"""A FastAPI application whose requests go through the pipeline.

It is used as any FastAPI: served, tested, mounted in another application, given further
routers, middleware and dependency overrides. What is done for all requests together (looking
after slow bodies, writing the log, publishing the metrics) begins with the first request, for
an application that is mounted has no lifespan.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.engine.memory import give_back_freed_memory
from service.http import telemetry
from service.http.asgi import ASGI, Receive, Scope, Send
from service.http.execution import Execution
from service.http.metrics import Metrics
from service.http.pipeline import Pipeline
from service.http.pools import Pools, WorkerPool
from service.http.routing import METHODS, RouteTable
from service.http.state import State
from service.settings import Settings
from service.wire.context import Context

TICK_SECONDS = 0.5
MEMORY_SECONDS = 10.0
"""How long freed memory is kept for the requests to come."""
_ASKED_HEADERS = (
    "authorization",
    "content-encoding",
    "content-type",
    "if-none-match",
    "x-api-key",
    "x-request-id",
)
_SHOWN_HEADERS = ("etag", "location", "retry-after", "x-request-id")
"""For scripts of the origins that the settings name."""


class Application(FastAPI):
    """FastAPI, with the pipeline around it."""

    def __init__(self, settings: Settings, context: Context, **options: Any) -> None:
        options.setdefault("telemetry", telemetry.configuration(settings.telemetry))
        super().__init__(redirect_slashes=False, **options)
        self.settings = settings
        self.pools = Pools(settings)
        self.metrics = Metrics(settings.state_dir)
        self.execution = Execution(settings, self.pools, self.metrics, context)
        self.pipeline = Pipeline(
            super().__call__,
            RouteTable(self),
            settings,
            execution=self.execution,
            pools=self.pools,
            metrics=self.metrics,
            state=State(),
        )
        self._way_in: ASGI = self.pipeline
        if settings.cors_origins:
            self._way_in = CORSMiddleware(
                self.pipeline,
                allow_origins=settings.cors_origins,
                allow_methods=METHODS,
                allow_headers=_ASKED_HEADERS,
                expose_headers=_SHOWN_HEADERS,
            )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tick_handle: asyncio.TimerHandle | None = None
        self._memory_given_back = 0.0
        state = self.state
        state.settings, state.context, state.metrics = settings, context, self.metrics
        state.pools = self.pools
        state.execution, state.pipeline, state.state = (
            self.execution,
            self.pipeline,
            self.pipeline.state,
        )
        _register_gauges(self.metrics, self.pipeline, self.pools)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # With the loop given this costs no call of the system, as get_running_loop does.
            if self._loop is None or asyncio.current_task(self._loop) is None:
                self.start()
            await self._way_in(scope, receive, send)
        elif scope["type"] == "websocket" and not self.pipeline.lets_in(scope):
            await send({"type": "websocket.close", "code": 1008})
        else:
            await super().__call__(scope, receive, send)

    def open_shortcut(self) -> None:
        """Let the operations that need nothing of FastAPI be executed without it."""
        self.pipeline.shortcut = self.pipeline.routes.shortcut()

    def start(self) -> None:
        """Begin with what is done for all requests together, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self.pipeline.bodies.patience.loop = self.pipeline.writing.loop = self._loop
        if self.user_middleware or (self.settings.telemetry and telemetry.collected()):
            self.pipeline.shortcut = {}
        self._tick()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = monotonic()
        self.pipeline.bodies.patience.sweep(now)
        self.pipeline.writing.sweep(now)
        self.pipeline.log.flush()
        self.metrics.publish()
        if now - self._memory_given_back > MEMORY_SECONDS:
            self._memory_given_back = now
            give_back_freed_memory()
        self._tick_handle = loop.call_later(TICK_SECONDS, self._tick)

    def close(self) -> None:
        """End the threads, and write what is still to be written."""
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self.pipeline.log.flush()
        self.metrics.publish()
        self.pools.close()


def _register_gauges(metrics: Metrics, pipeline: Pipeline, pools: Pools) -> None:
    metrics.gauge("requests_running", "Requests being answered.", lambda: pipeline.running)
    metrics.gauge("pending_bytes", "Bytes of bodies held in memory.", lambda: pools.held_bytes)
    metrics.gauge("unsent_bytes", "Bytes of answers held in memory.", lambda: pools.unsent)
    for pool in (pools.light, pools.heavy):
        _register_pool(metrics, pool)


def _register_pool(metrics: Metrics, pool: WorkerPool) -> None:
    metrics.gauge("pool_running", "Requests being computed.", lambda: pool.running, pool=pool.name)
    metrics.gauge(
        "pool_waiting", "Requests waiting for a thread.", lambda: pool.waiting, pool=pool.name
    )
    metrics.counter(
        "pool_refused",
        "Requests refused as the queue was full.",
        lambda: pool.refused,
        pool=pool.name,
    )
