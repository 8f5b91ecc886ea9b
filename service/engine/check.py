"""Gradients against differences of values: the numerical check, with its errors by name.

Two independent judgements are given for each input. The differences say how far each
element is off, in the measures that courses and libraries use. The Taylor remainder
|f(x + t·d) - f(x) - t·g·d| along one random direction falls with t² where the gradient g
is right and with t where it is wrong, which needs no tolerance at all.

An element whose automatic step turns out too wide (a pole nearby, a fast oscillation) is
looked at again over a ladder of steps; which of them is believed depends on how well the
differences agree with each other, never on the gradient that is checked.

Sources: the CS231n notes on gradient checks; the deep-learning course of A. Ng (norm
ratio); torch.autograd.gradcheck; Squire and Trapp, Using Complex Variables to Estimate
Derivatives of Real Functions, SIAM Review 40 (1998); Ridders, Accurate computation of
F'(x) and F'(x)F''(x), Advances in Engineering Software 4 (1982), for the ladder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from service.engine.code import Code, Step
from service.engine.compute import (
    Gradient,
    Tensor,
    checked_cotangent,
    chosen_inputs,
    chosen_output,
    gradient,
    tensor_leaves,
)
from service.engine.control import Control
from service.engine.errors import Fault, GraphError
from service.engine.namespaces import ARRAYS
from service.engine.operators.leaves import PROJECT
from service.engine.program import Program
from service.engine.registry import REGISTRY
from service.engine.run.forward import run

Method = Literal["central", "five_point", "complex_step"]
_STOP, _CONSTANT = REGISTRY["stop_gradient"], REGISTRY["constant"]
METHODS: tuple[Method, ...] = ("central", "five_point", "complex_step")

MOST_ELEMENTS = 1_000
"""Elements of one input that are moved one by one; of a larger one a drawn sample is."""
_LEAST_ELEMENTS = 8
_WORK = 10_000_000_000
"""What the runs of one check may cost together, in flops; more elements are not moved."""
_NODE_WORK = 2_000
_ROUNDINGS = 4.0
"""Units in the last place that a node's value may be off."""
_MOST_KINKS = 20
_TAYLOR_RUNGS = 18
_TAYLOR_FIT = 4
_RUNGS = 9
_LADDERS = 2
"""Whole ladders of steps that one input may take in a second look."""

# Weights of f(x + k·h) in the derivative times h.
_STENCILS: dict[str, dict[int, float]] = {
    "central": {1: 0.5, -1: -0.5},
    "five_point": {2: -1 / 12, 1: 8 / 12, -1: -8 / 12, -2: 1 / 12},
}
_COMPLEX_STEP = 1e-20


@dataclass(frozen=True, slots=True)
class InputCheck:
    """The check of one input.

    `errors`: `absolute` max |a - n|; `relative_max` |a - n| / max(|a|, |n|); `relative_sum`
    |a - n| / max(1e-8, |a| + |n|), both at their worst element; `norm_ratio`
    ‖a - n‖ / (‖a‖ + ‖n‖); `gradcheck` the largest |a - n| - (1e-5 + 1e-3·|n|), which
    torch wants to be at most 0; `allclose` the largest |a - n| - (1e-8 + 1e-5·|n|), which
    NumPy does. `a` is the analytic and `n` the numerical gradient.
    Elements whose two sides lie on different branches of a kink (`kink_crossed`, the
    first ones by index) are left out of the errors.

    `passed` goes by the elements that were moved, and by the Taylor remainder where it
    shows an error in the others that is beyond the tolerance. `taylor` alone is stricter:
    it calls a gradient wrong that was rounded to six digits.
    """

    passed: bool
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
    """`passed` when every input passed."""

    passed: bool
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
    `seed`. `step` is relative to max(1, |x|) and chosen by the method and the dtype when
    left out. Of a large input, or one of a costly graph, a sample drawn from `seed` is moved
    (`moved_elements`). An element passes when |a - n| is at most
    `tolerance`·max(|a|, |n|) and what rounding explains. Raises GraphError for an operator
    that the complex step cannot pass through, and as `compute.gradient` does.
    """
    name = chosen_output(program, output)
    targets = chosen_inputs(program, wrt if wrt is not None else _keys(gradients))
    rng = np.random.default_rng(seed)
    spec = program.spec(name)
    if cotangent is None and spec.shape != ():
        cotangent = rng.standard_normal(spec.shape)
    seeded = np.asarray(checked_cotangent(program, name, cotangent), np.float64)
    found = gradient(
        program,
        inputs,
        output=name,
        wrt=targets,
        cotangent=seeded[()],
        node_gradients=True,
        control=control,
    )
    function = _Function(program, inputs, name, seeded, _rounding(program, found), control)
    if method == "complex_step":
        _refuse_branches(program)
    reports = {}
    for target in targets:
        given = found.gradients[target] if gradients is None else gradients[target]
        analytic = _checked_gradient(program, target, given)
        reports[target] = _check_input(
            function,
            target,
            analytic,
            _Settings(method, step, tolerance, moved_elements(program, target, len(targets))),
            np.random.default_rng(seed),
        )
    return CheckReport(all(r.passed for r in reports.values()), method, name, reports)


def moved_elements(program: Program, name: str, inputs: int = 1) -> int:
    """How many elements of the input `name` a check moves that looks at so many inputs."""
    run = program.cost.flops + _NODE_WORK * program.cost.nodes
    affordable = _WORK // (12 * max(1, run) * max(1, inputs))
    return min(program.spec(name).size, MOST_ELEMENTS, max(_LEAST_ELEMENTS, affordable))


def check_runs(program: Program, names: Sequence[str]) -> int:
    """At most so many forward runs does the check of these inputs take."""
    moved = sum(moved_elements(program, name, len(names)) for name in names)
    most = max(map(len, _STENCILS.values()))
    return 3 * most * moved + (most * _LADDERS * _RUNGS + _TAYLOR_RUNGS + 1) * len(names) + 3


def _rounding(program: Program, found: Gradient) -> float:
    """What rounding of every node may do to the output, to first order.

    Each node's value is off by a few units in its last place, and its gradient says what
    becomes of that. 0 where it isn't finite.
    """
    assert found.values is not None
    assert found.node_gradients is not None
    total = 0.0
    with np.errstate(all="ignore"):
        for name, gradient_of in found.node_gradients.items():
            if name not in program.graph.inputs:
                total += float(np.sum(np.abs(np.multiply(gradient_of, found.values[name]))))
    epsilon = float(np.finfo(program.dtype).eps)
    return _ROUNDINGS * epsilon * total if math.isfinite(total) else 0.0


@dataclass(frozen=True, slots=True)
class _Settings:
    method: Method
    step: float | None
    tolerance: float
    elements: int


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
        for step in program.code.steps
        if not step.leaf
        and step.operator is not PROJECT
        and not step.operator.analytic
        and step.operator.differentiable
    ]
    if faults:
        raise GraphError(faults[:20])


def _held(code: Code, leaves: Mapping[str, Any], control: Control | None) -> Code:
    """The code with what stands behind stop_gradient held at its value, as its gradient is."""
    stops = [slot for slot, step in enumerate(code.steps) if step.operator is _STOP]
    if not stops:
        return code
    values = run(code, leaves, control=control)
    steps = list(code.steps)
    for slot in stops:
        steps[slot] = replace(
            steps[slot], operator=_CONSTANT, inputs=(), attrs={}, value=values[slot]
        )
    return replace(code, steps=steps)


class _Function:
    """The contracted output as a function of one input, with the branches it took."""

    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Tensor],
        output: str,
        cotangent: Any,
        rounding: float,
        control: Control | None,
    ) -> None:
        self.leaves = tensor_leaves(program, inputs)
        self.code = _held(program.code, self.leaves, control)
        self.slot = program.slot(output)
        self.cotangent = cotangent
        self.rounding = rounding
        self.control = control
        self.epsilon = float(np.finfo(program.dtype).eps)
        self.selectors = [
            slot for slot, one in enumerate(self.code.steps) if one.operator.branch is not None
        ]

    def at(self, name: str, value: Any) -> tuple[float, list[Any]]:
        """The output with `value` in place of one input, and the branch of every selector."""
        if self.control is not None:
            self.control.check()
        dtype = self.code.steps[self.code.inputs[name]].spec.dtype
        leaves = {**self.leaves, name: np.asarray(value, dtype)[()]}
        values = run(self.code, leaves, control=self.control)
        total = float(np.sum(np.asarray(values[self.slot], np.float64) * self.cotangent))
        with np.errstate(all="ignore"):
            branches = [
                _branch(self.code.steps[slot], values, values[slot]) for slot in self.selectors
            ]
        return total, branches

    def rounded(self, name: str, value: Any) -> Any:
        """`value` as the input of that name can hold it, in double precision."""
        dtype = self.code.steps[self.code.inputs[name]].spec.dtype
        return np.asarray(value, dtype).astype(np.float64)

    def imaginary(self, name: str, value: Any) -> float:
        """The imaginary part of the output for a complex input."""
        if self.control is not None:
            self.control.check()
        result = _run_complex(self.code, {**self.leaves, name: value})[self.slot]
        return float(np.sum(np.imag(result) * self.cotangent))


def _run_complex(code: Code, leaves: Mapping[str, Any]) -> list[Any]:
    """The forward sweep on complex numbers; comparisons look at real parts."""
    values: list[Any] = []
    with np.errstate(all="ignore"):
        for step in code.steps:
            inputs = [values[source] for source in step.inputs]
            if step.leaf:
                value = leaves[step.name] if step.value is None else step.value  # type: ignore[index]
                # All are complex: an operator may make its result like its first input.
                values.append(np.asarray(value, complex)[()] if step.spec.floating else value)
                continue
            function = step.operator.analytic
            if not callable(function):
                function = ARRAYS.function(step.operator)
            if not step.operator.differentiable:
                inputs = [np.real(x) for x in inputs]
            for place in step.operator.indices:
                inputs[place] = np.real(inputs[place])
            values.append(function(*inputs, **step.attrs))
    return values


def _branch(step: Step, values: Sequence[Any], result: Any) -> Any:
    """Which branch a selector took, as something that can be compared."""
    assert step.operator.branch is not None
    return step.operator.branch(result, *(values[source] for source in step.inputs), **step.attrs)


def _same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _automatic_step(method: Method, epsilon: float) -> float:
    """The step where rounding and truncation balance: ε^(1/3) and ε^(1/5)."""
    if method == "complex_step":
        return _COMPLEX_STEP
    return float(epsilon ** (1 / 3 if method == "central" else 1 / 5))


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
    function: _Function,
    name: str,
    analytic: Any,
    settings: _Settings,
    rng: np.random.Generator,
) -> InputCheck:
    x = np.array(function.leaves[name], np.float64)
    method, tolerance = settings.method, settings.tolerance
    automatic = settings.step is None
    relative = settings.step or _automatic_step(method, function.epsilon)
    places, numerical, noise, kinks = [], [], [], []
    for place in _places(x.shape, settings.elements, rng):
        if method == "complex_step":
            moved = x.astype(complex)
            moved[place] += 1j * relative
            slope = function.imaginary(name, moved[()]) / relative
            rounding = float(np.finfo(np.float64).tiny) / relative
        else:
            h = relative * max(1.0, abs(float(x[place])))
            slope, rounding, smooth = _difference(function, name, x, place, h, method)
            if not smooth:
                kinks.append(place)
                continue
        places.append(place)
        numerical.append(slope)
        noise.append(rounding)
    a = np.array([analytic[place] for place in places], np.float64)
    n, slack = np.array(numerical, np.float64), np.array(noise, np.float64)
    if automatic and method != "complex_step":
        _look_again(function, name, x, a, n, slack, places, relative, settings)
    with np.errstate(all="ignore"):
        difference = _gap(a, n)
        larger = np.maximum(np.abs(a), np.abs(n))
        right = difference <= tolerance * larger + slack
        both_nan = np.isnan(a) & np.isnan(n)
    rate, taylor, hidden = _taylor(function, name, x, analytic, tolerance, rng)
    errors = _errors(a, n, difference, larger)
    worst = int(np.argmax(np.nan_to_num(difference, nan=np.inf))) if places else 0
    agreed = bool(np.all(right | both_nan))
    passed = agreed and (not hidden or bool(kinks))
    return InputCheck(
        passed=passed,
        elements=x.size,
        checked=len(places) + len(kinks),
        step=relative,
        errors=errors,
        worst=places[worst] if places else (),
        analytic=float(a[worst]) if places else math.nan,
        numerical=float(n[worst]) if places else math.nan,
        verdict=_verdict(errors["relative_sum"], agreed, passed, bool(kinks)),
        taylor_rate=rate,
        taylor=taylor,
        kink_crossed=kinks[:_MOST_KINKS],
    )


def _gap(a: Any, n: Any) -> Any:
    """|a - n|, and 0 where both are the same infinity."""
    with np.errstate(all="ignore"):
        return np.where(a == n, 0.0, np.abs(a - n))


def _difference(
    function: _Function, name: str, x: Any, place: tuple[int, ...], h: float, method: Method
) -> tuple[float, float, bool]:
    """Slope, what rounding may have done to it, and whether all points took one branch.

    `x` is moved in place and put back: a copy for each element would cost more than many
    a graph does.
    """
    slope, largest = 0.0, 0.0
    first: list[Any] | None = None
    smooth = True
    here = float(x[place])
    # A step that the dtype can make: rounding of x + h would be taken for slope.
    h = float(function.rounded(name, here + h)) - here or h
    for k, weight in _STENCILS[method].items():
        x[place] = here + k * h
        try:
            value, branches = function.at(name, x[()])
        finally:
            x[place] = here
        slope += weight * value
        largest = max(largest, abs(value))
        if first is None:
            first = branches
        smooth = smooth and _same(first, branches)
    rounding = max(50.0 * function.epsilon * max(largest, 1e-300), function.rounding) / abs(h)
    return slope / h, rounding if math.isfinite(rounding) else 0.0, smooth


def _look_again(
    function: _Function,
    name: str,
    x: Any,
    a: Any,
    n: Any,
    slack: Any,
    places: list[tuple[int, ...]],
    relative: float,
    settings: _Settings,
) -> None:
    """Better values of `n` and `slack` where `a` and `n` differ, the worst ones first.

    Two steps in proportion to x settle most of them, a ladder of steps the others. It ends
    at the first element that still differs, since the input has failed then.
    """

    def differs(index: Any) -> Any:
        with np.errstate(all="ignore"):
            larger = np.maximum(np.abs(a[index]), np.abs(n[index]))
            return ~(_gap(a[index], n[index]) <= settings.tolerance * larger + slack[index])

    doubtful = np.flatnonzero(differs(slice(None)) & np.isfinite(a))
    with np.errstate(all="ignore"):
        order = np.argsort(-np.nan_to_num(_gap(a[doubtful], n[doubtful]), nan=np.inf))
    ladders = _LADDERS
    for index in doubtful[order]:
        here = abs(float(x[places[index]]))
        widest = relative * max(1.0, here)
        tries = [[widest / 8.0**rung for rung in range(_RUNGS)]] if ladders else []
        if 0 < here < 1:
            tries.insert(0, [relative * here, relative * here / 8.0])
        for steps in tries:
            ladders -= len(steps) == _RUNGS
            found = _agreed(function, name, x, places[index], steps, settings.method)
            if found is not None:
                n[index], slack[index] = found
            if not differs(index):
                break
        else:
            return


def _agreed(
    function: _Function,
    name: str,
    x: Any,
    place: tuple[int, ...],
    steps: Sequence[float],
    method: Method,
) -> tuple[float, float] | None:
    """The slope on which two neighbouring steps agree best, and how far it can be trusted.

    None where no two do.
    """
    best: tuple[float, float] | None = None
    before: float | None = None
    for h in steps:
        slope, rounding, smooth = _difference(function, name, x, place, h, method)
        if not smooth or not math.isfinite(slope):
            before = None
            continue
        if before is not None:
            trust = abs(slope - before) + rounding
            if trust <= 1e-2 * abs(slope) and (best is None or trust < best[1]):
                best = slope, trust
        before = slope
    return best


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


def _verdict(relative: float | None, agreed: bool, passed: bool, kinks: bool) -> str:
    """The words of the CS231n notes for a relative error of the elements that were moved."""
    if relative is None:
        return "every element crossed a kink: nothing could be compared"
    if agreed and not passed:
        return "wrong along a drawn direction"
    if math.isnan(relative):
        return "not finite"
    if relative > 1e-2:
        return "wrong" if not passed else "differences within rounding"
    if relative > 1e-4:
        return "uncomfortable" if not passed else "differences within rounding"
    if relative > 1e-7:
        return "okay for a function with kinks" if kinks else "okay"
    return "right"


def _taylor(
    function: _Function,
    name: str,
    x: Any,
    analytic: Any,
    tolerance: float,
    rng: np.random.Generator,
) -> tuple[float | None, Literal["right", "wrong", "rounding", "kink"], bool]:
    """The rate at which the first-order remainder falls along a random direction.

    It is read off the smallest steps whose remainder stands out of the rounding, since
    only small steps show the rate. The last value says whether the remainder shows an
    error in the slope that is beyond the tolerance.
    """
    direction = rng.standard_normal(x.shape)
    norm = float(np.linalg.norm(direction))
    if norm == 0 or not np.all(np.isfinite(analytic)):
        return None, "wrong" if norm else "rounding", bool(norm)
    direction = direction / norm
    base, branches = function.at(name, x[()])
    start = function.epsilon**0.125 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
    seen: list[tuple[float, float]] = []
    crossed = False
    for k in range(_TAYLOR_RUNGS):
        t = start * 0.25**k
        moved = function.rounded(name, x + t * direction)
        value, taken = function.at(name, moved[()])
        if not _same(branches, taken):
            crossed = True
            continue
        slope = float(np.sum(np.asarray(analytic) * (moved - x)))
        remainder = abs(value - base - slope)
        if math.isfinite(remainder):
            rounding = 100.0 * function.epsilon * (abs(value) + abs(base) + abs(slope))
            if remainder > max(rounding, 5.0 * function.rounding):
                seen.append((t, remainder))
    seen = seen[-_TAYLOR_FIT:]
    if len(seen) < 3:
        return None, "kink" if crossed else "rounding", False
    rate = float(np.polyfit(np.log([t for t, _ in seen]), np.log([r for _, r in seen]), 1)[0])
    if rate > 1.5:
        return rate, "right", False
    t, remainder = seen[-1]
    share = np.asarray(analytic) * direction
    allowed = tolerance * (abs(float(np.sum(share))) + float(np.linalg.norm(share)))
    return rate, "wrong", remainder / t > allowed
