"""/v1/tasks over HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.settings import ApiKey
from tests.routes.calling import Caller

TASK = {"graph": {"expression": "(x + y) * z"}, "inputs": {"x": -2, "y": 5, "z": -4}}


@pytest.fixture
def call() -> Iterator[Caller]:
    caller = Caller()
    yield caller
    caller.close()


def test_a_task_is_held_fetched_listed_and_let_go(call: Caller) -> None:
    answer = call("POST", "/v1/tasks", json=TASK | {"id": "circuit"})
    assert (answer.status_code, answer.json()) == (201, {"id": "circuit", "read_only": False})
    assert answer.headers["location"] == "/v1/tasks/circuit"
    found = call("GET", "/v1/tasks/circuit")
    assert found.json() == TASK
    tag = {"if-none-match": found.headers["etag"]}
    assert call("GET", "/v1/tasks/circuit", headers=tag).status_code == 304
    assert call("PUT", "/v1/tasks/other", json=TASK).status_code == 200
    listed = call("GET", "/v1/tasks").json()
    assert [task["id"] for task in listed["tasks"]] == ["circuit", "other"]
    assert listed["next"] is None
    assert call("DELETE", "/v1/tasks/circuit").status_code == 204
    assert call("GET", "/v1/tasks/circuit").json()["code"] == "task_not_found"


def test_a_task_without_an_id_has_that_of_its_content(call: Caller) -> None:
    first = call("POST", "/v1/tasks", json=TASK).json()["id"]
    assert first.startswith("sha256:")
    assert call("POST", "/v1/tasks", json=TASK).json()["id"] == first
    assert call("GET", f"/v1/tasks/{first}").json() == TASK


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ({}, "invalid_request"),
        ([], "invalid_request"),
        (TASK | {"id": "a b"}, "invalid_request"),
        (TASK | {"id": 3}, "invalid_request"),
        ({"graph": {"expression": "x +"}}, "syntax"),
        ({"graph": {"nodes": [{"id": "x", "op": "what", "inputs": []}]}}, "unknown_operator"),
        ({"graph": {"nodes": [{"op": "add"}]}}, "invalid_request"),
    ],
)
def test_a_wrong_task_is_refused(call: Caller, task: Any, code: str) -> None:
    answer = call("POST", "/v1/tasks", json=task)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_task_of_the_mounted_folder_can_be_read_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "mounted.json").write_text(json.dumps(TASK))
    call = Caller(tasks_dir=tmp_path)
    assert call("GET", "/v1/tasks/mounted").json() == TASK
    assert call("PUT", "/v1/tasks/mounted", json=TASK).status_code == 409
    assert call("DELETE", "/v1/tasks/mounted").json()["code"] == "conflict"
    call.close()


def test_tasks_need_their_scope(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"student").hexdigest()
    staff = hashlib.sha256(b"staff").hexdigest()
    keys = (
        ApiKey(name="student", sha256=digest, scopes=("grade",)),
        ApiKey(name="staff", sha256=staff, scopes=("tasks",)),
    )
    call = Caller(api_keys=keys)
    for method in ("GET", "DELETE"):
        answer = call(method, "/v1/tasks/circuit", headers={"authorization": "Bearer student"})
        assert answer.status_code == 403
    header = {"authorization": "Bearer staff"}
    assert call("PUT", "/v1/tasks/circuit", json=TASK, headers=header).status_code == 200
    call.close()
