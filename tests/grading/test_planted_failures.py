"""What fails in the grader itself is one submission's line; the rest go on."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.routes import _grading
from service.settings import Settings

GRAPH = {"expression": "q = x + y\nf = q * z"}
INPUTS = {"x": -2, "y": 5, "z": -4}
RIGHT = {"q": -4, "x": -4, "y": -4, "z": 3}
ERRORS = (KeyError("x"), AssertionError(), ZeroDivisionError(), RecursionError(), MemoryError())


@pytest.fixture(params=ERRORS, ids=lambda error: type(error).__name__)
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> BaseException:
    """The grader fails in submissions whose id is `bad`."""
    grade = _grading.grade

    def failing(truth: Any, submission: Any, runs: int) -> Any:
        if isinstance(submission, dict) and submission.get("id") == "bad":
            raise request.param
        return grade(truth, submission, runs)

    monkeypatch.setattr(_grading, "grade", failing)
    return request.param  # type: ignore[no-any-return]


def submission(name: str) -> dict[str, Any]:
    """A right submission."""
    return {"id": name, "gradients": RIGHT}


def batch(body: dict[str, Any], format: str = "native", **settings: Any) -> list[dict[str, Any]]:
    """The lines of a batch."""

    async def run() -> httpx.Response:
        app = create_app(Settings(**settings))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(f"/v1/grade/batch?format={format}", json=body)

    answer = asyncio.run(run())
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_in_a_batch_the_others_are_graded(planted: BaseException) -> None:
    names = ["a", "bad", "b", "bad", "c"]
    lines = batch({"graph": GRAPH, "inputs": INPUTS, "submissions": [*map(submission, names)]})
    assert [line["submission"] for line in lines] == names
    for line in lines:
        if line["submission"] == "bad":
            assert line["error"]["status"] >= 400
            assert "score" not in line
        else:
            assert line["score"] == line["max_score"]


@pytest.mark.parametrize("format", ["gradescope", "prairielearn", "coursera"])
def test_a_graders_document_blames_the_service(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise KeyError("nothing of this is shown")

    monkeypatch.setattr(_grading, "grade", failing)
    body = {"graph": GRAPH, "inputs": INPUTS, "submissions": [submission("a")]}
    (line,) = batch(body, format)
    text = json.dumps(line)
    assert "grading service could not grade" in text
    assert "nothing of this" not in text


def test_the_command_grades_the_others_and_says_which_it_could_not(
    planted: BaseException,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from service.cli import main

    (tmp_path / "task.json").write_text(json.dumps({"graph": GRAPH, "inputs": INPUTS}))
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name in ("a", "bad", "c"):
        (folder / f"{name}.json").write_text(json.dumps(submission(name)))
    out = tmp_path / "out.ndjson"
    csv = tmp_path / "out.csv"
    arguments = ["grade", str(tmp_path / "task.json"), str(folder), "-o", str(out)]
    monkeypatch.setattr(sys, "argv", ["gradient-service", *arguments, "--csv", str(csv)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["submission"] for line in lines] == ["a", "bad", "c"]
    assert "error" in lines[1]
    assert [line.get("score") is not None for line in lines] == [True, False, True]
    assert csv.read_text().splitlines()[2].startswith("bad,,")
    assert "bad" in capfd.readouterr().err


def test_a_batch_ends_where_it_is_too_much_to_write_and_says_so() -> None:
    body = {"graph": GRAPH, "inputs": INPUTS, "submissions": [0] * 10_000}
    lines = batch(body, max_output_bytes=50_000)
    assert lines[-1]["error"]["limit"] == "output_bytes"
    assert all("score" in line for line in lines[:-1])
    assert 10 < len(lines) < 1_000


def test_one_line_is_refused_before_it_is_too_much_to_write() -> None:
    body = {
        "graph": {"expression": "sum(broadcast_to(x, shape=[100, 1000]))"},
        "inputs": {"x": 1.0},
        "reveal": "full",
        "submissions": [{"id": "a", "gradients": {"x": 100_000.0}}],
    }
    (line,) = batch(body, max_output_bytes=1_000_000)
    if "error" in line:
        assert line["error"]["code"] == "limit_exceeded"
    else:
        assert len(json.dumps(line)) < 1_000_000
