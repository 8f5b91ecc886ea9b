"""The Taylor remainder of a gradient along one drawn direction, and how fast it falls."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from service.engine.check.probe import EPSILON, Probe, same_branches

RUNGS = 18
_FIT = 4

Taylor = Literal["right", "wrong", "rounding", "kink"]


def remainder_rate(
    probe: Probe,
    name: str,
    x: Any,
    analytic: Any,
    allowance: Any,
    tolerance: float,
    rng: np.random.Generator,
) -> tuple[float | None, Taylor, bool]:
    """The rate at which the first-order remainder falls along a random direction.

    It is read off the smallest steps whose remainder stands out of the rounding (of the
    values, and `allowance`, that of the gradient), since only small steps show the rate.
    The last value says whether the remainder shows an error in the slope that is beyond
    the tolerance.
    """
    direction = rng.standard_normal(x.shape)
    norm = float(np.linalg.norm(direction))
    if norm == 0 or not np.all(np.isfinite(analytic)):
        return None, "wrong" if norm else "rounding", bool(norm)
    direction = direction / norm
    unknown = float(np.sum(np.abs(allowance * direction)))
    start = EPSILON**0.125 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
    seen: list[tuple[float, float]] = []
    crossed = False
    for k in range(RUNGS):
        t = start * 0.25**k
        moved = x + t * direction
        value, taken = probe.at(name, moved[()])
        if not same_branches(probe.branches, taken):
            crossed = True
            continue
        slope = float(np.sum(np.asarray(analytic) * (moved - x)))
        remainder = abs(value - probe.value - slope)
        if math.isfinite(remainder):
            rounding = 100.0 * EPSILON * (abs(value) + abs(probe.value) + abs(slope))
            if remainder > max(rounding, 5.0 * probe.rounding, t * unknown):
                seen.append((t, remainder))
    seen = seen[-_FIT:]
    if len(seen) < 3:
        return None, "kink" if crossed else "rounding", False
    rate = float(np.polyfit(np.log([t for t, _ in seen]), np.log([r for _, r in seen]), 1)[0])
    if rate > 1.5:
        return rate, "right", False
    t, remainder = seen[-1]
    share = np.asarray(analytic) * direction
    allowed = tolerance * (abs(float(np.sum(share))) + float(np.linalg.norm(share)))
    return rate, "wrong", remainder / t > allowed + unknown
