"""Which of the faults that fit is likeliest, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.grading.diagnosis.catalogue import catalogue_of
from service.grading.diagnosis.faults import carried, table
from service.grading.diagnosis.scene import Budget, Found, Scene
from service.grading.diagnosis.words import hypothesis, unknown
from service.grading.task import Diagnosis, Hypothesis
from service.grading.tolerance import MATCHING

Tensor = Any
_CONSIDERED = 24
_MAX_GROUPS = 5
_MAX_EQUIVALENT = 8
_UNKNOWN_WEIGHT = 1.0
_RIVAL = 0.15


def ranked(
    scene: Scene, wire: str, found: Sequence[Found], budget: Budget, common: bool
) -> list[Diagnosis]:
    """Groups of what can't be told apart, the likeliest first.

    `common` says that each gives the whole submission, and not this wire alone.
    """
    if not found:
        misshapen = wire in scene.judged.answer.misshapen
        return [] if misshapen else [unknown(scene, wire)]
    order = {id(one): place for place, one in enumerate(found)}
    likeliest = sorted(found, key=lambda one: (-one.weight, order[id(one)]))[:_CONSIDERED]
    groups = _grouped(scene, wire, likeliest, budget, common)
    wires = scene.faulty if common else [wire]
    size = max(1, min(sum(np.size(scene.given[w]) for w in wires), 50))
    weights = [max(one.weight for one in group) for group in groups]
    total = sum(weights) + _UNKNOWN_WEIGHT / size
    return [
        Diagnosis(
            hypothesis(scene, wire, group[0]),
            round(weight / total * _lead(group), 3),
            tuple(_distinct([hypothesis(scene, wire, one) for one in group])),
        )
        for group, weight in list(zip(groups, weights, strict=True))[:_MAX_GROUPS]
    ]


def _lead(group: Sequence[Found]) -> float:
    """How sure it is that the first of a group is meant, and not one that looks the same."""
    best: dict[str, float] = {}
    for one in group:
        best[one.fault.code] = max(best.get(one.fault.code, 0.0), one.weight)
    first = best.pop(group[0].fault.code)
    return first / (first + _RIVAL * sum(best.values()))


def _distinct(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """All but the first and those that say the same."""
    seen = {(hypotheses[0].code, hypotheses[0].at)}
    kept = []
    for one in hypotheses[1:]:
        if (one.code, one.at) not in seen:
            seen.add((one.code, one.at))
            kept.append(one)
    return kept[:_MAX_EQUIVALENT]


def _grouped(
    scene: Scene, wire: str, found: Sequence[Found], budget: Budget, common: bool
) -> list[list[Found]]:
    """Mistakes that agree at the extra points as well stand together."""
    if len(found) == 1:
        return [list(found)]
    wires = list(scene.given) if common else [wire]
    signs = [_signature(scene, one, wires, budget, common) for one in found]
    groups: list[tuple[list[Found], Any]] = []
    for one, sign in zip(found, signs, strict=True):
        for group, other in groups:
            first = group[0].fault
            if (first.code == one.fault.code and first.at == one.fault.at) or _agree(sign, other):
                group.append(one)
                break
        else:
            groups.append(([one], sign))
    return [group for group, _ in groups]


def _signature(
    scene: Scene, one: Found, wires: Sequence[str], budget: Budget, common: bool
) -> list[Tensor | None]:
    """What a fault makes of the wires at the extra points; None where it can't be made."""
    truth, fault = scene.truth, one.fault
    found: list[Tensor | None] = []
    for number, sound in enumerate(truth.further):
        if common:
            changed = catalogue_of(truth).effects(truth.further, -1 - number, fault)
        else:
            entry = None
            if fault.at and budget.take():
                entry = table(sound, fault.at).get(fault)
            changed = {}
            if entry is not None and fault.at in wires:
                changed = {fault.at: entry[1]}
            elif entry is not None:
                changed = carried(sound, fault.at, entry[1], scene.stops - set(wires)) or {}
        if not changed:
            found.append(None)
        else:
            found += [changed.get(wire, sound.held[wire]) for wire in wires]
    return found


def _agree(one: list[Tensor | None], other: list[Tensor | None]) -> bool:
    if len(one) != len(other):
        return False
    for mine, theirs in zip(one, other, strict=True):
        if mine is None or theirs is None or np.shape(mine) != np.shape(theirs):
            return False
        top = float(np.max(np.abs(mine), initial=0.0))
        if not MATCHING.equal(mine, theirs, 1e-12 * top):
            return False
    return True
