"""What students hand in is read as it is meant, and what can't be is said where it stands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from service.commands.grade import _read
from service.engine.expression import parse_expression
from service.engine.expression.pieces import pieces
from service.engine.graph import resolve
from service.grading.grade import grade
from service.grading.report import feedback, shown
from service.grading.submission import NotJson, read_tensor
from service.grading.task import Rubric, Task
from service.grading.truth import Truth
from service.wire.grading import parse_submission

RIGHT = {"gradients": {"x": -4, "y": -4, "z": 3}}


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_files_of_every_encoding_are_read(encoding: str, tmp_path: Path) -> None:
    body = json.dumps(RIGHT).encode(encoding)
    assert parse_submission(body, 64) == RIGHT
    (tmp_path / "ada.json").write_bytes(body)
    assert _read("ada", tmp_path / "ada.json") == {**RIGHT, "id": "ada"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_that_is_cut_off_is_said_to_be(encoding: str) -> None:
    text = json.dumps(RIGHT, indent=1)
    for length in range(2, len(text) - 1):
        found = parse_submission(text[:length].encode(encoding), 64)
        assert isinstance(found, NotJson)
        assert "line" in found.reason
        assert "column" in found.reason
        if text[length - 1] not in "-":
            assert "cut off" in found.reason, (text[:length], found.reason)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"gradients": {"x": 1,}}', "line 1, column"),
        (b"", "empty"),
        (b"[1, 2]", "not a JSON object"),
        (b'{"id": 1,\n "\xe9": 2}', "line 2"),
        (b'{"id": 1, "id": 2}', "twice"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(body: bytes, said: str) -> None:
    found = parse_submission(body, 64)
    assert isinstance(found, NotJson)
    assert said in found.reason


@pytest.mark.parametrize(
    ("text", "number"),
    [("1/3", 1 / 3), ("-4", -4.0), ("0.333333", 0.333333), ("1e-3", 1e-3), (" -3 / 4 ", -0.75)],
)
def test_numbers_in_texts_are_numbers(text: str, number: float) -> None:
    assert read_tensor(text, ()) == number
    assert read_tensor([text, 1], (2,)).tolist() == [number, 1.0]


@pytest.mark.parametrize("text", ["", "x", "1/0", "1e999", "1/2/3", "nan", "9" * 400, "0,5"])
def test_other_texts_are_not(text: str) -> None:
    with pytest.raises(ValueError):
        read_tensor(text, ())


def truth_of(source: str, inputs: dict[str, object], **rubric: object) -> Truth:
    inputs = {n: np.array(v) if isinstance(v, list) else v for n, v in inputs.items()}
    return Truth(Task(resolve(parse_expression(source)), inputs, rubric=Rubric(**rubric)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["dw", "grad_w", "W", "d_w", "w.grad", "dL/dw", "∂L/∂w", "w_grad", "dL/d_w"]
)
def test_a_name_that_people_also_use_is_hinted_at(name: str) -> None:
    result = grade(truth_of("f = w * v", {"w": 2.0, "v": 3.0}), {"gradients": {name: 3}})
    assert any("did you mean 'w'?" in note for note in result.notes), result.notes


def test_unnamed_steps_are_called_by_their_text() -> None:
    source = "y = sigmoid(X @ W1 + b)\nf = sum(y ** 2)"
    graph = resolve(parse_expression(source))
    assert set(pieces(graph).values()) == {"X @ W1", "X @ W1 + b", "y ** 2"}
    inputs = {"X": [[1.0, 2.0]], "W1": [[0.5], [0.25]], "b": [0.1]}
    truth = truth_of(source, inputs)
    right = truth.points[0].gradients
    wrong = {name: (-right[name]).tolist() for name in inputs}
    for document in (wrong, {**wrong, "b": right["b"].tolist()}):
        text = feedback(shown(grade(truth, {"gradients": document})))
        assert "'_" not in text, text


def test_wrong_entries_are_counted_and_may_earn_their_share() -> None:
    source, inputs = (
        "f = sum(a * b * b)",
        {"a": [[1.0, 2.0], [3.0, 4.0]], "b": [[1.0, 2.0], [3.0, 5.0]]},
    )
    given = [[1.0, 4.0], [9.0, 5.0]]
    result = shown(grade(truth_of(source, inputs, points={"a": 4.0}), {"gradients": {"a": given}}))
    assert result["nodes"][0]["entries"] == {"wrong": 1, "of": 4, "first": [1, 1]}
    assert result["score"] == 0
    truth = truth_of(source, inputs, points={"a": 4.0}, by_entry=True)
    assert grade(truth, {"gradients": {"a": given}}).score == 3


def test_a_rounded_gradient_is_told_how_many_figures_are_wanted() -> None:
    truth = truth_of("f = x / y", {"x": 2.0, "y": 3.0})
    result = grade(truth, {"gradients": {"x": 0.333, "y": -0.222}})
    for wire in result.wires:
        assert wire.diagnoses[0].first.code == "rounded"
        assert "figures are wanted" in wire.diagnoses[0].first.message
