"""What a path asks of a request, found as FastAPI would find its route."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter

from service.http.media import OFFERED
from service.http.routing import NOWHERE, Router
from tests.http.fakes import FakeWork, app_of


def table() -> Any:
    """The routes of an application with an operation, a router of ours, and one of others."""
    app = app_of(FakeWork(), access="grade")
    ours = Router(access="tasks", offers=None)
    theirs = APIRouter()
    for router in (ours, theirs):
        path = "/things/{name}" if router is ours else "/theirs"
        router.add_api_route(path, lambda: None, methods=["GET"])
    ours.add_api_route("/things/{name}", lambda: None, methods=["DELETE"])
    app.include_router(ours)
    app.include_router(theirs)
    return app.pipeline.routes


@pytest.mark.parametrize(
    ("method", "path", "scope", "template", "offers"),
    [
        ("POST", "/v1/fake", "grade", "/v1/fake", ("application/json",)),
        ("GET", "/v1/fake", "grade", "/v1/fake", OFFERED),
        ("HEAD", "/things/a", "tasks", "/things/{name}", None),
        ("DELETE", "/things/a", "tasks", "/things/{name}", None),
        ("PUT", "/things/a", "tasks", "/things/{name}", None),
        ("GET", "/theirs", None, "/theirs", None),
        ("GET", "/things/a/b", None, "other", OFFERED),
    ],
)
def test_the_target_of_a_request(
    method: str, path: str, scope: str | None, template: str, offers: Any
) -> None:
    target = table().find(path, method)
    assert (target.scope, target.template, target.offers) == (scope, template, offers)
    assert target.guarded
    assert (target is NOWHERE) == (template == "other")


def test_the_methods_of_a_path_are_those_of_all_its_routes() -> None:
    routes = table()
    assert routes.allowed("/things/a") == "DELETE, GET, HEAD, OPTIONS"
    assert routes.allowed("/v1/fake") == "OPTIONS, POST"
    assert routes.allowed("/nowhere") == ""
    assert list(routes.shortcut()) == ["/v1/fake"]
