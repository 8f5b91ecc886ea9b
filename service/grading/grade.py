"""Grading one submission against the truth of its task. Pure: the same in, the same out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.engine.lru_cache import Recent
from service.grading.diagnosis import Budget, diagnose
from service.grading.diagnosis.words import plain
from service.grading.expression import check_expression
from service.grading.submission import read_submission
from service.grading.task import (
    Answer,
    Entries,
    Result,
    Submission,
    Verdict,
    WireResult,
)
from service.grading.tolerance import Tolerance
from service.grading.truth import Truth
from service.grading.verdicts import Judged, judge

Tensor = Any
DEFAULT_RUNS = 2_000
_KEPT_BYTES = 2_000_000
_ORDER: tuple[Verdict, ...] = (
    "missing",
    "not_finite",
    "wrong_shape",
    "wrong",
    "inconsistent",
    "carried_forward",
    "correct",
)
"""From the worst: a wire is as good as it is at the point where it is worst."""


def grade(truth: Truth, document: object, max_runs: int = DEFAULT_RUNS) -> Result:
    """The graded submission in a JSON document of any form. Raises nothing for its sake.

    `max_runs` bounds the mistakes that a diagnosis tries.
    """
    submission = read_submission(document, truth)
    return grade_submission(truth, submission, max_runs)


def grade_submission(truth: Truth, submission: Submission, max_runs: int = DEFAULT_RUNS) -> Result:
    """The graded submission. What the same numbers came to before serves again."""
    contents = [_content(answer) for answer in submission.answers]
    key = (max_runs, *contents)
    known: Recent[Any, Any] = truth.derived.setdefault("graded", Recent(1_024, _KEPT_BYTES))
    graded = known.get(key)
    if graded is None:
        graded = _graded(truth, submission.answers, max_runs)
        known.put(key, graded, sum(len(part) for numbers, _ in contents for part in numbers))
    wires, faulty, complete = graded
    result = Result(
        submission=submission.id,
        score=round(sum(wire.points for wire in wires), 9),
        max_score=round(truth.max_score, 9),
        wires=wires,
        message="",
        reveal=truth.task.reveal,
        notes=list(submission.notes),
        reason=submission.reason,
        faulty=faulty,
        complete=complete,
    )
    if submission.expression is not None:
        result.notes += check_expression(truth, submission.expression)
    result.message = _message(result, wires)
    return result


def _content(answer: Answer) -> tuple[tuple[bytes, ...], tuple[Any, ...]]:
    """All that a verdict depends on: the numbers as bytes, and what they are."""
    tensors = (answer.gradients, answer.values, answer.misshapen)
    numbers = tuple([tensor.tobytes() for some in tensors for tensor in some.values()])
    names = tuple(map(tuple, tensors))
    shapes = tuple(map(np.shape, answer.misshapen.values()))
    faults = (*answer.faults.items(), *answer.value_faults.items())
    return numbers, (names, shapes, faults, len(answer.faults))


def _graded(
    truth: Truth, answers: Sequence[Answer], max_runs: int
) -> tuple[list[WireResult], list[str], bool]:
    """The result of every wire, those at fault, and whether every mistake was tried."""
    task = truth.task
    judged = [
        judge(truth.circuit, point, answer, task.tolerance, right)
        for point, answer, right in zip(truth.points, answers, truth.right, strict=True)
    ]
    answered = [
        one
        for number, one in enumerate(judged)
        if number == 0 or one.answer.gradients or one.answer.values or one.answer.faults
    ]
    verdicts = _worst([one.verdicts for one in answered])
    wires = _wires(truth, answered, verdicts)
    faulty, complete = _faulty(truth, verdicts), True
    if task.reveal in ("diagnosis", "full"):
        budget = Budget(max_runs)
        found = diagnose(truth, answered, faulty, budget) if faulty else {}
        complete = not budget.spent
        for wire in wires:
            if wire.kind == "gradient":
                wire.diagnoses = found.get(wire.wire, [])
                if wire.verdict == "inconsistent":
                    wire.diagnoses = [plain("inconsistent", wire.wire, wire.wire)]
            elif wire.verdict == "wrong":
                wire.diagnoses = [plain("forward", wire.wire, wire.wire)]
    return wires, faulty, complete


def _worst(verdicts: Sequence[Mapping[str, Verdict]]) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for one in verdicts:
        for wire, verdict in one.items():
            held = found.get(wire, "correct")
            found[wire] = min(held, verdict, key=_ORDER.index)
    return found


def _faulty(truth: Truth, verdicts: Mapping[str, Verdict]) -> list[str]:
    """The wires whose own gradient is wrong, from the output back to the inputs."""
    circuit = truth.circuit
    inner = [w for w in reversed(circuit.wires) if w in circuit.maker]
    return [
        wire for wire in (*inner, *circuit.inputs) if verdicts.get(wire) in ("wrong", "wrong_shape")
    ]


def _wires(
    truth: Truth, judged: Sequence[Judged], verdicts: Mapping[str, Verdict]
) -> list[WireResult]:
    """One entry for every wire that earns points, then for what was sent besides."""
    rubric = truth.task.rubric
    shares: dict[str, float] = {
        "correct": 1.0,
        "carried_forward": rubric.carry_forward,
        "inconsistent": rubric.inconsistent,
    }
    found = []
    vanished = {wire for one in judged for wire in one.vanished}
    # Where values are worth nothing, wrong ones must not make the gradients easier.
    invented = not truth.value_points and any(one.own_values for one in judged)
    asked = {**truth.points_for, **{w: 0.0 for w in verdicts if w not in truth.points_for}}
    order = {wire: place for place, wire in enumerate(truth.circuit.wires)}
    rest = sorted((w for w in asked if w not in truth.points_for), key=order.__getitem__)
    for wire in (*truth.points_for, *rest):
        most = asked[wire]
        verdict = verdicts.get(wire, "missing")
        share, reason = shares.get(verdict, 0.0), ""
        if verdict == "carried_forward" and wire in vanished:
            share, reason = 0.0, "it follows from gradients that are zero, which earns nothing"
        elif verdict == "carried_forward" and invented:
            share, reason = 0.0, "it follows from forward values that are wrong"
        entry = WireResult(wire, verdict, most * share, most)
        _fill(entry, judged, "gradient", truth)
        entry.reason = entry.reason or reason
        found.append(entry)
    values = _worst([one.value_verdicts for one in judged])
    for wire in (*truth.value_points, *(w for w in values if w not in truth.value_points)):
        most = truth.value_points.get(wire, 0.0)
        verdict = values.get(wire, "missing")
        entry = WireResult(wire, verdict, most * shares.get(verdict, 0.0), most, "value")
        _fill(entry, judged, "value", truth)
        found.append(entry)
    return found


def _fill(entry: WireResult, judged: Sequence[Judged], kind: str, truth: Truth) -> None:
    """Reason, expected and submitted tensors of a wire, from the first point that differs."""
    for one in judged:
        answer = one.answer
        faults = answer.faults if kind == "gradient" else answer.value_faults
        verdicts = one.verdicts if kind == "gradient" else one.value_verdicts
        if entry.wire in faults:
            entry.reason = faults[entry.wire].reason
        given = (answer.gradients if kind == "gradient" else answer.values).get(entry.wire)
        if given is None:
            given = answer.misshapen.get(entry.wire) if kind == "gradient" else None
        if entry.verdict == "wrong" and verdicts.get(entry.wire) == "wrong":
            entry.entries = _entries(one, entry.wire, kind, truth.task.tolerance)
            if truth.task.rubric.by_entry and entry.entries is not None:
                right = 1.0 - entry.entries.wrong / entry.entries.of
                entry.points = entry.max_points * right
        if verdicts.get(entry.wire, "missing") == entry.verdict:
            source = one.point.gradients if kind == "gradient" else one.point.values
            entry.expected = source[entry.wire]
            entry.submitted = given
            whole = truth.task.reveal == "full"
            if whole and given is not None and np.shape(given) == np.shape(entry.expected):
                with np.errstate(all="ignore"):
                    entry.error = truth.task.tolerance.figure(given, entry.expected)
            return


def _entries(judged: Judged, wire: str, kind: str, tolerance: Tolerance) -> Entries | None:
    """Which entries of a wrong tensor are wrong; of a gradient those that don't follow either."""
    value = kind == "value"
    given = (judged.answer.values if value else judged.answer.gradients).get(wire)
    right = (judged.point.values if value else judged.point.gradients)[wire]
    if given is None or np.ndim(given) == 0:
        return None
    wrong = tolerance.off(given, right, judged.point.noise)
    if not value and judged.done is not None:
        wrong &= tolerance.off(given, judged.done.expected[wire], judged.point.noise)
    count = int(wrong.sum())
    if count == 0:
        return None
    first = tuple(int(n) for n in np.argwhere(wrong)[0])
    return Entries(count, int(wrong.size), first)


def _message(result: Result, wires: Sequence[WireResult]) -> str:
    """The result in a sentence or two."""
    if result.reason is not None:
        return f"Nothing could be graded: {result.reason}."
    graded = [wire for wire in wires if wire.max_points > 0] or list(wires)
    right = sum(wire.verdict == "correct" for wire in graded)
    text = f"{right} of {len(graded)} are right."
    if result.reveal == "score":
        return f"Score {result.score:g} of {result.max_score:g}."
    if result.faulty and result.reveal != "verdict":
        text += f" Going back from the output, the first fault is at '{result.faulty[0]}'."
    elif any(wire.verdict == "missing" for wire in graded):
        count = sum(wire.verdict == "missing" for wire in graded)
        text += f" {count} {'is' if count == 1 else 'are'} missing."
    return text
