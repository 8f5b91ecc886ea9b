"""`gradient-service serve`: the HTTP service."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from typing import Annotated, Any

import typer

BLAS_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def command(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on [GRADIENT_HOST, else 127.0.0.1].")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on [GRADIENT_PORT, else 8000].")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes [GRADIENT_WORKERS, else 1].", min=1)
    ] = None,
) -> None:
    """Serve the HTTP API, the documentation and the playground."""
    for name, value in (("HOST", host), ("PORT", port), ("WORKERS", workers)):
        if value is not None:
            os.environ[f"GRADIENT_{name}"] = str(value)
    if os.environ.get("GRADIENT_WORKERS", "1") != "1":
        # Several workers share the cores; NumPy reads this when it is imported.
        for variable in BLAS_VARIABLES:
            os.environ.setdefault(variable, "1")

    from service.settings import get_settings

    settings = get_settings()
    settings.all_keys()
    _raise_file_limit(settings.max_connections)
    if settings.workers == 1 or settings.state_dir is not None:
        run()
        return
    with tempfile.TemporaryDirectory(prefix="gradient-") as shared:
        os.environ["GRADIENT_STATE_DIR"] = shared
        get_settings.cache_clear()
        run()


def worker() -> Any:
    """The application of a worker, which ends when its supervisor was killed."""
    from service.app import create_app
    from service.parent_death import end_with_parent

    end_with_parent()
    return create_app()


def run() -> None:
    """Start uvicorn with the settings of the environment; return when it has ended."""
    import uvicorn

    from service.http.logs import configuration
    from service.http.protocol import PatientProtocol
    from service.http.supervisor import Supervisor
    from service.settings import get_settings

    settings = get_settings()
    where = f"http://{settings.host}:{settings.port}"
    print(f"Gradient service on {where}, documentation at {where}/docs", file=sys.stderr)
    options: dict[str, Any] = {
        "app": "service.commands.serve:worker",
        "factory": True,
        "host": settings.host,
        "port": settings.port,
        "workers": settings.workers,
        "http": PatientProtocol,
        "ws": "none",
        "lifespan": "on",
        "log_config": configuration(settings.log_level),
        "log_level": settings.log_level,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": settings.keep_alive_seconds,
        "timeout_graceful_shutdown": settings.shutdown_seconds,
        "timeout_worker_healthcheck": 30,
    }
    if settings.workers == 1:
        uvicorn.run(**options)
    else:
        config = uvicorn.Config(**options)
        Supervisor(config, [config.bind_socket()]).run()


def _raise_file_limit(connections: int) -> None:
    """A connection is an open file: ask for as many as the settings allow."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = connections + 256
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
