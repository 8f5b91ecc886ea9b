"""Wires the parts together, and does nothing else.

Every module of `service.routes` may have: `router`, a FastAPI router; `lifespan`, an async
context manager that is open while the application runs.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from service import __version__, routes
from service.codes import Refusal
from service.engine.errors import EngineError
from service.engine.memory import keep_freed_memory
from service.engine.run import choose
from service.errors import MEDIA_TYPE, problem
from service.http.application import Application
from service.http.metrics import Metrics
from service.http.operation import Operation
from service.http.request_context import CONTEXT, RequestContext
from service.http.routing import Router
from service.http.state import drain_on_sigterm
from service.routes._openapi import openapi_document
from service.routes._pages import graph_finder, task_finder
from service.settings import Settings, get_settings
from service.store import Store, create_store
from service.wire.context import Context, recent_graphs
from service.wire.errors import SchemaError

STATIC = Path(__file__).resolve().parent / "static"
SWITCH_SECONDS = 0.0001
"""How long a computing thread keeps the interpreter when the event loop wants it."""

DESCRIPTION = """
Post a computation graph; get its forward values and the gradient of its output with
respect to every input. Graphs are nodes as JSON or source text as Python writes it.

Errors are problem documents (RFC 9457) with a stable `code`; `/problems` lists them.
"""
TAGS = {
    "compute": "Values, derivatives, explanations and drawings of a graph.",
    "graphs": "Graphs that the service keeps.",
    "grading": "Submitted gradients, and the tasks that they answer.",
    "catalogue": "The operators.",
    "Tesseract": "Every kept graph as a Tesseract.",
    "UM-Bridge": "Every kept graph as a model of UM-Bridge.",
    "service": "Whether it is alive, ready, and how it does; its error codes.",
}
_HANDLED = (
    EngineError,
    SchemaError,
    Refusal,
    HTTPException,
    RequestValidationError,
    ValidationError,
    Exception,
)


def create_app(settings: Settings | None = None) -> Application:
    """The service as a FastAPI application."""
    settings = settings or get_settings()
    store = create_store(settings)
    context = make_context(settings, store)
    app = Application(
        settings,
        context,
        title="Gradient service",
        version=__version__,
        summary="Forward values and gradients of computation graphs.",
        description=DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.store = store
    for module in _modules():
        if hasattr(module, "router"):
            app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for kind in _HANDLED:
        app.add_exception_handler(kind, answer_problem)
    app.openapi = _openapi(app)  # type: ignore[method-assign]
    app.open_shortcut()
    _watch_caches(app.metrics, context)
    return app


def __getattr__(name: str) -> Any:
    """`service.app:app`, made when it is first asked for, with the environment's settings."""
    if name == "app":
        return _app()
    raise AttributeError(name)


def __dir__() -> list[str]:
    return [*globals(), "app"]


@cache
def _app() -> Application:
    return create_app()


def _watch_caches(metrics: Metrics, context: Context) -> None:
    graphs = context.graphs
    metrics.counter("graph_cache_hits", "Graphs recognised.", lambda: graphs.hits)
    metrics.counter("graph_cache_misses", "Graphs read anew.", lambda: graphs.misses)
    metrics.gauge("graph_cache_graphs", "Graphs that are remembered.", lambda: len(graphs))
    metrics.gauge("graph_cache_bytes", "Bytes of their memory, roughly.", lambda: graphs.size)


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


def operations() -> dict[str, Operation]:
    """Every compute operation, by its path."""
    return {
        operation.path: operation
        for module in _modules()
        for operation in getattr(module, "router", Router(access="open")).operations
    }


def _modules() -> Iterable[ModuleType]:
    for found in pkgutil.iter_modules(routes.__path__):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"{routes.__name__}.{found.name}")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    assert isinstance(app, Application)
    state = app.pipeline.state
    async with AsyncExitStack() as stack:
        for module in _modules():
            if hasattr(module, "lifespan"):
                await stack.enter_async_context(module.lifespan(app))
        stack.callback(app.close)
        stack.callback(drain_on_sigterm(state, app.settings.drain_seconds))
        app.start()
        _settle(app.settings)
        yield
        state.stopped = True


def _settle(settings: Settings) -> None:
    """What is loaded now stays: the collector need not look at it again."""
    keep_freed_memory()
    choose.prepare(settings.jit_cache)
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)


async def answer_problem(request: Request, error: Exception) -> Response:
    """FastAPI's exception handler: the problem document of `error`."""
    refusal = problem(error)
    app: Application = request.app
    context: RequestContext = request.scope[CONTEXT]
    context.refused = context.refused or error
    body = refusal.body(
        base=app.settings.public_url, request_id=context.request_id.decode("latin-1")
    )
    headers = dict(refusal.headers)
    if refusal.status == 405:
        # Starlette names the methods of the first route that has this path.
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        headers["allow"] = app.pipeline.routes.allowed(path)
    return Response(body, refusal.status, headers, MEDIA_TYPE)


def _openapi(app: Application) -> Callable[[], dict[str, Any]]:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi_document(app, operations().values())
        return app.openapi_schema

    return document
