"""From the judged points of a submission to its ranked diagnoses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.grading.diagnosis.ranking import ranked
from service.grading.diagnosis.scene import Budget, Found, scenes_of
from service.grading.diagnosis.search import common_causes, places, single_causes
from service.grading.task import Diagnosis
from service.grading.truth import Truth
from service.grading.verdicts import Judged

__all__ = ["Budget", "diagnose"]


def diagnose(
    truth: Truth, points: Sequence[Judged], faulty: Sequence[str], budget: Budget
) -> dict[str, list[Diagnosis]]:
    """Ranked groups of mistakes for every wire of `faulty`, which come from the output on.

    `points` are the judged points of one submission; each faulty wire is wrong at one of
    them at least, and a mistake has to explain it at all of them.
    """
    with np.errstate(all="ignore"):
        scenes = scenes_of(truth, points, faulty)
        if not scenes:
            return {}
        main = scenes[0]
        common: list[Found] = []
        at = places(main)
        alone = len(main.faulty) == 1 and at == list(main.faulty)
        if not alone and not any(scene.own_values for scene in scenes):
            common = common_causes(scenes, [*at, main.done.circuit.output], budget)
        if common:
            return {wire: ranked(main, wire, common, budget, True) for wire in main.faulty}
        found = single_causes(scenes, budget)
        return {
            wire: ranked(main, wire, found.get(wire, []), budget, False) for wire in main.faulty
        }
