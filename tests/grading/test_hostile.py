"""Whatever a student sends is graded: with 0 and a reason where it can't be used."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.grading.grade import grade
from service.grading.report import shown
from service.grading.task import Rubric, Task
from service.grading.truth import Truth
from service.wire.answers import encode

DEEP: Any = 0
for _ in range(500):
    DEEP = [DEEP]

HOSTILE: list[Any] = [
    None,
    0,
    "",
    "gradients",
    [],
    [[1, 2], [3]],
    True,
    {},
    {"gradients": None},
    {"gradients": []},
    {"gradients": "x"},
    {"gradients": {"x": None, "y": {}, "z": []}},
    {"gradients": {"x": "NaN", "y": "Infinity", "z": "-Infinity"}},
    {"gradients": {"x": math.nan, "y": math.inf, "z": -math.inf}},
    {"gradients": {"x": "nan", "y": "1", "z": "__import__('os')"}},
    {"gradients": {"x": True, "y": False, "z": [True]}},
    {"gradients": {"x": [[1], [2, 3]], "y": [1, "a"], "z": [None]}},
    {"gradients": {"x": DEEP}},
    {"gradients": {"x": [0.0] * 200_000}},
    {"gradients": {"x": [[]] * 1000}},
    {"gradients": {"x": 10**400, "y": -(10**400), "z": 1e308}},
    {"gradients": {"nobody": 1, "": 2, "q.1": 3, "f": "x", "\ud800": 4}},
    {"gradients": {"x": {"shape": [10**9, 10**9], "dtype": "float64", "data": {"buffer": ""}}}},
    {"gradients": {"x": {"shape": [-1], "data": {"buffer": "AAAA"}}}},
    {"gradients": {"x": {"shape": [], "dtype": "object", "data": {"buffer": "gASVAAAA"}}}},
    {"gradients": {"x": {"shape": [], "data": {"buffer": "not base64!"}}}},
    {"values": {"q": "x", "x": [1, 2], "f": None}},
    {"values": 3, "points": 4, "expression": 5, "id": []},
    {"points": [{"gradients": {"x": 1}}] * 1000},
    {"points": [3]},
    {"id": "x" * 100_000},
    {"id": "\ud800", "note": "hello"},
    {"expression": "__import__('os').system('true')"},
    {"expression": "().__class__.__bases__[0].__subclasses__()"},
    {"expression": "f = open('/etc/passwd')"},
    {"expression": "import os"},
    {"expression": "f = " + "(" * 5000 + "x" + ")" * 5000},
    {"expression": "f = " + "x + " * 4000 + "x"},
    {"expression": "f = x ** x ** x ** x"},
    {"expression": "f = secret"},
    {"expression": "x" * 1_000_000},
    {"expression": "f = x / 0"},
    {"expression": "f = x @ y"},
]


@pytest.fixture(scope="module")
def truth() -> Truth:
    graph = resolve(parse_expression("q = x + y\nf = q * z"))
    point = {"x": -2.0, "y": 5.0, "z": -4.0}
    rubric = Rubric(points={"x": 1.0, "y": 1.0, "z": 1.0}, value_points={"q": 1.0})
    return Truth(Task(graph, point, rubric=rubric))


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_it_is_graded_with_nothing(truth: Truth, number: int) -> None:
    result = grade(truth, HOSTILE[number])
    assert result.score == 0.0
    document = shown(result)
    text = encode(document)
    json.loads(text)
    assert len(text) < 40_000
    told = [
        node for node in document["nodes"] if node.get("reason") or node["verdict"] == "missing"
    ]
    told += [node for node in document["nodes"] if node["verdict"] == "wrong"]
    assert "reason" in document or "notes" in document or told


def test_what_can_be_used_still_counts(truth: Truth) -> None:
    document = {"gradients": {"x": -4, "y": "import os", "z": [3], "ghost": 1}, "values": {"q": 3}}
    result = grade(truth, document)
    assert result.score == 2.0
    reasons = {wire.wire: wire.reason for wire in result.wires}
    assert "text" in reasons["y"]
    assert "shape" in reasons["z"]
    assert any("ghost" in note for note in result.notes)


def test_an_expression_that_computes_the_same_is_recognised(truth: Truth) -> None:
    notes = grade(truth, {"expression": "f = x * z + z * y"}).notes
    assert notes == ["your expression computes the task's function"]
    notes = grade(truth, {"expression": "q = x - y\nf = q * z"}).notes
    assert len(notes) == 1
    assert "'q'" in notes[0]


@pytest.mark.parametrize("wire", ["f", "q * z"])
def test_an_expression_begins_at_the_inputs(truth: Truth, wire: str) -> None:
    (note,) = grade(truth, {"expression": wire}).notes
    assert "is not known" in note


def test_a_huge_array_is_refused_by_its_size_and_not_by_its_cost() -> None:
    graph = resolve(parse_expression("f = sum(W * W)"))
    truth = Truth(Task(graph, {"W": np.ones((3, 3))}))
    result = grade(truth, {"gradients": {"W": np.zeros((1000, 1000)).tolist()}})
    assert result.wires[0].verdict in ("missing", "wrong_shape")
    assert result.score == 0.0
