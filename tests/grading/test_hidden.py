"""Below `full`, an answer holds nothing that the expected gradients could be worked out from."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.grading.formats import FORMATS
from service.grading.grade import grade
from service.grading.report import feedback, shown
from service.grading.task import Reveal
from service.grading.truth import Truth
from service.wire.answers import encode
from tests.grading.circuits import CIRCUITS, truth_of
from tests.grading.corpus import circuits, gradients
from tests.grading.corpus import truth_of as corpus_truth
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


def leaves(value: Any) -> list[Any]:
    """Every number and text in a document."""
    if isinstance(value, dict):
        return [one for member in value.values() for one in leaves(member)]
    if isinstance(value, list):
        return [one for member in value for one in leaves(member)]
    return [value]


@pytest.mark.parametrize("reveal", ["score", "verdict", "diagnosis"])
def test_nothing_in_an_answer_gives_the_expected_value_away(reveal: Reveal) -> None:
    """From every number of an answer and what was submitted the expected one is sought: as it
    is, as a factor, a share or a difference; and other truths of one shape give one answer."""
    for circuit in circuits():
        for slip in circuit.slips[::4]:
            truth = corpus_truth(circuit, "staged", "all")
            truth = Truth(replace(truth.task, reveal=reveal, rubric=truth.task.rubric))
            found = gradients(circuit, slip)
            given = {n: np.asarray(found[n]).tolist() for n in truth.points_for if n in found}
            document = json.loads(encode(shown(grade(truth, {"gradients": given}))))
            for node in document.get("nodes", []):
                for name in ("points", "max_points", "entries"):
                    node.pop(name, None)
                for group in node.get("diagnoses", []):
                    group.pop("confidence")
            # How many are right, and what they are worth, depends on the verdicts alone.
            document = {k: v for k, v in document.items() if "score" not in k and k != "message"}
            told: set[float] = set()
            for leaf in leaves(document):
                told |= {float(n) for n in NUMBER.findall(str(leaf))}
            # Unnamed steps go by their text, which has the author's own numbers in it.
            told -= {float(n) for n in NUMBER.findall(circuit.staged)}
            for wire, tensor in given.items():
                right, mine = truth.points[0].gradients[wire], np.asarray(tensor)
                if mine.shape != np.shape(right):
                    continue
                wrong = np.ravel(~np.isclose(mine, right, rtol=1e-6))
                pairs = zip(np.ravel(right)[wrong], np.ravel(mine)[wrong], strict=True)
                for expected, own in pairs:
                    guesses = {n for t in told for n in (t, own * t, own + t, own - t)}
                    guesses |= {own / t for t in told if t}
                    far = [abs(n - expected) > 1e-9 * abs(expected) for n in guesses]
                    assert (
                        all(far)
                        or abs(expected * 4 - round(expected * 4)) < 1e-6
                        or any(abs(own * k - expected) < 1e-9 * abs(expected) for k in _SMALL)
                    ), (circuit.name, slip[0], wire, document)


_SMALL = (-4, -3, -2, -1, 0.25, 0.5, 1, 2, 3, 4, 0.1, 0.2)
"""Factors that anyone tries; the texts name 1/2 and 2 whatever the mistake."""
