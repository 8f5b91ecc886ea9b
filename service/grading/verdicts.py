"""Each wire against the truth, and against the student's own gradients downstream.

With G the submitted gradient of a wire, T the true one, and E what follows from the
student's own gradients of the gates that read the wire:

    correct           G is T (and, where the student's downstream is right, nothing more is asked)
    carried_forward   G is E but not T: a mistake further down, carried on correctly
    wrong             neither: the fault is at this wire
    inconsistent      T but not E: copied, or two errors that cancel

The same for forward values, with the student's own values of what a gate reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.engine.gate import Refused
from service.grading.circuit import Circuit, Pass, Point
from service.grading.task import Answer, Verdict
from service.grading.tolerance import Tolerance

Tensor = Any
_VANISHING = 1e-6
_EXACT = 1e-11


@dataclass(slots=True)
class Judged:
    """Verdicts on the submitted gradients and values of one point.

    `done` is the backward pass that goes on from the student's own gradients; None while
    nothing has asked for it (all that was submitted is right). `vanished` are the wires whose
    gradient follows, but from nothing: zeros follow from zeros, and are not worth points.
    `own_values` says that gradients are held against wrong forward values of the student's.
    """

    point: Point
    answer: Answer
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    value_verdicts: dict[str, Verdict] = field(default_factory=dict)
    done: Pass | None = None
    vanished: set[str] = field(default_factory=set)
    own_values: bool = False


def judge(
    circuit: Circuit,
    point: Point,
    answer: Answer,
    tolerance: Tolerance,
    right_pass: Pass | None = None,
) -> Judged:
    """Verdicts on everything usable in `answer`; faults keep the verdict they have.

    With `right_pass`, the correct pass at this point, what can't be told from right is taken
    for right on the way back, and only what depends on the rest is computed.
    """
    judged = Judged(point, answer)
    with np.errstate(all="ignore"):
        values = _judge_values(circuit, judged, tolerance)
        right = {wire: point.near[wire](g) for wire, g in answer.gradients.items()}
        for wire, fault in answer.faults.items():
            judged.verdicts[wire] = fault.verdict
        if all(right.values()) and values is point.values and not answer.misshapen:
            for wire in right:
                judged.verdicts[wire] = "correct"
            return judged
        submitted = answer.gradients
        if right_pass is not None and not tolerance.rounding:
            submitted = {
                wire: right_pass.held[wire] if _exact(g, right_pass.held[wire]) else g
                for wire, g in answer.gradients.items()
            }
        judged.done = Pass(circuit, values, submitted, right_pass)
        _judge_gradients(circuit, judged, judged.done, right, tolerance)
    return judged


def _judge_gradients(
    circuit: Circuit,
    judged: Judged,
    done: Pass,
    right: Mapping[str, bool],
    tolerance: Tolerance,
) -> None:
    """From the output back to the inputs, so that what is downstream is known."""
    sound: dict[str, bool] = {}
    for wire in (*reversed([w for w in circuit.wires if w in circuit.maker]), *circuit.inputs):
        downstream = all(
            sound.get(out, True)
            for number, _ in circuit.readers[wire]
            for out in circuit.gates[number].outputs
        )
        if wire not in right:
            sound[wire] = downstream and wire not in judged.answer.faults
            continue
        truth, given = judged.point.gradients[wire], judged.answer.gradients[wire]
        expected = done.expected[wire]
        noise = judged.point.noise
        follows = wire != circuit.output and tolerance.equal(given, expected, noise)
        verdict: Verdict
        if right[wire]:
            verdict = "correct" if downstream or follows else "inconsistent"
        elif follows:
            settled = downstream and done.values is judged.point.values
            verdict = "correct" if settled else "carried_forward"
            if not settled and _vanishes(expected, truth):
                judged.vanished.add(wire)
        else:
            verdict = "wrong"
        judged.verdicts[wire] = verdict
        sound[wire] = verdict == "correct"


def _exact(given: Tensor, truth: Tensor) -> bool:
    """Whether two gradients differ by no more than the order of additions may make."""
    top = float(np.max(np.abs(truth), initial=0.0)) if np.ndim(truth) else abs(float(truth))
    far = np.max(np.abs(given - truth), initial=0.0) if np.ndim(truth) else abs(given - truth)
    return bool(far <= _EXACT * top)


def _vanishes(expected: Tensor, truth: Tensor) -> bool:
    """Whether what follows is as good as nothing although there is a gradient."""
    top = float(np.max(np.abs(expected), initial=0.0))
    return top <= _VANISHING * float(np.max(np.abs(truth), initial=0.0))


def _judge_values(circuit: Circuit, judged: Judged, tolerance: Tolerance) -> dict[str, Tensor]:
    """Verdicts on forward values; the values that gradients are then taken from."""
    point, given = judged.point, judged.answer.values
    for wire, fault in judged.answer.value_faults.items():
        judged.value_verdicts[wire] = fault.verdict
    if not given:
        return point.values
    right = {wire: tolerance.equal(value, point.values[wire]) for wire, value in given.items()}
    if all(right.values()) and not tolerance.rounding:
        judged.value_verdicts.update(dict.fromkeys(right, "correct"))
        return point.values
    held = dict(point.values)
    moved: set[str] = set()
    for wire in circuit.specs:
        # An input's value is given, and not the student's to change.
        if wire not in circuit.maker and wire in given:
            judged.value_verdicts[wire] = "correct" if right[wire] else "wrong"
    for gate in circuit.gates:
        if not any(source in moved for source in gate.sources):
            follows: tuple[Tensor, ...] | None = tuple(point.values[w] for w in gate.outputs)
        else:
            inputs = [
                literal if source is None else held[source]
                for source, literal in zip(gate.sources, gate.literals, strict=True)
            ]
            try:
                follows = gate.evaluate(inputs)
            except Refused:
                follows = None
        for place, wire in enumerate(gate.outputs):
            own = None if follows is None else follows[place]
            if wire in given:
                carried = own is not None and tolerance.equal(given[wire], own)
                if right[wire] or (carried and not moved.isdisjoint(gate.sources)):
                    verdict: Verdict = "correct" if right[wire] else "carried_forward"
                else:
                    verdict = "wrong"
                judged.value_verdicts[wire] = verdict
                if not right[wire] or tolerance.rounding:
                    held[wire] = given[wire]
                    moved.add(wire)
            elif own is not None and not moved.isdisjoint(gate.sources):
                held[wire] = own
                moved.add(wire)
    judged.own_values = not all(right.values())
    return held if moved else point.values
