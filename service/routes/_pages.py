"""What lists and single resources share: pages, entity tags, the store."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Annotated

from fastapi import Query, Request, Response

from service.codes import Refusal
from service.store import Store
from service.wire.errors import GraphNotFound

Limit = Annotated[int, Query(ge=1, le=1000, description="Entries of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=512, description="`next` of the page before this one.")
]


def store_of(request: Request) -> Store:
    """The store that the application was made with."""
    store: Store = request.app.state.store
    return store


def graph_finder(store: Store) -> Callable[[str], bytes]:
    """The look-up of registered graphs that `Context.find_graph` wants."""

    def find_graph(reference: str) -> bytes:
        text = store.get_graph(reference)
        if text is None:
            raise GraphNotFound
        return text.encode()

    return find_graph


def task_finder(store: Store) -> Callable[[str], bytes | None]:
    """The look-up of grading tasks that `Context.find_task` wants."""

    def find_task(task_id: str) -> bytes | None:
        text = store.get_task(task_id)
        return None if text is None else text.encode()

    return find_task


def bad_cursor() -> Refusal:
    """The refusal of a cursor that no page has given out."""
    return Refusal("invalid_request", "the cursor is not one that a page has given out")


def tagged(request: Request, body: bytes) -> Response:
    """The JSON body with its entity tag; 304 without it where the client has it already."""
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if _matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _matches(header: str | None, tag: str) -> bool:
    """Whether an If-None-Match header names `tag` (RFC 9110, section 13.1.2)."""
    if header is None:
        return False
    tags = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in tags or tag in tags
