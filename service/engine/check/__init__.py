"""Gradients against differences of values: the numerical check, with its errors by name.

Two independent judgements are given for each input. The differences say how far each
element is off, in the measures that courses and libraries use. The Taylor remainder
|f(x + t·d) - f(x) - t·g·d| along one random direction falls with t² where the gradient g
is right and with t where it is wrong, which needs no tolerance at all.

An element whose automatic step turns out too wide (a pole nearby, a fast oscillation) is
looked at again over a ladder of steps, wider and narrower ones; which of them is believed
depends on how well the differences agree with each other, never on the gradient that is
checked. Values are computed in double precision whatever the dtype of the request is. At a
kink the gradient is held between the slopes on its two sides. Where neither settles
anything, the check says so: `passed` is None.

Sources: the CS231n notes on gradient checks; the deep-learning course of A. Ng (norm
ratio); torch.autograd.gradcheck; Squire and Trapp, Using Complex Variables to Estimate
Derivatives of Real Functions, SIAM Review 40 (1998).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from service.engine.check.probe import Probe, index_slots, not_analytic
from service.engine.check.slopes import (
    NARROWER,
    STENCILS,
    TRIES,
    WIDER,
    Element,
    Method,
    Slope,
    automatic_step,
    ladder,
    tries,
)
from service.engine.check.taylor import RUNGS, remainder_rate
from service.engine.compute import (
    Tensor,
    checked_cotangent,
    chosen_inputs,
    chosen_output,
    gradient,
)
from service.engine.control import Control
from service.engine.errors import Fault, GraphError
from service.engine.program import Program

METHODS: tuple[Method, ...] = ("central", "five_point", "complex_step")

MOST_ELEMENTS = 1_000
"""Elements of one input that are moved one by one; of a larger one a drawn sample is."""
_LEAST_ELEMENTS = 8
_WORK = 10_000_000_000
"""What the runs of one check may cost together, in flops; more elements are not moved."""
_NODE_WORK = 2_000
_MOST_KINKS = 20
_LEAST_LADDERS, _MOST_LADDERS = 2, 40
"""Whole ladders of steps that one input may take."""
_KNOWN = 1e-2
"""How far off, relatively, a slope may be that shall decide anything."""
_SIDES = 8
"""Runs for the slopes on the two sides of a kink."""


@dataclass(frozen=True, slots=True)
class InputCheck:
    """The check of one input.

    `errors`: `absolute` max |a - n|; `relative_max` |a - n| / max(|a|, |n|); `relative_sum`
    |a - n| / max(1e-8, |a| + |n|), both at their worst element; `norm_ratio`
    ‖a - n‖ / (‖a‖ + ‖n‖); `gradcheck` the largest |a - n| - (1e-5 + 1e-3·|n|), which
    torch wants to be at most 0; `allclose` the largest |a - n| - (1e-8 + 1e-5·|n|), which
    NumPy does. `a` is the analytic and `n` the numerical gradient.
    `kink_crossed` are the elements, the first ones by index, whose automatic step led across
    a kink: a smaller one was taken there. Those that lie at the kink itself are held between
    the slopes on its two sides, and left out of the errors.

    `passed` goes by the elements that were compared (`checked`), and by the Taylor remainder
    where it shows an error that is beyond the tolerance; None where nothing could be
    decided. `taylor` alone is stricter: it calls a gradient wrong that was rounded to six
    digits.
    """

    passed: bool | None
    elements: int
    checked: int
    step: float
    errors: dict[str, float | None]
    worst: tuple[int, ...]
    analytic: float
    numerical: float
    verdict: str
    taylor_rate: float | None
    taylor: Literal["right", "wrong", "rounding", "kink"]
    kink_crossed: list[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """`passed` when every input did; None when none failed, and of one nothing could be said."""

    passed: bool | None
    method: Method
    output: str
    inputs: dict[str, InputCheck]


def check(
    program: Program,
    inputs: Mapping[str, Tensor],
    *,
    output: str | None = None,
    wrt: Sequence[str] | None = None,
    cotangent: Tensor | None = None,
    gradients: Mapping[str, Tensor] | None = None,
    method: Method = "central",
    step: float | None = None,
    tolerance: float = 1e-5,
    seed: int = 0,
    control: Control | None = None,
) -> CheckReport:
    """Check the gradients of one output (or the ones given in `gradients`).

    An output that is no scalar is contracted with `cotangent`, by default one drawn from
    `seed`. `step` is relative to max(1, |x|) and chosen by the method when left
    out. Of a large input, or one of a costly graph, a sample drawn from `seed` is moved
    (`moved_elements`). Labels and indices can't be moved a little: without `wrt` they are left
    out. An element passes when |a - n| is at most
    `tolerance`·max(|a|, |n|) and what rounding explains. Raises GraphError for an operator
    that the complex step cannot pass through, and as `compute.gradient` does.
    """
    name = chosen_output(program, output)
    targets = chosen_inputs(program, wrt if wrt is not None else _keys(gradients))
    if wrt is None:
        labels = index_slots(program.code)
        targets = tuple(one for one in targets if program.code.inputs[one] not in labels)
    rng = np.random.default_rng(seed)
    spec = program.spec(name)
    if cotangent is None and spec.shape != ():
        cotangent = rng.standard_normal(spec.shape)
    seeded = np.asarray(checked_cotangent(program, name, cotangent), np.float64)
    if gradients is None:
        gradients = gradient(
            program, inputs, output=name, wrt=targets, cotangent=seeded[()], control=control
        ).gradients
    if method == "complex_step":
        _refuse_branches(program)
    probe = Probe(program, inputs, name, seeded, control)
    own = probe.gradients(targets, program.dtype)
    reports = {}
    for target in targets:
        moved = moved_elements(program, target, len(targets))
        settings = _Settings(method, step, tolerance, moved, _ladders(program, moved, len(targets)))
        reports[target] = _check_input(
            probe,
            target,
            _checked_gradient(program, target, gradients[target]),
            own[target],
            settings,
            np.random.default_rng(seed),
        )
    each = [report.passed for report in reports.values()]
    return CheckReport(
        None if None in each and False not in each else all(each), method, name, reports
    )


def _affordable(program: Program, inputs: int) -> int:
    """How many elements may take a dozen runs each."""
    run = program.cost.flops + _NODE_WORK * program.cost.nodes
    return int(_WORK // (12 * max(1, run) * max(1, inputs)))


def moved_elements(program: Program, name: str, inputs: int = 1) -> int:
    """How many elements of the input `name` a check moves that looks at so many inputs."""
    affordable = max(_LEAST_ELEMENTS, _affordable(program, inputs))
    return min(program.spec(name).size, MOST_ELEMENTS, affordable)


def _ladders(program: Program, moved: int, inputs: int) -> int:
    """How many of them may take a whole ladder of steps."""
    spare = (_affordable(program, inputs) - moved) // 6
    return min(moved, _MOST_LADDERS, max(_LEAST_LADDERS, spare))


def check_runs(program: Program, names: Sequence[str]) -> int:
    """At most so many forward runs does the check of these inputs take."""
    most = max(map(len, STENCILS.values()))
    total = 12  # for the gradient, its rounding, and the function where it is
    for name in names:
        moved = moved_elements(program, name, len(names))
        rungs = _ladders(program, moved, len(names)) * (WIDER + NARROWER + 1)
        total += (most * (1 + TRIES) + _SIDES) * moved + most * rungs + RUNGS
    return total


@dataclass(frozen=True, slots=True)
class _Settings:
    method: Method
    step: float | None
    tolerance: float
    elements: int
    ladders: int


def _keys(gradients: Mapping[str, Tensor] | None) -> list[str] | None:
    return None if gradients is None else list(gradients)


def _checked_gradient(program: Program, name: str, given: Tensor) -> Any:
    array = np.asarray(given, np.float64)
    spec = program.spec(name)
    if array.shape != spec.shape:
        raise GraphError(
            [
                Fault(
                    "shape_mismatch",
                    f"the gradient of '{name}' has shape {array.shape}, the input {spec.shape}",
                    node=name,
                    shapes=(array.shape, spec.shape),
                    pointer=f"#/gradients/{name[:64]}",
                )
            ]
        )
    return array


def _refuse_branches(program: Program) -> None:
    faults = [
        Fault(
            "not_differentiable",
            f"the complex step cannot pass through {step.operator.name}",
            node=step.name,
            op=step.operator.name,
            hint="use the method central or five_point",
        )
        for step in not_analytic(program.code)
    ]
    if faults:
        raise GraphError(faults[:20])


def _places(
    shape: tuple[int, ...], most: int, rng: np.random.Generator
) -> Iterator[tuple[int, ...]]:
    """All indices of a small tensor, a drawn sample of a large one, in order."""
    size = math.prod(shape)
    chosen: Any = range(size)
    if size > most:
        chosen = np.sort(rng.choice(size, most, replace=False))
    for flat in chosen:
        yield tuple(int(i) for i in np.unravel_index(int(flat), shape)) if shape else ()


def _check_input(
    probe: Probe,
    name: str,
    analytic: Any,
    own: tuple[Any, Any],
    settings: _Settings,
    rng: np.random.Generator,
) -> InputCheck:
    """The check of one input; `own` is the computed gradient and what rounding does to it."""
    x = np.array(probe.leaves[name], np.float64)
    judge = _Judge(probe, name, x, analytic, own, settings)
    for place in _places(x.shape, settings.elements, rng):
        judge.look_at(place)
    a = np.array([analytic[place] for place in judge.places], np.float64)
    n = np.array(judge.numerical, np.float64)
    with np.errstate(all="ignore"):
        difference = _gap(a, n)
        larger = np.maximum(np.abs(a), np.abs(n))
    rate, taylor, hidden = remainder_rate(probe, name, x, analytic, own[1], settings.tolerance, rng)
    errors = _errors(a, n, difference, larger)
    worst = int(np.argmax(np.nan_to_num(difference, nan=np.inf))) if a.size else 0
    checked = len(judge.places) + judge.between
    passed: bool | None = not judge.wrong and not hidden
    if passed and not checked and x.size:
        passed = True if taylor == "right" else None
    return InputCheck(
        passed=passed,
        elements=x.size,
        checked=checked,
        step=judge.relative,
        errors=errors,
        worst=judge.places[worst] if a.size else (),
        analytic=float(a[worst]) if a.size else math.nan,
        numerical=float(n[worst]) if a.size else math.nan,
        verdict=_verdict(errors["relative_sum"], passed, judge),
        taylor_rate=rate,
        taylor=taylor,
        kink_crossed=judge.kinks[:_MOST_KINKS],
    )


class _Judge:
    """Looks at the elements of one input, and counts what it could say of them.

    `places` and `numerical` are the elements that have a slope to be compared with;
    `between` counts those at a kink whose gradient lies between its two one-sided slopes.
    """

    def __init__(
        self,
        probe: Probe,
        name: str,
        x: Any,
        analytic: Any,
        own: tuple[Any, Any],
        settings: _Settings,
    ) -> None:
        self.probe, self.name, self.x, self.analytic = probe, name, x, analytic
        self.own, self.allowance = own
        self.settings = settings
        self.relative = settings.step or automatic_step(settings.method)
        self.weights = STENCILS.get(settings.method, {})
        self.ladders = settings.ladders
        self.places: list[tuple[int, ...]] = []
        self.numerical: list[float] = []
        self.kinks: list[tuple[int, ...]] = []
        self.between, self.wrong, self.undecided = 0, False, 0

    def look_at(self, place: tuple[int, ...]) -> None:
        """Compare the gradient of one element with the best slope that can be had."""
        element = Element(self.probe, self.name, self.x, place)
        if self.settings.method == "complex_step":
            moved = self.x.astype(complex)
            moved[place] += 1j * self.relative
            value = self.probe.imaginary(self.name, moved[()]) / self.relative
            slope: Slope | None = Slope(value, float(np.finfo(float).tiny) / self.relative)
        else:
            first = element.slope(self.relative * max(1.0, abs(element.here)), self.weights)
            if not first.smooth:
                self.kinks.append(place)
            slope = first if first.smooth else None
            if self.settings.step is None and not self._settled(place, slope):
                slope = self._look_again(element, place, first)
        if slope is None:
            self._at_a_kink(element, place)
        elif self._differs(place, slope):
            self.wrong = True
            self._compare(place, slope)
        elif self._settled(place, slope):
            self._compare(place, slope)
        else:
            self.undecided += 1

    def _look_again(self, element: Element, place: tuple[int, ...], first: Slope) -> Slope | None:
        """A better slope from other steps; of values that are not finite the first one."""
        if not math.isfinite(self.analytic[place]):
            return first if first.smooth else None
        noisy = not self._differs(place, first)
        steps = tries(self.relative, element.here, first, noisy)
        slope = element.agreed(steps, self.weights)
        if not self._settled(place, slope) and self.ladders:
            self.ladders -= 1
            slope = element.agreed(ladder(self.relative, element.here), self.weights) or slope
        if slope is None and first.smooth and not math.isfinite(first.value):
            return first
        return slope

    def _larger(self, place: tuple[int, ...], slope: Slope) -> float:
        return max(abs(float(self.analytic[place])), abs(slope.value))

    def _differs(self, place: tuple[int, ...], slope: Slope) -> bool:
        a = float(self.analytic[place])
        if not (math.isfinite(a) and math.isfinite(slope.value)):
            return not (a == slope.value or (math.isnan(a) and math.isnan(slope.value)))
        slack = slope.trust + float(self.allowance[place])
        larger = self._larger(place, slope)
        return abs(a - slope.value) > self.settings.tolerance * larger + slack

    def _settled(self, place: tuple[int, ...], slope: Slope | None) -> bool:
        """Whether the slope is known well enough to say that the gradient is right."""
        if slope is None or self._differs(place, slope):
            return False
        a, allowed = abs(float(self.analytic[place])), float(self.allowance[place])
        if not math.isfinite(a):
            return True
        nothing = max(a, abs(float(self.own[place]))) <= allowed
        return nothing or slope.trust <= _KNOWN * self._larger(place, slope)

    def _at_a_kink(self, element: Element, place: tuple[int, ...]) -> None:
        """Hold the gradient between the slopes on either side, where there are such."""
        sides = element.sides(self.relative / 8.0**3) if self.settings.step is None else None
        a = float(self.analytic[place])
        if sides is None or place not in self.kinks:
            self.undecided += 1
            return
        low, high, trust = sides
        slack = trust + self.settings.tolerance * max(abs(low), abs(high))
        if low - slack <= a <= high + slack:
            self.between += 1
        elif a == float(self.own[place]):
            self.undecided += 1  # by the operators' conventions at kinks, as relu(x) - relu(-x)
        else:
            self.wrong = True
            self._compare(place, Slope(low if a < low else high, trust))

    def _compare(self, place: tuple[int, ...], slope: Slope) -> None:
        self.places.append(place)
        self.numerical.append(slope.value)


def _gap(a: Any, n: Any) -> Any:
    """|a - n|, and 0 where both are the same infinity."""
    with np.errstate(all="ignore"):
        return np.where(a == n, 0.0, np.abs(a - n))


def _errors(a: Any, n: Any, difference: Any, larger: Any) -> dict[str, float | None]:
    """The measures of InputCheck; None where nothing could be compared."""
    names = ("absolute", "relative_max", "relative_sum", "norm_ratio", "gradcheck", "allclose")
    if a.size == 0:
        return dict.fromkeys(names)
    with np.errstate(all="ignore"):
        relative_max = np.where(difference == 0, 0.0, difference / larger)
        relative_sum = difference / np.maximum(1e-8, np.abs(a) + np.abs(n))
        norms = float(np.linalg.norm(a) + np.linalg.norm(n))
        gap = float(np.linalg.norm(a - n))
        return {
            "absolute": float(np.max(difference)),
            "relative_max": float(np.max(relative_max)),
            "relative_sum": float(np.max(relative_sum)),
            "norm_ratio": gap / norms if norms else 0.0,
            "gradcheck": float(np.max(difference - (1e-5 + 1e-3 * np.abs(n)))),
            "allclose": float(np.max(difference - (1e-8 + 1e-5 * np.abs(n)))),
        }


def _verdict(relative: float | None, passed: bool | None, judge: _Judge) -> str:
    """The words of the CS231n notes for a relative error of the elements that were moved."""
    if passed is None and judge.kinks:
        return "nothing could be decided: at kinks the slopes on either side are not to be had"
    if passed is None:
        return "nothing could be decided: rounding of the values hides the slope at every step"
    if passed is False and not judge.wrong:
        return "wrong along a drawn direction"
    if relative is None:
        return "between the slopes on the two sides of a kink" if judge.between else "right"
    if math.isnan(relative):
        return "not finite"
    if relative > 1e-2:
        return "wrong" if not passed else "differences within rounding"
    if relative > 1e-4:
        return "uncomfortable" if not passed else "differences within rounding"
    if relative > 1e-7:
        return "okay for a function with kinks" if judge.kinks else "okay"
    return "right"
