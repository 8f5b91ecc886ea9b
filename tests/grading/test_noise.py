"""Correct work is never marked wrong: not for float noise, not for the order of additions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from service.grading.circuit import Pass
from service.grading.grade import grade
from service.grading.task import Task
from service.grading.tolerance import Tolerance
from service.grading.truth import Truth
from tests.grading.circuits import CIRCUITS, truth_of


def noisy(truth: Truth, rng: np.random.Generator, level: float) -> dict[str, Any]:
    """Right gradients with relative noise, and what the noise downstream makes of them.

    Where large terms cancel, the noise is that of the terms.
    """
    circuit, point = truth.circuit, truth.points[0]
    shaken: dict[str, Any] = {}
    for wire in (*reversed([w for w in circuit.wires if w in circuit.maker]), *circuit.inputs):
        if wire == circuit.output:
            continue
        done = Pass(circuit, point.values, shaken)
        terms = [np.max(np.abs(part), initial=0.0) for part in done.parts[wire].values()]
        noise = level * rng.uniform(-1, 1, circuit.shape(wire))
        held = done.expected[wire]
        shaken[wire] = held * (1 + noise) + noise * max(terms, default=0.0)
    return {"gradients": {wire: np.asarray(g).tolist() for wire, g in shaken.items()}}


def alarms(count: int, level: float, metric: str = "analytic", seed: int = 0) -> Counter[str]:
    """Verdicts other than correct among `count` correct submissions over all circuits."""
    rng = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    names = sorted(CIRCUITS)
    for number in range(count):
        name = names[number % len(names)]
        truth = truth_of(name, 7 + number // len(names) % 5, metric=metric)
        result = grade(truth, noisy(truth, rng, level))
        for wire in result.wires:
            if wire.wire != truth.circuit.output and wire.wire != "labels":
                found[f"{name}: {wire.verdict}"] += wire.verdict != "correct"
    return +found


def test_float_noise_is_forgiven() -> None:
    assert alarms(280, 1e-13) == {}


def test_single_precision_is_forgiven_where_the_task_says_so() -> None:
    assert alarms(140, 1e-6, "float32") == {}


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
def test_ten_thousand_correct_submissions_raise_no_alarm() -> None:
    assert alarms(10_000, 1e-13) == {}


@pytest.mark.parametrize("name", ["product of a sum", "sigmoid neuron", "staged"])
@pytest.mark.parametrize("decimals", [2, 3, 4])
def test_work_with_pencil_and_paper_is_accepted_under_rounding(name: str, decimals: int) -> None:
    for seed in range(20):
        known = truth_of(name, seed)
        point = known.points[0]
        task = known.task
        rounding = Tolerance("rounding", decimals=decimals)
        truth = Truth(Task(task.graph, task.inputs, rubric=task.rubric, tolerance=rounding))
        rounded = {
            wire: round(float(g), decimals)
            for wire, g in point.gradients.items()
            if wire != known.circuit.output
        }
        result = grade(truth, {"gradients": rounded})
        assert {w.verdict for w in result.wires if w.wire in rounded} == {"correct"}


def test_rounding_at_every_step_is_accepted_though_the_errors_add_up() -> None:
    wrong = 0
    for seed in range(40):
        known = truth_of("staged", seed)
        circuit, point = known.circuit, known.points[0]
        rounding = Tolerance("rounding", decimals=3)
        task = known.task
        truth = Truth(Task(task.graph, task.inputs, rubric=task.rubric, tolerance=rounding))
        held: dict[str, Any] = {}
        for wire in (*reversed([w for w in circuit.wires if w in circuit.maker]), *circuit.inputs):
            expected = Pass(circuit, point.values, held).expected[wire]
            held[wire] = np.round(expected, 3)
        document = {"gradients": {wire: float(g) for wire, g in held.items()}}
        wrong += sum(w.verdict != "correct" for w in grade(truth, document).wires)
    assert wrong == 0
