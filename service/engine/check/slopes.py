"""Difference quotients of one element: over ladders of steps, and on each side of a kink.

A step is too wide where the function bends or a kink lies within, and too narrow where
rounding drowns the difference. Which of them is believed depends on how well neighbouring
steps agree with each other, never on the gradient that is checked.

Source of the ladder: Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in
Engineering Software 4 (1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from service.engine.check.probe import EPSILON, Probe, same_branches

Method = Literal["central", "five_point", "complex_step"]
# Weights of f(x + k·h) in the derivative times h.
STENCILS: dict[str, dict[int, float]] = {
    "central": {1: 0.5, -1: -0.5},
    "five_point": {2: -1 / 12, 1: 8 / 12, -1: -8 / 12, -2: 1 / 12},
}
_SIDES: dict[int, dict[int, float]] = {1: {1: 1.0, 0: -1.0}, -1: {0: 1.0, -1: -1.0}}
WIDER, NARROWER = 6, 10
"""Rungs of the ladder above and below the automatic step, each a factor of 8."""
TRIES = 3
"""Steps that every element may take beyond the first, before a ladder."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A slope and how far it may be off; `smooth` where one branch was taken throughout."""

    value: float
    trust: float
    smooth: bool = True


class Element:
    """One element of an input, with the rest of it held."""

    def __init__(self, probe: Probe, name: str, x: Any, place: tuple[int, ...]) -> None:
        self.probe, self.name, self.x, self.place = probe, name, x, place
        self.here = float(x[place])

    def slope(self, h: float, weights: dict[int, float]) -> Slope:
        """The difference quotient with step `h`; `trust` is what rounding may have done.

        `x` is moved in place and put back: a copy for each element would cost more than
        many a graph does.
        """
        total, largest = 0.0, 0.0
        first: list[Any] | None = None
        smooth = True
        # A step that can be made: rounding of x + h would be taken for slope.
        h = (self.here + h) - self.here or h
        for k, weight in weights.items():
            self.x[self.place] = self.here + k * h
            try:
                value, branches = self.probe.at(self.name, self.x[()])
            finally:
                self.x[self.place] = self.here
            total += weight * value
            largest = max(largest, abs(value))
            if first is None:
                first = branches
            smooth = smooth and same_branches(first, branches)
        rounding = max(4.0 * EPSILON * largest, self.probe.rounding) / abs(h)
        return Slope(total / h, rounding if math.isfinite(rounding) else 0.0, smooth)

    def agreed(self, steps: Sequence[float], weights: dict[int, float]) -> Slope | None:
        """The slope on which two neighbouring steps agree best; None where no two do."""
        best: Slope | None = None
        before: float | None = None
        for h in steps:
            one = self.slope(h, weights)
            if not one.smooth or not math.isfinite(one.value):
                before = None
                continue
            if before is not None:
                # From one rung to the next the error falls by 64, beside a hidden kink by 8.
                trust = abs(one.value - before) / 4.0 + one.trust
                if best is None or trust < best.trust:
                    best = Slope(one.value, trust)
            before = one.value
        return best

    def sides(self, relative: float) -> tuple[float, float, float] | None:
        """The slopes on the two sides of a kink, and how far they may be off.

        None where a side has none: at a jump, or where rounding is in the way.
        """
        found = []
        trust = 0.0
        scale = max(1.0, abs(self.here))
        for weights in _SIDES.values():
            near, far = (self.slope(relative * scale / 8.0**k, weights) for k in (2, 1))
            apart = abs(near.value - far.value) + near.trust
            if not apart <= 1e-2 * max(1.0, abs(near.value)):
                return None
            found.append(near.value)
            trust = max(trust, apart)
        return min(found), max(found), trust


def tries(relative: float, here: float, first: Slope, noisy: bool) -> list[float]:
    """Two or three steps, neighbours, to take where the first one settles nothing."""
    step = relative * max(1.0, abs(here))
    if not first.smooth:
        return [step / 8.0**3, step / 8.0**4, step / 8.0**5]
    if noisy:
        return [step * 8.0**3, step * 8.0**2, step * 8.0]
    if 0 < abs(here) < 1:
        return [relative * abs(here), relative * abs(here) / 8.0]
    return [step / 8.0, step / 8.0**2, step / 8.0**3]


def ladder(relative: float, here: float) -> list[float]:
    """All steps from wide to narrow."""
    step = relative * max(1.0, abs(here))
    return [step * 8.0**rung for rung in range(WIDER, -NARROWER - 1, -1)]


def automatic_step(method: Method) -> float:
    """The step where rounding and truncation balance: ε^(1/3) and ε^(1/5)."""
    if method == "complex_step":
        return 1e-20
    return float(np.finfo(np.float64).eps ** (1 / 3 if method == "central" else 1 / 5))
