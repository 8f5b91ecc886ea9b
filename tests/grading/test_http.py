"""Grading over HTTP: one submission, a batch, tasks on the server, refusals."""

from __future__ import annotations

import asyncio
import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from service.app import create_app
from service.grading.formats import FORMATS
from service.http.application import Application
from service.settings import ApiKey, Settings

TASK: dict[str, Any] = {
    "graph": {"expression": "q = x + y\nf = q * z"},
    "inputs": {"x": -2, "y": 5, "z": -4},
    "rubric": {"points": {"q": 1, "x": 1, "y": 1, "z": 1}, "carry_forward": 0.5},
}
RIGHT = {"id": "ada", "gradients": {"q": -4, "x": -4, "y": -4, "z": 3}}
WRONG = {"id": "bob", "gradients": {"q": 4, "x": 4, "y": 4, "z": 3}}


def call(app: Application, *requests: tuple[str, str, Any], **headers: str) -> list[httpx.Response]:
    """The answers to (method, path, body) in order, without a network."""

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = []
            for method, path, body in requests:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                given = {"content-type": "application/json", **headers}
                answers.append(await client.request(method, path, content=content, headers=given))
            return answers

    return asyncio.run(run())


@pytest.fixture(scope="module")
def app() -> Application:
    return create_app(Settings(database_url="sqlite://"))


def post(app: Application, path: str, body: Any) -> httpx.Response:
    return call(app, ("POST", path, body))[0]


def test_a_submission_is_graded(app: Application) -> None:
    answer = post(app, "/v1/grade", {**TASK, "submission": WRONG})
    assert answer.status_code == 200
    document = answer.json()
    assert document["submission"] == "bob"
    assert (document["score"], document["max_score"]) == (2.0, 4.0)
    nodes = {node["node"]: node for node in document["nodes"]}
    assert nodes["q"]["verdict"] == "wrong"
    assert nodes["x"]["verdict"] == "carried_forward"
    (first, *_) = nodes["q"]["diagnoses"]
    assert first["code"] == "sign"
    assert 0 < first["confidence"] <= 1
    assert isinstance(first["equivalent_hypotheses"], list)
    Draft202012Validator(FORMATS["native"].schema()).validate(document)


def test_the_same_request_gives_the_same_bytes(app: Application) -> None:
    body = {**TASK, "submission": WRONG}
    fresh = create_app(Settings(database_url="sqlite://"))
    assert len({post(one, "/v1/grade", body).content for one in (app, app, fresh)}) == 1


def test_nan_as_students_tools_write_it_is_the_students_and_graded(app: Application) -> None:
    body = json.dumps({**TASK, "submission": {"gradients": {"x": float("nan"), "z": 3}}})
    assert "NaN" in body
    answer = post(app, "/v1/grade", body.encode())
    assert answer.status_code == 200
    verdicts = {node["node"]: node["verdict"] for node in answer.json()["nodes"]}
    assert verdicts["x"] == "not_finite"
    assert verdicts["z"] == "correct"


def test_lists_nested_without_end_are_the_students_and_graded(app: Application) -> None:
    deep = "[" * 50_000 + "]" * 50_000
    given = json.dumps({**TASK, "submission": {"gradients": {"z": 3, "x": "DEEP"}}})
    answer = post(app, "/v1/grade", given.replace('"DEEP"', deep).encode())
    assert answer.status_code == 200
    assert answer.json()["score"] == 1.0


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"graph": {"expression": "f = x +"}}, "syntax", "/graph/expression"),
        ({"graph": {"nodes": [{"id": "f", "op": "ad", "inputs": ["x"]}]}}, None, None),
        ({"inputs": {"x": 1, "y": 2}}, "missing_input", "/inputs/z"),
        ({"inputs": {**TASK["inputs"], "w": 1}}, "unused_input", "/inputs/w"),
        ({"inputs": {**TASK["inputs"], "x": {"dist": "cauchy"}}}, "invalid_request", "/inputs/x"),
        ({"rubric": {"points": {"ghost": 1}}}, "unknown_node", "/rubric/points/ghost"),
        ({"rubric": {"points": {"x": -1}}}, "invalid_request", "/rubric/points/x"),
        ({"rubric": {"carry_forward": 2}}, "invalid_request", "/rubric/carry_forward"),
        ({"tolerance": "close"}, "invalid_request", None),
        ({"tolerance": {"metric": "norm", "rtoll": 1}}, "invalid_request", None),
        ({"reveal": "everything"}, "invalid_request", "/reveal"),
        ({"seed": -1}, "invalid_request", "/seed"),
        ({"output": "ghost"}, "unknown_node", None),
        ({"solution": 1}, "invalid_request", "/solution"),
    ],
)
def test_an_authors_mistake_is_refused_with_its_place(
    app: Application, change: dict[str, Any], code: str | None, pointer: str | None
) -> None:
    answer = post(app, "/v1/grade", {**TASK, **change, "submission": RIGHT})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    errors = answer.json()["errors"]
    if code is not None:
        assert errors[0]["code"] == code
    if pointer is not None:
        assert errors[0]["pointer"] == pointer


def test_inputs_are_drawn_as_documented(app: Application) -> None:
    import numpy as np

    task = {
        "graph": {"expression": "f = sum(w * w)"},
        "inputs": {"w": {"dist": "normal", "shape": [4, 3], "seed": 231}},
    }
    w = np.random.default_rng(231).normal(0, 1, (4, 3))
    answer = post(app, "/v1/grade", {**task, "submission": {"gradients": {"w": (2 * w).tolist()}}})
    assert answer.json()["score"] == 1.0


def test_class_labels_are_no_default_part_of_the_rubric(app: Application) -> None:
    task = {
        "graph": {"expression": "f = cross_entropy(s, labels)"},
        "inputs": {"s": [[1, 2], [3, 4]], "labels": [0, 1]},
    }
    answer = post(app, "/v1/grade", {**task, "submission": {}})
    assert answer.json()["max_score"] == 1.0


def test_tasks_by_id_hide_graph_and_rubric(app: Application) -> None:
    made, graded, missing, meddled = call(
        app,
        ("PUT", "/v1/tasks/circuit", {**TASK, "reveal": "verdict"}),
        ("POST", "/v1/grade", {"task": "circuit", "submission": WRONG}),
        ("POST", "/v1/grade", {"task": "nowhere", "submission": WRONG}),
        ("POST", "/v1/grade", {"task": "circuit", "inputs": {"x": 1}, "submission": WRONG}),
    )
    assert made.status_code == 200, made.text
    assert graded.status_code == 200, graded.text
    assert graded.json()["score"] == 2.0
    assert "diagnoses" not in graded.text
    assert missing.status_code == 404
    assert missing.json()["code"] == "task_not_found"
    assert meddled.status_code == 422


def test_a_request_may_ask_for_less_than_the_task_reveals_and_not_for_more(
    app: Application,
) -> None:
    _, less, more = call(
        app,
        ("PUT", "/v1/tasks/quiet", {**TASK, "reveal": "verdict"}),
        ("POST", "/v1/grade", {"task": "quiet", "reveal": "score", "submission": WRONG}),
        ("POST", "/v1/grade", {"task": "quiet", "reveal": "full", "submission": WRONG}),
    )
    assert set(less.json()) == {"submission", "score", "max_score", "message"}
    assert "nodes" in more.json()
    assert "expected" not in more.text
    assert "diagnoses" not in more.text


def test_a_task_that_is_replaced_is_graded_anew(app: Application) -> None:
    other = {**TASK, "inputs": {"x": 1, "y": 1, "z": 1}}
    _, before, _, after = call(
        app,
        ("PUT", "/v1/tasks/changing", TASK),
        ("POST", "/v1/grade", {"task": "changing", "submission": RIGHT}),
        ("PUT", "/v1/tasks/changing", other),
        ("POST", "/v1/grade", {"task": "changing", "submission": RIGHT}),
    )
    assert before.json()["score"] == 4.0
    assert after.json()["score"] < 4.0


def test_tasks_of_a_mounted_folder(tmp_path: Path) -> None:
    (tmp_path / "hw1.json").write_text(json.dumps(TASK))
    app = create_app(Settings(database_url="sqlite://", tasks_dir=tmp_path))
    answer = post(app, "/v1/grade", {"task": "hw1", "submission": RIGHT})
    assert answer.json()["score"] == 4.0


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"native"}))
def test_in_a_graders_format_any_refusal_is_a_failing_document(format: str) -> None:
    key = ApiKey(name="staff", sha256=sha256(b"secret").hexdigest(), scopes=("grade",))
    app = create_app(Settings(database_url="sqlite://", api_keys=(key,), max_body_bytes=4096))
    path = f"/v1/grade?format={format}"
    known = {"authorization": "Bearer secret"}
    large = {**TASK, "submission": {"gradients": {"x": [0.0] * 5000}}}
    answers = [
        call(app, ("POST", path, {**TASK, "submission": RIGHT}))[0],
        call(app, ("POST", path, b"no json"), **known)[0],
        call(app, ("POST", path, {"submission": RIGHT}), **known)[0],
        call(app, ("POST", path, {"task": "nowhere", "submission": RIGHT}), **known)[0],
        call(app, ("POST", path, large), **known)[0],
        call(app, ("POST", path, b""), **known)[0],
    ]
    assert [one.status_code for one in answers] == [401, 400, 422, 404, 413, 400]
    for answer in answers:
        document: Any = answer.text
        if format == "github-classroom":
            document = base64.b64decode(answer.content)
        Draft202012Validator(FORMATS[format].schema()).validate(json.loads(document))


def test_an_unknown_format_is_refused_with_the_names_of_all(app: Application) -> None:
    answer = post(app, "/v1/grade?format=canvas", {**TASK, "submission": RIGHT})
    assert answer.status_code == 422
    assert "gradescope" in answer.json()["detail"]


def test_a_batch_is_a_line_for_each_in_order(app: Application) -> None:
    submissions = [{**(RIGHT if n % 3 else WRONG), "id": f"s{n}"} for n in range(60)]
    answer = post(app, "/v1/grade/batch", {**TASK, "submissions": submissions})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["submission"] for line in lines] == [f"s{n}" for n in range(60)]
    assert [line["score"] for line in lines] == [4.0 if n % 3 else 2.0 for n in range(60)]
    single = post(app, "/v1/grade", {**TASK, "submission": submissions[0]})
    assert answer.text.splitlines()[0] == single.text


def test_in_a_batch_one_bad_submission_is_its_own_affair(app: Application) -> None:
    submissions = [RIGHT, None, {"gradients": {"x": [[1], 2]}}, "x", WRONG]
    answer = post(app, "/v1/grade/batch", {**TASK, "submissions": submissions})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["score"] for line in lines] == [4.0, 0.0, 0.0, 0.0, 2.0]
    assert lines[1]["reason"]


def test_a_batch_in_a_graders_format(app: Application) -> None:
    body = {**TASK, "submissions": [RIGHT, WRONG]}
    answer = post(app, "/v1/grade/batch?format=gradescope", body)
    for line in answer.text.splitlines():
        Draft202012Validator(FORMATS["gradescope"].schema()).validate(json.loads(line))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**TASK, "submissions": 3}, 422),
        (TASK, 422),
        ({"task": "nowhere", "submissions": []}, 404),
        ({"graph": {"expression": "f = "}, "submissions": [RIGHT]}, 422),
    ],
)
def test_a_batch_for_a_wrong_task_is_refused_as_a_whole(
    app: Application, body: Any, status: int
) -> None:
    answer = post(app, "/v1/grade/batch", body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_empty_batch_is_an_empty_answer(app: Application) -> None:
    answer = post(app, "/v1/grade/batch", {**TASK, "submissions": []})
    assert (answer.status_code, answer.text) == (200, "")


def test_a_students_key_may_grade_and_not_compute() -> None:
    key = ApiKey(name="student", sha256=sha256(b"k").hexdigest(), scopes=("grade",))
    app = create_app(Settings(database_url="sqlite://", api_keys=(key,)))
    graded, computed, batch, tasks = call(
        app,
        ("POST", "/v1/grade", {**TASK, "submission": RIGHT}),
        ("POST", "/v1/gradient", {"graph": TASK["graph"], "inputs": TASK["inputs"]}),
        ("POST", "/v1/grade/batch", {**TASK, "submissions": [RIGHT]}),
        ("GET", "/v1/tasks/circuit", b""),
        authorization="Bearer k",
    )
    assert graded.status_code == 200
    assert computed.status_code == 403
    assert batch.status_code == 200
    assert tasks.status_code == 403


def test_with_the_task_in_the_query_the_body_is_the_submission_alone(app: Application) -> None:
    _, right, broken, other = call(
        app,
        ("PUT", "/v1/tasks/alone", TASK),
        ("POST", "/v1/grade?task=alone", RIGHT),
        ("POST", "/v1/grade?task=alone", b'{}, "task": "easy"'),
        ("POST", "/v1/grade?task=alone&format=gradescope", b"[1, 2"),
    )
    assert right.json()["score"] == 4.0
    assert (broken.status_code, broken.json()["score"]) == (200, 0.0)
    assert broken.json()["reason"]
    assert (other.status_code, other.json()["score"]) == (200, 0.0)


@pytest.mark.parametrize("nan", ["0", "NaN"])
def test_a_task_that_is_there_twice_is_refused(app: Application, nan: str) -> None:
    body = f'{{"task": "hard", "submission": {{"values": {nan}}}, "task": "easy"}}'
    answer = post(app, "/v1/grade", body.encode())
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed_json"
