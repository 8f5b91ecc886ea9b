"""`/v1/graphs`: graphs that the service keeps, under the hash of their content."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import orjson
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from service.codes import Refusal
from service.engine.errors import fault
from service.engine.program import check_declared_shapes
from service.errors import responses
from service.http.execution import Execution
from service.http.routing import Router
from service.routes._access import may
from service.routes._describe import request_body
from service.routes._pages import Cursor, Limit, bad_cursor, store_of, tagged
from service.store import GraphEntry as Entry
from service.store import Store
from service.store.canonical import NotCanonical
from service.store.model import NAME_PATTERN, is_name
from service.wire.context import Context
from service.wire.decode import read_request
from service.wire.errors import GraphNotFound
from service.wire.registering import (
    GraphEntry,
    GraphPage,
    RegisteredGraph,
    RegisterRequest,
    canonical_text,
)

router = Router(access="compute", prefix="/v1/graphs", tags=["graphs"])


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    """Give the store's connections back at the end."""
    yield
    api.state.store.close()


@router.post(
    "",
    summary="Register a graph",
    status_code=201,
    response_model=GraphEntry,
    responses=responses(404, 503, 507),
    openapi_extra={
        "requestBody": request_body(
            RegisterRequest,
            example={"graph": {"expression": "(x + y) * z"}, "name": "circuit"},
        )
    },
)
async def register(request: Request) -> Response:
    """Keep a graph under `sha256:` and the digest of its canonical JSON (RFC 8785).

    The graph is checked as far as its declared shapes and values allow. Registering again
    changes nothing and answers the same. `name` points at this graph from now on, wherever
    it pointed before; ids never change. Where keys are in use, moving a name from one graph
    to another needs the scope `tasks`: tasks and other people's clients go by names. In
    canonical form negative zero keeps its sign, and an integer that no double holds exactly
    is refused.
    """
    body = await request.body()
    store = store_of(request)
    context: Context = request.app.state.context
    may_move = may(request, "tasks")
    execution: Execution = request.app.state.execution
    entry = await execution.offload(
        body, request.receive, lambda _: register_graph(body, context, store, may_move)
    )
    location = f"{request.scope.get('root_path', '')}/v1/graphs/{entry.id}"
    return Response(
        orjson.dumps(shown(entry)), 201, {"location": location}, media_type="application/json"
    )


def register_graph(body: bytes, context: Context, store: Store, may_move: bool) -> Entry:
    """Check the graph in a request's body, and keep it. Blocks."""
    asked, graph = read_request(body, RegisterRequest, context)
    if asked.name is not None and not is_name(asked.name):
        raise fault(
            "invalid_request",
            f"a name is {NAME_PATTERN}",
            pointer="#/name",
            hint="letters, digits, '.', '_' and '-'",
        )
    text = bytes(asked.graph)
    if text[:1] == b'"':
        found = store.get_graph(msgspec.json.decode(text, type=str))
        if found is None:
            raise GraphNotFound
        return store.put_graph(found, asked.name, may_move=may_move)
    check_declared_shapes(graph, "float64", context.limits)
    try:
        canonical = canonical_text(text)
    except NotCanonical as error:
        raise fault("invalid_tensor", f"the graph has no canonical JSON: {error}") from None
    return store.put_graph(canonical, asked.name, may_move=may_move)


@router.get("", summary="List registered graphs", responses=responses(422, 503))
async def listed(request: Request, limit: Limit = 100, cursor: Cursor = None) -> GraphPage:
    """The registered graphs, oldest first. A graph that stays is on exactly one page."""
    try:
        page = await run_in_threadpool(store_of(request).list_graphs, limit, cursor)
    except ValueError:
        raise bad_cursor() from None
    return GraphPage(graphs=[GraphEntry(**shown(item)) for item in page.items], next=page.cursor)


@router.get(
    "/{reference}",
    summary="Get a registered graph",
    response_model=RegisteredGraph,
    responses={**responses(404, 503), 304: {"description": "The client has it already."}},
)
async def get(request: Request, reference: str) -> Response:
    """The graph with this id or name. Answers 304 to If-None-Match with the same ETag."""
    found = await run_in_threadpool(store_of(request).find_graph, reference)
    if found is None:
        raise GraphNotFound
    document = shown(found.entry) | {"graph": orjson.Fragment(found.text)}
    return tagged(request, orjson.dumps(document))


@router.delete(
    "/{reference}",
    summary="Delete a graph or a name",
    status_code=204,
    response_class=Response,
    responses=responses(404, 503),
)
async def delete(request: Request, reference: str) -> Response:
    """By name, the name is taken away and the graph stays; by id, the graph and its names.

    Needs a key with the scope `tasks`, where keys are in use.
    """
    if not may(request, "tasks"):
        raise Refusal("forbidden", "this key does not have the scope 'tasks'")
    if not await run_in_threadpool(store_of(request).delete_graph, reference):
        raise GraphNotFound
    return Response(status_code=204)


def shown(entry: Entry) -> dict[str, Any]:
    """An entry as JSON has it."""
    created = entry.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"id": entry.id, "names": list(entry.names), "created_at": created}
