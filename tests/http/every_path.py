"""Every path and method of the service asked in every way in which the service can be reached.

    python -m tests.http.every_path traced    # prints what `access` answers, as JSON

A way is how the application is made and where it is asked. What a request is answered must
not depend on it. The traced way needs a process of its own: OpenTelemetry's provider is set
once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

import httpx
from fastapi import FastAPI

from service.app import create_app
from service.http.application import Application
from service.settings import SCOPES, ApiKey, Settings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE")
WAYS = ("plain", "shortcut emptied", "prefix", "mounted", "traced")
KEYS = (None, "nobody", *SCOPES)
_PLACES = {"graph": "x", "reference": "x", "task_id": "x", "name": "add", "code": "cycle"}


class Way(NamedTuple):
    """An application, and the prefix under which it is asked."""

    app: Application
    asked: FastAPI
    prefix: str


def keys() -> tuple[ApiKey, ...]:
    """A key for each scope, whose secret is the scope's name."""
    return tuple(
        ApiKey(name=scope, sha256=hashlib.sha256(scope.encode()).hexdigest(), scopes=(scope,))
        for scope in SCOPES
    )


def reach(way: str, **settings: Any) -> Way:
    """The service, as it is reached in this way."""
    if way == "prefix":
        app = create_app(Settings(**settings, root_path="/api"))
        return Way(app, app, "/api")
    app = create_app(Settings(**settings))
    if way == "mounted":
        parent = FastAPI()
        parent.mount("/grad", app)
        return Way(app, parent, "/grad")
    if way == "shortcut emptied":
        app.pipeline.shortcut = {}
    return Way(app, app, "")


def templates(app: Application) -> list[str]:
    """Every path as it is declared, and one that leads nowhere."""
    documented = list(app.openapi()["paths"])
    return [*documented, "/", "/docs", "/openapi.json", "/static/docs.js", "/v1/nowhere"]


def filled(template: str) -> str:
    """A path with something in its places."""
    for name, value in _PLACES.items():
        template = template.replace("{" + name + "}", value)
    return template


def ask(way: Way, requests: Iterable[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
    """The answers to requests (method, path, what httpx takes), one after the other."""

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(way.asked, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [
                await client.request(method, way.prefix + path, **options)
                for method, path, options in requests
            ]

    return asyncio.run(run())


def shown(answer: httpx.Response) -> list[Any]:
    """Status, code and digest of an answer, without what may differ: the request's id."""
    try:
        document = answer.json()
    except ValueError:
        return [answer.status_code, None, hashlib.sha256(answer.content).hexdigest()]
    if not isinstance(document, dict):
        document = {"": document}
    document.pop("request_id", None)
    document.pop("servers", None)
    text = json.dumps(document).encode()
    code = document.get("code") if answer.status_code >= 400 else None
    return [answer.status_code, code, hashlib.sha256(text).hexdigest()]


def access(way: Way) -> dict[str, list[Any]]:
    """What every path answers to every method, with every key."""
    cases = {
        f"{method} {template} {key}": (method, filled(template), _options(method, key))
        for template in templates(way.app)
        for method in METHODS
        for key in KEYS
    }
    answers = ask(way, cases.values())
    return {case: shown(answer) for case, answer in zip(cases, answers, strict=True)}


def _options(method: str, key: str | None) -> dict[str, Any]:
    options: dict[str, Any] = {"headers": {} if key is None else {"x-api-key": key}}
    if method in ("POST", "PUT", "PATCH"):
        options["json"] = {}
    return options


def trace() -> None:
    """Have OpenTelemetry collected in this process."""
    from opentelemetry import trace as opentelemetry
    from opentelemetry.sdk.trace import TracerProvider

    opentelemetry.set_tracer_provider(TracerProvider())


if __name__ == "__main__":
    if sys.argv[1] == "traced":
        trace()
    way = reach(sys.argv[1], api_keys=keys(), access_log="off")
    found = access(way)
    print(json.dumps({"shortcut": len(way.app.pipeline.shortcut), "answers": found}))
