"""Every path has the scope that it needs, however it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from service.settings import SCOPES, ApiKey
from tests.routes.calling import Caller

GRAPH = {"graph": {"expression": "x * x"}, "inputs": {"x": 3}}
PAGES = {"/", "/docs", "/guide", "/guide/{name}", "/guide/pictures/{name}"}
FOR_ANY_KEY = PAGES | {"/openapi.json", "/problems", "/problems/{code}"}


def keys() -> tuple[ApiKey, ...]:
    return tuple(
        ApiKey(name=scope, sha256=hashlib.sha256(scope.encode()).hexdigest(), scopes=(scope,))
        for scope in SCOPES
    )


@pytest.fixture(scope="module")
def behind_a_proxy() -> Iterator[Caller]:
    caller = Caller(api_keys=keys(), root_path="/api")
    yield caller
    caller.close()


def ask(call: Caller, scope: str, method: str, path: str, **options: Any) -> int:
    status: int = call(method, path, headers={"x-api-key": scope}, **options).status_code
    return status


def test_every_route_declares_who_may_ask() -> None:
    app = Caller().app
    targets = [t for t in app.pipeline.routes.targets() if not t.template.startswith("/static")]
    assert len(targets) > 40
    undeclared = {t.template for t in targets if t.policy is None} - {"/openapi.json"}
    assert not undeclared
    any_key = {t.template for t in targets if t.guarded and t.scope is None}
    assert any_key == FOR_ANY_KEY
    assert {t.template for t in targets if not t.guarded} == {"/healthz", "/readyz"}


@pytest.mark.parametrize("prefix", ["", "/api", "/api/api"])
def test_a_proxys_prefix_changes_nothing(behind_a_proxy: Caller, prefix: str) -> None:
    call = behind_a_proxy
    assert ask(call, "grade", "GET", f"{prefix}/metrics") == 403
    assert ask(call, "admin", "GET", f"{prefix}/metrics") == 200
    assert ask(call, "grade", "GET", f"{prefix}/v1/tasks") == 403
    assert ask(call, "grade", "GET", f"{prefix}/tesseract/x/health") == 403
    assert ask(call, "grade", "GET", f"{prefix}/umbridge/Info") == 403
    assert ask(call, "compute", "GET", f"{prefix}/v1/graphs") == 200
    assert ask(call, "grade", "POST", f"{prefix}/v1/gradient", json=GRAPH) == 403
    assert ask(call, "compute", "POST", f"{prefix}/v1/gradient", json=GRAPH) == 200
    assert ask(call, "compute", "OPTIONS", f"{prefix}/v1/gradient") == 204
    assert call("GET", f"{prefix}/healthz").status_code == 200
    assert ask(call, "compute", "GET", f"{prefix}/static/docs.js") == 200
    refused = call("PATCH", f"{prefix}/v1/graphs", headers={"x-api-key": "compute"})
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    graph = {"graph": GRAPH["graph"]}
    made = call("POST", f"{prefix}/v1/graphs", json=graph, headers={"x-api-key": "compute"})
    assert made.headers["location"].startswith("/api/v1/graphs/sha256:")


@pytest.mark.parametrize(
    "path", ["/v1/gradient%0a", "/evaluate%0a", "/v1/grade%0A", "/umbridge/Evaluate%0a"]
)
def test_a_newline_behind_a_path_is_another_path(path: str) -> None:
    call = Caller()
    assert call("POST", path, json=GRAPH).status_code == 404
    call.close()


@pytest.mark.parametrize("path", ["/v1/gradient/", "/v1/graphs/"])
def test_a_slash_behind_a_path_is_another_path(path: str) -> None:
    call = Caller()
    for method in ("GET", "POST"):
        answer = call(method, path, json=GRAPH)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    call.close()


def test_allow_names_every_method_of_a_path() -> None:
    call = Caller()
    assert call("PATCH", "/v1/graphs").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert call("POST", "/v1/tasks/x").headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
    assert call("GET", "/v1/gradient").headers["allow"] == "OPTIONS, POST"
    call.close()


def test_a_digest_is_the_id_of_its_own_task_alone() -> None:
    call = Caller()
    task = {"graph": {"expression": "x * x"}, "inputs": {"x": 3}}
    made = call("POST", "/v1/tasks", json=task).json()["id"]
    assert call("PUT", f"/v1/tasks/{made}", json=task).status_code == 200
    other = call("PUT", f"/v1/tasks/{made}", json={**task, "inputs": {"x": 4}})
    assert (other.status_code, other.json()["code"]) == (422, "invalid_request")
    call.close()
