"""Every grader's format against a JSON schema written from its documentation."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.grading.formats import FORMATS, Failure
from service.grading.grade import grade
from service.grading.report import shown
from service.grading.task import Reveal
from service.wire.answers import encode
from tests.grading.circuits import truth_of

SUBMISSIONS: dict[str, Any] = {
    "right": None,
    "wrong": {"gradients": {"x": 4.0, "y": "NaN", "xpy": [1]}, "values": {"num": 3}},
    "empty": {},
    "nothing": "garbage",
}
FAILURES = [
    Failure("the graph has a cycle", "author", "cycle"),
    Failure("the queue is full", "service", "overloaded"),
    Failure("this service needs an API key", "caller", "unauthorized"),
]
REVEALS: tuple[Reveal, ...] = ("score", "verdict", "diagnosis", "full")


def document_of(name: str, reveal: Reveal) -> dict[str, Any]:
    truth = truth_of("staged", reveal=reveal)
    given = SUBMISSIONS[name]
    if name == "right":
        given = {"gradients": {w: float(g) for w, g in truth.points[0].gradients.items()}}
    return shown(grade(truth, given))


def read(made: Any) -> Any:
    """A format's document as a reader of that format sees it."""
    if isinstance(made, str):
        return json.loads(base64.b64decode(made, validate=True))
    return json.loads(encode(made))


@pytest.mark.parametrize("reveal", REVEALS)
@pytest.mark.parametrize("name", sorted(SUBMISSIONS))
@pytest.mark.parametrize("format", sorted(FORMATS))
def test_graded_documents_fit_the_schema(format: str, name: str, reveal: Reveal) -> None:
    chosen = FORMATS[format]
    made = read(chosen.graded(document_of(name, reveal), "gradients"))
    Draft202012Validator(chosen.schema()).validate(made)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.cause)
@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"native"}))
def test_a_refusal_is_a_valid_failing_document(format: str, failure: Failure) -> None:
    chosen = FORMATS[format]
    assert chosen.failed is not None
    made = read(chosen.failed(failure, "gradients"))
    Draft202012Validator(chosen.schema()).validate(made)
    text = json.dumps(made)
    assert '"passed"' not in text
    assert '"pass"' not in text
    if format not in ("autolab",):
        assert failure.code in text


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_the_schemas_are_schemas_and_refuse_something(format: str) -> None:
    schema = FORMATS[format].schema()
    Draft202012Validator.check_schema(schema)
    assert not Draft202012Validator(schema).is_valid({"score": "much"})
    assert not Draft202012Validator(schema).is_valid([])


def test_gradescope_scores_are_those_of_the_rubric() -> None:
    document = document_of("wrong", "diagnosis")
    made = FORMATS["gradescope"].graded(document, "p")
    assert made["score"] == document["score"]
    assert sum(test["score"] for test in made["tests"]) == made["score"]
    assert {test["status"] for test in made["tests"]} == {"failed", "passed"} or made["score"] == 0


def test_prairielearn_scores_are_shares_with_points_on_every_test() -> None:
    made = FORMATS["prairielearn"].graded(document_of("right", "verdict"), "p")
    assert made["score"] == 1.0
    assert all("points" in test and "max_points" in test for test in made["tests"])
    unread = FORMATS["prairielearn"].graded(document_of("nothing", "verdict"), "p")
    assert unread["gradable"] is False
    assert unread["format_errors"]


def test_autolab_is_one_compact_line_with_the_problems_exact_name() -> None:
    made = encode(FORMATS["autolab"].graded(document_of("wrong", "score"), "Back Prop 1"))
    assert b"\n" not in made
    assert json.loads(made)["scores"].keys() == {"Back Prop 1"}
    assert b": " not in made


def test_github_classroom_adds_up() -> None:
    document = document_of("wrong", "verdict")
    made = read(FORMATS["github-classroom"].graded(document, "p"))
    assert sum(test["score"] for test in made["tests"]) == document["score"]
    assert made["max_score"] == document["max_score"]
    assert made["status"] == "fail"
    right = read(FORMATS["github-classroom"].graded(document_of("right", "verdict"), "p"))
    assert right["status"] == "pass"
    assert {test["status"] for test in right["tests"]} == {"pass"}


def test_coursera_feedback_is_plain_text_for_a_student() -> None:
    made = FORMATS["coursera"].graded(document_of("wrong", "diagnosis"), "p")
    assert made["feedbackType"] == "TXT"
    assert "x: " in made["feedback"]
    assert 0 <= made["fractionalScore"] < 1
