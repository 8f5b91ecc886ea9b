"""Work of the routes that go through FastAPI, in the threads and queues of the front."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from service.engine.control import Control
from service.http.front import Front, Job
from service.routes._endpoint import Work

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


async def offload_work(request: Request, read: Callable[[], Work], heavy: bool) -> bytes:
    """Read a request into Work in one lane, and run it in the lane that its cost asks for."""
    front: Front = request.app.state.front
    job = Job(front.settings.deadline_seconds, request.receive)
    first = front.admission.heavy if heavy else front.admission.light

    def read_and_run() -> tuple[Work, bytes | None]:
        work = read()
        if heavy or work.cost.flops <= front.settings.light_flops:
            return work, work.run(job.control)
        return work, None

    work, answer = await job.run(first, read_and_run)
    front.metrics.nodes += work.cost.nodes
    front.metrics.flops += work.cost.flops
    if answer is not None:
        return answer
    return await job.run(front.admission.heavy, lambda: work.run(job.control))
