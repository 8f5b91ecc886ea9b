"""Public mistakes are named as a teacher would name them, however the circuit is spelled."""

from __future__ import annotations

import numpy as np
import pytest

from service.grading.grade import grade
from tests.grading.corpus import Circuit, circuits, gradients, truth_of
from tests.grading.corpus_report import report


@pytest.mark.parametrize("circuit", circuits(), ids=lambda circuit: circuit.name)
def test_the_right_pass_is_right_in_every_spelling(circuit: Circuit) -> None:
    for spelling in circuit.spellings:
        truth = truth_of(circuit, spelling, "all")
        found = gradients(circuit)
        answer = {name: np.asarray(found[name]).tolist() for name in truth.points_for}
        result = grade(truth, {"gradients": answer})
        assert {w.wire for w in result.wires if w.verdict != "correct"} == set()
        assert truth.points_for


def test_there_are_many_public_mistakes_over_many_circuits() -> None:
    assert len({one.case.slip for one in report()}) >= 150
    assert len(report()) >= 300
    assert len(circuits()) >= 20


def test_what_is_said_first_is_what_a_teacher_would_say() -> None:
    missed = [f"{one.case}: {one.code} {one.confidence}" for one in report() if not one.accepted]
    assert len(missed) <= 0.05 * len(report()), missed
    unknown = [one for one in report() if one.code == "unknown" and not one.accepted]
    assert len(unknown) <= 0.02 * len(report()), unknown


def test_confidence_means_something() -> None:
    """The reliability table: of what is said at a confidence, at least that share is right."""
    assert [str(o.case) for o in report() if o.confidence > 0.9 and not o.accepted] == []
    for low, high in ((0.5, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 1.0)):
        some = [one for one in report() if low <= one.confidence <= high]
        assert len(some) >= 10
        assert sum(one.accepted for one in some) >= low * len(some)
