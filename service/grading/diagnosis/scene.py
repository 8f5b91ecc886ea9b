"""One submission at one point: what is held, and what is to be explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.grading.circuit import Pass
from service.grading.diagnosis.faults import Fault, Table, table
from service.grading.tolerance import MATCHING, Near, Tolerance
from service.grading.truth import Truth
from service.grading.verdicts import Judged

Tensor = Any


class Budget:
    """How many mistakes may still be tried. `spent` says that it ran out."""

    def __init__(self, runs: int) -> None:
        self.left = runs

    def take(self) -> bool:
        """Count one more; False when there is none left."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True

    @property
    def spent(self) -> bool:
        return self.left <= 0


@dataclass(slots=True)
class Found:
    """A fault that explains some wrong gradients, and how likely it is by itself."""

    fault: Fault
    detail: str
    weight: float
    explained: frozenset[str]


@dataclass(slots=True)
class Scene:
    """`done` goes on from what was submitted; `sound` is the correct pass at the same point."""

    truth: Truth
    number: int
    judged: Judged
    done: Pass
    sound: Pass
    given: Mapping[str, Tensor]
    faulty: Sequence[str]
    stops: frozenset[str]
    near: dict[str, Near] = field(default_factory=dict)

    @property
    def matching(self) -> Tolerance:
        """How closely a mistake has to give what was submitted."""
        tolerance = self.truth.task.tolerance
        return tolerance if tolerance.metric != "allclose" else MATCHING

    @property
    def own_values(self) -> bool:
        """Whether gradients are held against wrong forward values of the student's."""
        return self.done.values is not self.sound.values

    def holds(self, wire: str, predicted: Tensor) -> bool:
        """Whether what was submitted for `wire` is `predicted`."""
        given = self.given[wire]
        if np.shape(predicted) != np.shape(given):
            return False
        test = self.near.get(wire)
        if test is None:
            test = self.near[wire] = Near(self.matching, given, self.judged.point.noise)
        return test(predicted)

    def shows(self, wire: str, predicted: Tensor) -> bool:
        """Whether a mistake can be seen: by more than ten times the tolerance."""
        right = self.done.expected[wire]
        if np.shape(predicted) != np.shape(right):
            return True
        tolerance = self.truth.task.tolerance
        factor = 2.0 if tolerance.rounding else 10.0
        return tolerance.apart(predicted, right, self.judged.point.noise, factor)

    def table(self, wire: str) -> Table:
        """The mistakes at a wire, from the student's own gradients of what it feeds."""
        circuit, done, sound = self.done.circuit, self.done, self.sound
        outputs = (w for n, _ in circuit.readers.get(wire, ()) for w in circuit.gates[n].outputs)
        same = not self.own_values and all(done.held.get(w) is sound.held.get(w) for w in outputs)
        return table(sound if same else done, wire)


def scenes_of(truth: Truth, points: Sequence[Judged], faulty: Sequence[str]) -> list[Scene]:
    """The scenes of the points that have something wrong, the main one first."""
    found = []
    for judged in points:
        if judged.done is None:
            continue
        place = next(n for n, point in enumerate(truth.points) if point is judged.point)
        sound, right = truth.sound[place], truth.right[place]
        submitted = {
            wire: sound.held[wire] if g is right.held.get(wire) else g
            for wire, g in judged.done.submitted.items()
        }
        own = judged.done.values is not judged.point.values
        values = judged.done.values if own else sound.values
        same = sound.circuit is judged.done.circuit
        done = judged.done if same else Pass(sound.circuit, values, submitted, sound)
        answer = judged.answer
        given = {**answer.gradients, **answer.misshapen}
        here = [w for w in faulty if w in given and judged.verdicts.get(w) in _AT_FAULT]
        stops = frozenset(answer.gradients)
        found.append(Scene(truth, place, judged, done, sound, given, here, stops))
    return sorted(found, key=lambda scene: not scene.faulty)


_AT_FAULT = ("wrong", "wrong_shape")
