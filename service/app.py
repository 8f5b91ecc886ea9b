"""Wires the parts together, and does nothing else.

Every module of `service.routes` may have: `router`, a FastAPI router; `endpoints`, the
compute endpoints that the front sends straight to their functions; `lifespan`, an async
context manager that is open while the application runs.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import pkgutil
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.staticfiles import StaticFiles

from service import __version__, routes
from service.codes import Refusal
from service.engine.errors import EngineError
from service.engine.memory import keep_freed_memory
from service.errors import MEDIA_TYPE, problem
from service.http import telemetry
from service.http.front import REQUEST_ID, Front
from service.http.metrics import Metrics
from service.http.state import drain_on_sigterm
from service.routes._endpoint import Context
from service.routes._openapi import openapi_document
from service.routes._pages import graph_finder, task_finder
from service.settings import Settings, get_settings
from service.store import Store, create_store
from service.wire.context import recent_graphs
from service.wire.errors import SchemaError

STATIC = Path(__file__).resolve().parent / "static"
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
SWITCH_SECONDS = 0.0001
"""How long a computing thread keeps the interpreter when the event loop wants it."""

DESCRIPTION = """
Post a computation graph; get its forward values and the gradient of its output with
respect to every input. Graphs are nodes as JSON or source text as Python writes it.

Errors are problem documents (RFC 9457) with a stable `code`; `/problems` lists them.
"""


class Service(Front):
    """The front, with the FastAPI application behind it as `api`."""

    api: FastAPI

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return self.api.openapi()


def create_app(settings: Settings | None = None) -> Service:
    """The service as an ASGI application."""
    settings = settings or get_settings()
    modules = list(_modules())
    api = _api(settings, modules)
    store = create_store(settings)
    context = make_context(settings, store)
    endpoints = compute_endpoints()
    service = Service(
        api,
        endpoints.values(),
        settings,
        methods_of=_methods_of(api),
        context=context,
    )
    for path in endpoints:
        handler = service.handler(path)
        api.router.routes.append(Route(path, handler, methods=["POST"], include_in_schema=False))
    _watch_caches(service.metrics, context)
    api.state.context = context
    api.state.settings = settings
    api.state.store = store
    api.state.front = service
    api.state.metrics = service.metrics
    api.state.state = service.state
    return service


def _watch_caches(metrics: Metrics, context: Context) -> None:
    graphs = context.graphs
    metrics.counter("graph_cache_hits", "Graphs recognised.", lambda: graphs.hits)
    metrics.counter("graph_cache_misses", "Graphs read anew.", lambda: graphs.misses)
    metrics.gauge("graph_cache_graphs", "Graphs that are remembered.", lambda: len(graphs))
    metrics.gauge("graph_cache_bytes", "Bytes of their text.", lambda: graphs.size)


def make_context(settings: Settings, store: Store | None = None) -> Context:
    """What all requests share: limits, the graphs seen before, and the registered ones."""
    store = store or create_store(settings)
    return Context(
        find_graph=graph_finder(store),
        find_task=task_finder(store),
        max_diagnosis_runs=settings.max_diagnosis_runs,
        limits=settings.limits,
        graphs=recent_graphs(settings.graph_cache_entries, settings.graph_cache_bytes),
        max_output_bytes=settings.max_output_bytes,
        max_batch=settings.max_batch,
        max_depth=settings.max_json_depth,
    )


def compute_endpoints() -> dict[str, Any]:
    """Every compute endpoint, by its path."""
    return {
        endpoint.path: endpoint
        for module in _modules()
        for endpoint in getattr(module, "endpoints", ())
    }


def _modules() -> Iterable[ModuleType]:
    for found in pkgutil.iter_modules(routes.__path__):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"{routes.__name__}.{found.name}")


def _api(settings: Settings, modules: Iterable[ModuleType]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        front: Service = api.state.front
        async with AsyncExitStack() as stack:
            for module in modules:
                if hasattr(module, "lifespan"):
                    await stack.enter_async_context(module.lifespan(api))
            stack.callback(front.close)
            stack.callback(drain_on_sigterm(front.state, settings.drain_seconds))
            front.start(asyncio.get_running_loop())
            _settle()
            front.traced = settings.telemetry and telemetry.collected()
            front.state.ready = True
            yield
            front.state.ready = False

    api = FastAPI(
        title="Gradient service",
        version=__version__,
        summary="Forward values and gradients of computation graphs.",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry=None if settings.telemetry else _NO_TELEMETRY,
    )
    for module in modules:
        if hasattr(module, "router"):
            api.include_router(module.router)
    api.mount("/static", StaticFiles(directory=STATIC), name="static")
    for kind in (
        EngineError,
        SchemaError,
        Refusal,
        HTTPException,
        RequestValidationError,
        ValidationError,
    ):
        api.add_exception_handler(kind, answer_problem)
    api.add_exception_handler(Exception, answer_problem)
    api.openapi = _openapi(api)  # type: ignore[method-assign]
    return api


_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}


def _settle() -> None:
    """What is loaded now stays: the collector need not look at it again."""
    keep_freed_memory()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)


def _path_of(request: Request) -> str:
    """The path without the prefix that a proxy has for the service."""
    path: str = request.scope["path"]
    return path.removeprefix(request.scope.get("root_path", ""))


async def answer_problem(request: Request, error: Exception) -> Response:
    """FastAPI's exception handler: the problem document of `error`."""
    found = problem(error)
    front: Front = request.app.state.front
    front.metrics.error(found.code.name)
    body = found.body(base=front.settings.public_url, request_id=request.scope.get(REQUEST_ID))
    headers = dict(found.headers)
    if found.status == 405:
        # Starlette names the methods of the first route that has this path.
        headers["allow"] = front.allowed(_path_of(request))
    return Response(body, found.status, headers, MEDIA_TYPE)


def _openapi(api: FastAPI) -> Callable[[], dict[str, Any]]:
    def made() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = openapi_document(api, compute_endpoints().values())
        return api.openapi_schema

    return made


def _methods_of(api: FastAPI) -> Callable[[str], list[str]]:
    """A function from a path to the methods that a route takes there."""

    def methods_of(path: str) -> list[str]:
        def taken(method: str) -> bool:
            scope = {
                "type": "http",
                "path": path,
                "method": method,
                "root_path": "",
                "headers": [],
            }
            return any(route.matches(scope)[0] is Match.FULL for route in api.routes)

        return [method for method in METHODS if taken(method)]

    return methods_of
