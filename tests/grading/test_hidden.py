"""Below `full`, an answer holds nothing that the expected gradients could be worked out from."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from service.grading.formats import FORMATS
from service.grading.grade import grade
from service.grading.report import feedback, shown
from service.grading.task import Reveal
from service.wire.answers import encode
from tests.grading.circuits import CIRCUITS, truth_of
from tests.grading.planted import plant

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def numbers(document: Any) -> set[float]:
    """Every number that is a value in a document, and every one in its texts."""
    found: set[float] = set()
    if isinstance(document, dict):
        for name, value in document.items():
            if name not in ("points", "max_points", "score", "max_score", "confidence"):
                found |= numbers(value)
    elif isinstance(document, list):
        for value in document:
            found |= numbers(value)
    elif isinstance(document, str):
        found |= {float(one) for one in NUMBER.findall(document)}
    elif isinstance(document, int | float) and not isinstance(document, bool):
        found.add(float(document))
    return found


def secrets(name: str, document: dict[str, Any]) -> list[float]:
    """Expected gradients, errors and ratios of a submission, where they aren't small integers."""
    point = truth_of(name).points[0]
    found: list[float] = []
    for wire, given in document["gradients"].items():
        expected = point.gradients[wire]
        if np.shape(given) != np.shape(expected):
            continue
        with np.errstate(all="ignore"):
            for one in (expected, given - expected, given / expected, expected / given):
                found += np.ravel(one).tolist()
    return [one for one in found if math.isfinite(one) and abs(one * 4 - round(one * 4)) > 1e-6]


@pytest.mark.parametrize("reveal", ["score", "verdict", "diagnosis"])
@pytest.mark.parametrize("name", ["staged", "hinge with penalty", "batch norm"])
def test_no_number_of_the_answer_is_a_secret(name: str, reveal: Reveal) -> None:
    truth = truth_of(name, reveal=reveal)
    for planted in list(plant(truth))[::7]:
        document = json.loads(encode(shown(grade(truth, planted.document))))
        told = numbers(document)
        for secret in secrets(name, planted.document):
            close = [one for one in told if abs(one - secret) <= 1e-6 * abs(secret)]
            assert not close, f"{planted.key}: {close} in {document}"


@pytest.mark.parametrize("name", sorted(CIRCUITS))
def test_the_answer_is_the_same_for_other_expected_values(name: str) -> None:
    """The same mistake on other inputs is told in the same words."""
    first, second = truth_of(name, 7), truth_of(name, 11)
    others = {planted.key: planted for planted in plant(second)}
    compared = 0
    for planted in list(plant(first))[::9]:
        other = others.get(planted.key)
        if other is None:
            continue
        one = shown(grade(first, planted.document))
        two = shown(grade(second, other.document))
        texts = [
            {
                (entry["node"], group["message"])
                for entry in document["nodes"]
                for group in entry["diagnoses"][:1]
            }
            for document in (one, two)
        ]
        if texts[0] == texts[1]:
            compared += 1
    assert compared > 0


def test_each_level_shows_what_it_says() -> None:
    wrong = {"gradients": {"x": 4.0, "y": -4.0}}
    seen = {}
    for reveal in ("score", "verdict", "diagnosis", "full"):
        truth = truth_of("staged", reveal=reveal)
        seen[reveal] = shown(grade(truth, wrong))
    assert set(seen["score"]) == {"score", "max_score", "message"}
    assert "diagnoses" not in seen["verdict"]["nodes"][0]
    assert "first_fault" not in seen["verdict"]
    assert "expected" not in str(seen["diagnosis"])
    assert "detail" not in str(seen["diagnosis"])
    full = next(node for node in seen["full"]["nodes"] if node["node"] == "x")
    assert {"expected", "submitted", "error"} <= set(full)


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_a_graders_format_shows_no_more_than_the_native_one(format: str) -> None:
    truth = truth_of("staged", reveal="score")
    document = shown(grade(truth, {"gradients": {"x": 4.0}}))
    made = FORMATS[format].graded(document, "p")
    if isinstance(made, str):
        import base64

        made = json.loads(base64.b64decode(made))
    assert "missing" not in json.dumps(made)
    assert "wrong" not in json.dumps(made)
    assert "x: " not in feedback(document)
