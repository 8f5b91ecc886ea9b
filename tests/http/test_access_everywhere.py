"""Who may ask for what: every path, method and key, in every way to reach the service."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from service.settings import SCOPES
from tests.http.every_path import KEYS, METHODS, WAYS, access, keys, reach, templates

NEEDED = {
    "/healthz": "open",
    "/readyz": "open",
    "/metrics": "metrics",
    "/": "any key",
    "/docs": "any key",
    "/openapi.json": "any key",
    "/static/docs.js": "any key",
    "/problems": "any key",
    "/problems/{code}": "any key",
    "/v1/nowhere": "any key",
    "/v1/grade": "grade",
    "/v1/grade/batch": "grade",
    "/evaluate": "grade",
    "/evaluate/health": "grade",
    "/v1/tasks": "tasks",
    "/v1/tasks/{task_id}": "tasks",
}
"""What the README says of the scopes; every other path needs `compute`."""


@cache
def answers(way: str) -> dict[str, list[Any]]:
    if way != "traced":
        return access(reach(way, api_keys=keys(), access_log="off"))
    command = [sys.executable, "-m", "tests.http.every_path", "traced"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    found = json.loads(done.stdout)
    assert found["shortcut"] == 0
    traced: dict[str, list[Any]] = found["answers"]
    return traced


def allowed(template: str, key: str | None) -> bool:
    needed = NEEDED.get(template, "compute")
    return needed == "open" or (key in SCOPES and (key == "admin" or needed in ("any key", key)))


@pytest.mark.parametrize("way", WAYS)
def test_a_path_opens_for_its_scope_alone(way: str) -> None:
    found = answers(way)
    wrong = []
    for case, (status, _, _) in found.items():
        method, template, key = case.split(" ")
        named = None if key == "None" else key
        if method == "OPTIONS":
            right = status == (404 if template == "/v1/nowhere" else 204)
        elif not allowed(template, named):
            unknown = 403 if template == "/evaluate" and method == "POST" else 401
            right = status == (403 if named in SCOPES else unknown)
        elif method == "DELETE" and template == "/v1/graphs/{reference}" and key == "compute":
            right = status == 403  # needs the scope `tasks` too, as its description says
        else:
            right = status not in (401, 403) and status < 500
        if not right:
            wrong.append((case, status))
    assert not wrong
    app = reach("plain").app
    assert len(found) == len(templates(app)) * len(METHODS) * len(KEYS)
    assert NEEDED.keys() <= set(templates(app))


@pytest.mark.parametrize("way", WAYS[1:])
def test_every_way_gives_the_same_answers(way: str) -> None:
    plain, other = answers("plain"), answers(way)
    metrics = {f"GET /metrics {key}" for key in ("metrics", "admin")}
    assert {c: (plain[c], other[c]) for c in plain if plain[c] != other[c]}.keys() <= metrics
