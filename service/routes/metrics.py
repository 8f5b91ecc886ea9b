"""The counters of all workers, for Prometheus."""

from __future__ import annotations

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from service.http.metrics import Metrics
from service.http.routing import Router

router = Router(access="metrics", offers=None, tags=["service"])

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def read_metrics(request: Request) -> Response:
    """Requests, errors by code, durations, work done, queues, refusals. Scope: metrics."""
    metrics: Metrics = request.app.state.metrics
    metrics.publish()
    return Response(await run_in_threadpool(metrics.render), media_type=MEDIA_TYPE)
