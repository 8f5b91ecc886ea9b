"""The µEd adapter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.app import create_app
from service.http.application import Application
from service.settings import Settings
from tests.grading.test_http import TASK, WRONG, call, post


@pytest.fixture(scope="module")
def app() -> Application:
    return create_app(Settings(database_url="sqlite://"))


def request(**more: Any) -> dict[str, Any]:
    return {
        "submission": {"type": "OTHER", "format": "json", "content": WRONG},
        "configuration": {"params": TASK},
        **more,
    }


def test_feedback_is_a_list_with_an_entry_for_each_node(app: Application) -> None:
    answer = post(app, "/evaluate", request())
    assert answer.status_code == 200
    entries = {entry["feedbackId"]: entry for entry in answer.json()}
    assert set(entries) == {"gradient-q", "gradient-x", "gradient-y", "gradient-z"}
    assert sum(entry["awardedPoints"] for entry in entries.values()) == 2.0
    assert entries["gradient-q"]["suggestedAction"]
    assert entries["gradient-q"]["target"]["locator"]["pointer"] == "/gradients/q"
    assert "suggestedAction" not in entries["gradient-z"]


def test_criteria_are_joined_by_the_nodes_name(app: Application) -> None:
    answer = post(app, "/evaluate", request(criteria=[{"criterionId": "c", "name": "q"}]))
    entries = {entry["feedbackId"]: entry for entry in answer.json()}
    assert entries["gradient-q"]["criterion"] == {"criterionId": "c", "name": "q"}


@pytest.mark.parametrize("member", ["value", "text", "code"])
def test_the_content_may_be_json_in_a_text(app: Application, member: str) -> None:
    content = {member: json.dumps(WRONG)}
    answer = post(app, "/evaluate", request(submission={"type": "TEXT", "content": content}))
    assert sum(entry["awardedPoints"] for entry in answer.json()) == 2.0


def test_a_task_that_the_service_holds_is_found_by_its_id(app: Application) -> None:
    _, answer, by_params = call(
        app,
        ("PUT", "/v1/tasks/mued", {**TASK, "reveal": "score"}),
        ("POST", "/evaluate", request(configuration={}, task={"taskId": "mued"})),
        ("POST", "/evaluate", request(configuration={"params": {"task": "mued"}})),
    )
    assert answer.json()[0]["awardedPoints"] == 2.0
    assert len(answer.json()) == 1
    assert by_params.json() == answer.json()


def test_before_submission_only_the_form_is_looked_at(app: Application) -> None:
    given = request(preSubmissionFeedback={"enabled": True})
    given["submission"]["content"] = {"gradients": {"x": 1, "y": [1], "ghost": 2}}
    (entry,) = post(app, "/evaluate", given).json()
    assert "ghost" in entry["message"]
    assert "q: it is missing" in entry["message"]
    assert "shape" in entry["message"]
    assert "awardedPoints" not in entry


def test_errors_have_mueds_form(app: Application) -> None:
    for body, status in (
        ({}, 422),
        (b"no json", 400),
        (request(configuration={}, task={"taskId": "nowhere"}), 404),
        (request(configuration={}), 422),
    ):
        answer = post(app, "/evaluate", body)
        assert answer.status_code == status
        assert set(answer.json()) == {"title", "message", "code", "trace", "details"}


@pytest.mark.parametrize("content", [None, 3, [], {"text": "import os"}, {"gradients": 5}])
def test_whatever_a_student_sends_is_graded(app: Application, content: Any) -> None:
    answer = post(app, "/evaluate", request(submission={"type": "OTHER", "content": content}))
    assert answer.status_code == 200
    assert sum(entry["awardedPoints"] for entry in answer.json()) == 0.0


def test_health_names_the_capabilities(app: Application) -> None:
    (answer,) = call(app, ("GET", "/evaluate/health", b""))
    assert answer.json()["status"] == "OK"
    assert answer.json()["capabilities"]["supportsEvaluate"] is True
