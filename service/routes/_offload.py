"""Work of the routes that go through FastAPI, in the threads and queues of the front."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from service.engine.control import Control
from service.shell.front import Front, Job

Result = TypeVar("Result")


async def offload(request: Request, work: Callable[[Control], Result], heavy: bool) -> Result:
    """What `work` returns, computed in a lane; until the deadline or the client's hang-up.

    Raises Refusal (overloaded), DeadlineExceeded, Cancelled, and what `work` raises.
    """
    front: Front = request.app.state.front
    lane = front.admission.heavy if heavy else front.admission.light
    job = Job(front.settings.deadline_seconds, request.receive)
    return await job.run(lane, lambda: work(job.control))


def is_heavy(request: Request, body: bytes) -> bool:
    """Whether a body is too large for the lane of light requests."""
    front: Front = request.app.state.front
    return len(body) > front.settings.light_body_bytes
