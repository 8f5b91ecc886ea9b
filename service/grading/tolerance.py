"""When a submitted gradient counts as equal to an expected one.

A metric gives a figure of how far two tensors are apart; they are equal when it is at
most the metric's threshold. All metrics work on float64.

    analytic        max of |x - t| / (rtol |t| + atol max|t|): rtol 1e-6, atol 1e-9, threshold 1.
                    The truth is analytic, so little more than rounding is forgiven. The default.
    float32         the same with rtol 1e-3 and atol 1e-5: for work done in single precision
    allclose        NumPy's: |x - t| <= atol + rtol |t| with rtol 1e-5, atol 1e-8. Unsafe for
                    small gradients: 1e-9 and 5e-9 are equal to it.
    gradcheck       the same with torch.autograd.gradcheck's rtol 1e-3, atol 1e-5
    cs231n          max |x - t| / max(1e-8, |x| + |t|), as in the course's notebooks
    cs231n_prose    max |x - t| / max(|x|, |t|), as in the course's notes; up to twice the other
    norm            ‖x - t‖ / (‖x‖ + ‖t‖), as in deep-learning courses' gradient checks
    rounding        |x - t| of at most half a unit of the last of `decimals` places (2), or of
                    `figures` significant figures: for work done with pencil and paper
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

Metric = Literal[
    "analytic",
    "float32",
    "allclose",
    "gradcheck",
    "cs231n",
    "cs231n_prose",
    "norm",
    "rounding",
]
METRICS: tuple[str, ...] = get_args(Metric)
_NOISE = 1e-12


@dataclass(frozen=True, slots=True)
class _Rule:
    """`figure(x, t, rtol, atol)`, and the defaults of rtol, atol and the threshold."""

    figure: Callable[[Any, Any, float, float], float]
    threshold: float
    rtol: float = 0.0
    atol: float = 0.0


def _top(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _ratio(far: Any, allowed: Any) -> float:
    """The greatest `far / allowed`, where nothing over nothing is 0."""
    far, allowed = np.broadcast_arrays(far, allowed)
    with np.errstate(all="ignore"):
        return _top(np.where(far == 0.0, 0.0, far / allowed))


def _analytic(x: Any, t: Any, rtol: float, atol: float) -> float:
    return _ratio(np.abs(x - t), rtol * np.abs(t) + atol * _top(t))


def _absolute(x: Any, t: Any, rtol: float, atol: float) -> float:
    return _ratio(np.abs(x - t), atol + rtol * np.abs(t))


def _sum_relative(x: Any, t: Any, rtol: float, atol: float) -> float:
    return _ratio(np.abs(x - t), np.maximum(1e-8, np.abs(x) + np.abs(t)))


def _max_relative(x: Any, t: Any, rtol: float, atol: float) -> float:
    return _ratio(np.abs(x - t), np.maximum(np.abs(x), np.abs(t)))


def _norm(x: Any, t: Any, rtol: float, atol: float) -> float:
    return _ratio(np.linalg.norm(x - t), np.linalg.norm(x) + np.linalg.norm(t))


_RULES: dict[str, _Rule] = {
    "analytic": _Rule(_analytic, 1.0, 1e-6, 1e-9),
    "float32": _Rule(_analytic, 1.0, 1e-3, 1e-5),
    "allclose": _Rule(_absolute, 1.0, 1e-5, 1e-8),
    "gradcheck": _Rule(_absolute, 1.0, 1e-3, 1e-5),
    "cs231n": _Rule(_sum_relative, 1e-7),
    "cs231n_prose": _Rule(_max_relative, 1e-7),
    "norm": _Rule(_norm, 1e-7),
    "rounding": _Rule(_absolute, 1.0),
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A metric with its parameters; None means the metric's own default.

    `threshold` is for the metrics that are figures of their own (cs231n, cs231n_prose,
    norm); `decimals` and `figures` are for rounding.
    """

    metric: str = "analytic"
    rtol: float | None = None
    atol: float | None = None
    threshold: float | None = None
    decimals: int | None = None
    figures: int | None = None

    def __post_init__(self) -> None:
        if self.metric not in _RULES:
            raise ValueError(f"no metric '{self.metric[:40]}': there are {', '.join(METRICS)}")

    @property
    def rounding(self) -> bool:
        """Whether numbers with few digits are expected."""
        return self.metric == "rounding"

    @property
    def wanted_figures(self) -> int:
        """How many significant figures a number has to have."""
        rtol = self.bound(1.0)
        rtol = self.limit if rtol is None else float(rtol)
        return max(1, math.ceil(-math.log10(max(2.0 * rtol, 1e-16))) + 1)

    @property
    def limit(self) -> float:
        """The figure up to which tensors are equal."""
        return _RULES[self.metric].threshold if self.threshold is None else self.threshold

    def figure(self, given: Any, expected: Any) -> float:
        """How far `given` is from `expected`, both of one shape, finite or not.

        Infinite where one is not finite and the other isn't the same there.
        """
        x, t = np.asarray(given, np.float64), np.asarray(expected, np.float64)
        odd = ~(np.isfinite(x) & np.isfinite(t))
        if odd.any():
            same = (x == t) | (np.isnan(x) & np.isnan(t))
            if not same[odd].all():
                return float("inf")
            x, t = np.where(odd, 0.0, x), np.where(odd, 0.0, t)
        rule = _RULES[self.metric]
        rtol = rule.rtol if self.rtol is None else self.rtol
        atol = rule.atol if self.atol is None else self.atol
        if self.rounding:
            rtol, atol = 1e-9, self._half_unit(t)
        return rule.figure(x, t, rtol, atol)

    def _half_unit(self, t: Any) -> Any:
        if self.figures is None:
            decimals = 2 if self.decimals is None else self.decimals
            return 0.5 * 10.0**-decimals * (1 + 1e-9)
        size = np.where(t == 0.0, 1.0, np.abs(t))
        return 0.5 * 10.0 ** (np.floor(np.log10(size)) + 1 - self.figures) * (1 + 1e-9)

    def bound(self, t: Any) -> Any:
        """How far from `t` may be, element by element; None for metrics that are ratios.

        A Python float where `t` is one.
        """
        rule = _RULES[self.metric]
        rtol = rule.rtol if self.rtol is None else self.rtol
        atol = rule.atol if self.atol is None else self.atol
        size = abs(t)
        if rule.figure is _analytic:
            top = size if isinstance(t, float) else np.max(size, initial=0.0)
            return self.limit * (rtol * size + atol * top)
        if self.rounding:
            return self.limit * (1e-9 * size + self._half_unit(t))
        return self.limit * (atol + rtol * size) if rule.figure is _absolute else None

    def equal(self, given: Any, expected: Any, noise: float = 0.0) -> bool:
        """Whether the two count as equal.

        `noise` is an absolute difference that arithmetic alone can make: where the true
        gradient is what is left after large numbers cancel, no relative figure is fair.
        """
        if isinstance(given, float) and isinstance(expected, float):
            # np.float64 is a float too, and plain ones are ten times as fast.
            x, t = float(given), float(expected)
            if math.isfinite(x) and math.isfinite(t):
                allowed = self.bound(t)
                if allowed is not None:
                    return bool(abs(x - t) <= max(allowed, noise))
        with np.errstate(all="ignore"):
            allowed = self.bound(np.asarray(expected, np.float64))
            if allowed is not None:
                near = np.abs(given - expected) <= np.maximum(allowed, noise)
                if np.isfinite(expected).all():
                    return bool(near.all())
            if noise > 0.0:
                far = np.abs(np.asarray(given, np.float64) - np.asarray(expected, np.float64))
                if bool(np.all(far <= noise)):
                    return True
            return self.figure(given, expected) <= self.limit

    def off(self, given: Any, expected: Any, noise: float = 0.0) -> Any:
        """Which elements of `given` are not those expected, as an array of truth values."""
        t = np.asarray(expected, np.float64)
        allowed = self.bound(t)
        if allowed is None:
            allowed = self.limit * np.maximum(np.abs(given) + np.abs(t), 1e-8)
        with np.errstate(all="ignore"):
            same = (given == t) | (np.abs(given - t) <= np.maximum(allowed, noise))
        return ~same & ~(np.isnan(given) & np.isnan(t))

    def apart(self, given: Any, expected: Any, noise: float = 0.0, factor: float = 10.0) -> bool:
        """Whether the two differ by more than `factor` times what is tolerated."""
        with np.errstate(all="ignore"):
            far = np.abs(np.asarray(given, np.float64) - np.asarray(expected, np.float64))
            if not bool(np.any(~(far <= factor * noise))):
                return False
            return self.figure(given, expected) > factor * self.limit

    def noise(self, largest: float) -> float:
        """The difference that float64 arithmetic makes among gradients of this size."""
        return _NOISE * largest if np.isfinite(largest) else 0.0


class Near:
    """Whether tensors count as equal to one: for many of them, as quickly as can be."""

    __slots__ = ("_allowed", "_noise", "_scalar", "_tolerance", "expected")

    def __init__(self, tolerance: Tolerance, expected: Any, noise: float = 0.0) -> None:
        self._tolerance = tolerance
        self._noise = noise
        self._scalar = np.ndim(expected) == 0
        self.expected = float(expected) if self._scalar else np.asarray(expected, np.float64)
        self._allowed = None
        with np.errstate(all="ignore"):
            if bool(np.all(np.isfinite(expected))):
                allowed = tolerance.bound(self.expected)
                if allowed is not None:
                    self._allowed = np.maximum(allowed, noise)
                    if self._scalar:
                        self._allowed = float(self._allowed)

    def __call__(self, given: Any) -> bool:
        """`given` has the same shape."""
        if self._allowed is None:
            return self._tolerance.equal(given, self.expected, self._noise)
        if self._scalar:
            return bool(abs(float(given) - self.expected) <= self._allowed)
        return bool((np.abs(given - self.expected) <= self._allowed).all())


MATCHING = Tolerance("analytic")
"""How closely a known mistake has to give what was submitted."""
