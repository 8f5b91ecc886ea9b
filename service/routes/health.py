"""Whether the process lives, and whether it should get traffic."""

from __future__ import annotations

from typing import Literal

from fastapi import Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from service.codes import Refusal
from service.errors import responses
from service.http.routing import Router
from service.http.state import State
from service.routes._pages import store_of

router = Router(access="open", offers=None, tags=["service"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["alive", "ready"]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    """Answers as long as the process runs, whatever it computes. Needs no key."""
    return Health(status="alive")


@router.get("/readyz", summary="Is it ready for traffic?", responses=responses(503))
async def readyz(request: Request) -> Health:
    """200 when it may be sent requests; 503 while it starts or drains, and while the file
    that keeps graphs and tasks is gone or damaged. Needs no key."""
    state: State = request.app.state.state
    if state.draining or state.stopped:
        raise Refusal("not_ready", "the service is about to stop")
    if not await run_in_threadpool(store_of(request).intact):
        raise Refusal("not_ready", "the store's file is gone or damaged")
    return Health(status="ready")
