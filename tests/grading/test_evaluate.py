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
        ({}, 400),
        (b"no json", 400),
        (request(configuration={}, task={"taskId": "nowhere"}), 400),
        (request(configuration={}), 400),
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


EXAMPLES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("text", {"type": "TEXT", "format": "plain", "content": {"text": json.dumps(WRONG)}}, {}),
    ("code", {"type": "CODE", "format": "python", "content": {"code": json.dumps(WRONG)}}, {}),
    ("math", {"type": "MATH", "format": "latex", "content": {"expression": "f(x) = x"}}, {}),
    ("model", {"type": "MODEL", "format": "uml", "content": {"model": WRONG}}, {}),
    ("other", {"type": "OTHER", "format": "json", "content": WRONG}, {}),
    (
        "files",
        {
            "type": "CODE",
            "content": {
                "files": [
                    {"path": "README.md", "content": "mine"},
                    {"path": "answer.json", "content": json.dumps(WRONG)},
                ]
            },
        },
        {},
    ),
    ("files by name", {"type": "CODE", "content": {"files": {"a.json": json.dumps(WRONG)}}}, {}),
    (
        "who and when",
        {
            "submissionId": "s-1",
            "submittedAt": "2026-01-02T10:00:00Z",
            "version": 2,
            "type": "OTHER",
            "content": WRONG,
        },
        {},
    ),
    (
        "user",
        {"type": "OTHER", "content": WRONG},
        {
            "user": {
                "userId": "u",
                "type": "LEARNER",
                "preference": {"conversationalStyle": "brief"},
            }
        },
    ),
    (
        "criteria",
        {"type": "OTHER", "content": WRONG},
        {"criteria": [{"criterionId": "q", "name": "Sum", "gradeConfig": {"numeric": {"max": 2}}}]},
    ),
    ("early", {"type": "OTHER", "content": WRONG}, {"preSubmissionFeedback": {"enabled": True}}),
]


@pytest.mark.parametrize(("name", "submission", "more"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_requests_as_the_specification_shows_them(
    app: Application, name: str, submission: dict[str, Any], more: dict[str, Any]
) -> None:
    """Every kind of content, with the task named in the submission."""
    submission = {"taskId": "task-123", **submission}
    _, held, given = call(
        app,
        ("PUT", "/v1/tasks/task-123", TASK),
        ("POST", "/evaluate", {"submission": submission, **more}),
        ("POST", "/evaluate", {**request(**more), "submission": submission}),
    )
    assert held.status_code == given.status_code == 200, held.text
    assert held.json() == given.json()
    points = 0 if name in ("math", "early") else 2
    assert sum(entry.get("awardedPoints", 0) for entry in held.json()) == points


@pytest.mark.parametrize(
    "reference", [TASK, {"content": TASK}, json.dumps(TASK), {"text": json.dumps(TASK)}]
)
def test_the_reference_solution_may_be_anything(app: Application, reference: Any) -> None:
    answer = post(
        app, "/evaluate", request(configuration=None, task={"referenceSolution": reference})
    )
    assert sum(entry["awardedPoints"] for entry in answer.json()) == 2.0


@pytest.mark.parametrize("reference", [None, 3, "x = 2", ["a"], {"content": {"text": "no task"}}])
def test_a_reference_solution_that_is_no_task_is_left_alone(
    app: Application, reference: Any
) -> None:
    answer = post(app, "/evaluate", request(task={"referenceSolution": reference}))
    assert answer.status_code == 200


def test_the_version_is_echoed_and_an_unknown_one_refused(app: Application) -> None:
    answers = [
        call(app, ("POST", "/evaluate", request()), **headers)[0]
        for headers in ({"x-api-version": "0.1.0"}, {"x-api-version": "9.9.9"}, {})
    ]
    assert [answer.status_code for answer in answers] == [200, 406, 200]
    assert [answer.headers["x-api-version"] for answer in answers] == ["0.1.0"] * 3
    refusal = answers[1].json()
    assert refusal["code"] == "VERSION_NOT_SUPPORTED"
    assert refusal["details"]["supportedVersions"] == ["0.1.0"]
