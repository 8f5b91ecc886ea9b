"""The service under Ray Serve, for those whose machines are a Ray cluster already.

    serve run service.serve_ray:app
    serve run service.serve_ray:build replicas=4

Needs `pip install 'ray[serve]'`. Everything is as without Ray, settings included, but for
what Ray's proxy in front of the replicas does: on two busy cores a small request took
7.3 ms through it and 0.4 ms without it, so that uvicorn processes behind a load balancer
are the way to more requests. Replicas share registered graphs by PostgreSQL only.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from ray import serve

from service.app import create_app


class Options(BaseModel):
    """What `serve run` may be given as NAME=VALUE."""

    replicas: int = Field(1, ge=1, description="Processes.")
    cpus: float = Field(1.0, gt=0, description="Cores that Ray sets aside for each of them.")
    most_requests: int = Field(
        100, ge=1, description="Requests at one time in a replica; further ones wait in the proxy."
    )


def build(options: Options) -> Any:
    """The application for Ray Serve."""

    @serve.deployment(
        name="gradient-service",
        num_replicas=options.replicas,
        max_ongoing_requests=options.most_requests,
        ray_actor_options={"num_cpus": options.cpus},
        health_check_period_s=5,
        graceful_shutdown_timeout_s=60,
    )
    @serve.ingress(create_app)
    class GradientService:
        """One replica; each makes the application for itself."""

    deployment: Any = GradientService
    return deployment.bind()


app = build(Options())
"""The application with one replica."""
