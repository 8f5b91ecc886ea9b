"""`/v1/tasks`: grading tasks that the service holds, so that students don't."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from service.codes import Refusal
from service.engine.errors import fault
from service.errors import responses
from service.http.execution import Execution
from service.http.routing import Router
from service.routes._describe import request_body
from service.routes._pages import Cursor, Limit, bad_cursor, store_of, tagged
from service.store import Store, canonical_json, content_id
from service.store.canonical import NotCanonical
from service.store.model import is_id, is_name
from service.wire.context import Context
from service.wire.decode import find_graph
from service.wire.grading import HeldTask
from service.wire.json_text import encoded, strict_json
from service.wire.registering import TaskEntry, TaskPage

router = Router(access="tasks", prefix="/v1/tasks", tags=["grading"])

_BODY = {
    "requestBody": request_body(
        HeldTask,
        example={
            "id": "circuit",
            "graph": {"expression": "(x + y) * z"},
            "inputs": {"x": -2, "y": 5, "z": -4},
            "reveal": "verdict",
        },
    )
}


@router.post(
    "",
    summary="Hold a task",
    status_code=201,
    response_model=TaskEntry,
    responses=responses(404, 409, 503, 507),
    openapi_extra=_BODY,
)
async def hold(request: Request) -> Response:
    """Keep a task under its member `id`, in place of what was there under this id.

    Without an `id` it is kept under `sha256:` and the digest of its canonical JSON. Needs a
    key with the scope `tasks`, where keys are in use.
    """
    return await _keep(request, None, 201)


@router.put(
    "/{task_id}",
    summary="Hold a task under this id",
    response_model=TaskEntry,
    responses=responses(404, 409, 503, 507),
    openapi_extra=_BODY,
)
async def put(request: Request, task_id: str) -> Response:
    """Keep a task under this id, in place of what was there."""
    return await _keep(request, task_id, 200)


async def _keep(request: Request, task_id: str | None, status: int) -> Response:
    body = await request.body()
    store, context = store_of(request), request.app.state.context
    execution: Execution = request.app.state.execution
    kept = await execution.offload(
        body, request.receive, lambda _: keep_task(body, task_id, context, store)
    )
    headers = {"location": f"{request.scope.get('root_path', '')}/v1/tasks/{kept}"}
    entry = orjson.dumps({"id": kept, "read_only": False})
    return Response(entry, status, headers, media_type="application/json")


def keep_task(body: bytes, task_id: str | None, context: Context, store: Store) -> str:
    """Check the task in a request's body, and keep it; gives its id. Blocks."""
    task = strict_json(body, context.max_depth)
    if not isinstance(task, dict):
        raise fault("invalid_request", "a task is a JSON object", pointer="#")
    named = "id" in task or task_id is not None
    given = task.pop("id", task_id)
    if named and (not isinstance(given, str) or not (is_name(given) or is_id(given))):
        raise fault("invalid_request", "an id has letters, digits, '.', '_', '-'", pointer="#/id")
    if task_id is not None and given != task_id:
        raise fault("invalid_request", "the id is another one than the path's", pointer="#/id")
    if "graph" not in task:
        raise fault("invalid_request", "a task has a graph", pointer="#/graph")
    find_graph(encoded(task["graph"]), context)
    try:
        text = canonical_json(task)
    except NotCanonical as error:
        raise fault("invalid_tensor", f"the task has no canonical JSON: {error}") from None
    kept = content_id(text) if given is None else given
    if is_id(kept) and kept != content_id(text):
        raise fault("invalid_request", "this id is the digest of another task", pointer="#/id")
    try:
        store.put_task(kept, text)
    except PermissionError as error:
        raise Refusal("conflict", str(error)) from None
    return kept


@router.get("", summary="List tasks", responses=responses(422, 503))
async def listed(request: Request, limit: Limit = 100, cursor: Cursor = None) -> TaskPage:
    """The tasks that are held, those of the mounted folder among them."""
    try:
        page = await run_in_threadpool(store_of(request).list_tasks, limit, cursor)
    except ValueError:
        raise bad_cursor() from None
    tasks = [TaskEntry(id=item.id, read_only=item.read_only) for item in page.items]
    return TaskPage(tasks=tasks, next=page.cursor)


@router.get(
    "/{task_id}",
    summary="Get a task",
    responses={**responses(404, 503), 304: {"description": "The client has it already."}},
)
async def get(request: Request, task_id: str) -> dict[str, Any]:
    """The task with this id: answers and all, hence for staff only."""
    text = await run_in_threadpool(store_of(request).get_task, task_id)
    if text is None:
        raise Refusal("task_not_found", "no task is held under this id")
    return tagged(request, text.encode())  # type: ignore[return-value]


@router.delete(
    "/{task_id}",
    summary="Delete a task",
    status_code=204,
    response_class=Response,
    responses=responses(404, 409, 503),
)
async def delete(request: Request, task_id: str) -> Response:
    """Let go of a task; one of the mounted folder can't be deleted here."""
    try:
        found = await run_in_threadpool(store_of(request).delete_task, task_id)
    except PermissionError as error:
        raise Refusal("conflict", str(error)) from None
    if not found:
        raise Refusal("task_not_found", "no task is held under this id")
    return Response(status_code=204)
