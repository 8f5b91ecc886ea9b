"""Gradients against differences of values: the numerical check, with its errors by name.

Two independent judgements are given for each input. The differences say how far each
element is off, in the measures that courses and libraries use. The Taylor remainder
|f(x + t·d) - f(x) - t·g·d| along one random direction falls with t² where the gradient g
is right and with t where it is wrong, which needs no tolerance at all.

Sources: the CS231n notes on gradient checks; the deep-learning course of A. Ng (norm
ratio); torch.autograd.gradcheck; Squire and Trapp, Using Complex Variables to Estimate
Derivatives of Real Functions, SIAM Review 40 (1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from service.engine.code import Code, Step
from service.engine.compute import (
    Tensor,
    checked_cotangent,
    chosen_inputs,
    chosen_output,
    gradient,
    tensor_leaves,
)
from service.engine.control import Control
from service.engine.errors import Fault, GraphError
from service.engine.forward import run
from service.engine.namespaces import ARRAYS
from service.engine.operators.leaves import PROJECT
from service.engine.program import Program

Method = Literal["central", "five_point", "complex_step"]
METHODS: tuple[Method, ...] = ("central", "five_point", "complex_step")

MOST_ELEMENTS = 1_000
"""Elements of one input that are moved one by one; of a larger one a drawn sample is."""
_MOST_KINKS = 20
_LADDER = 8

# Weights of f(x + k·h) in the derivative times h.
_STENCILS: dict[str, dict[int, float]] = {
    "central": {1: 0.5, -1: -0.5},
    "five_point": {2: -1 / 12, 1: 8 / 12, -1: -8 / 12, -2: 1 / 12},
}
_COMPLEX_STEP = 1e-20

# Operators whose NumPy forward is an analytic function of complex numbers as it stands.
_ANALYTIC = frozenset(
    """
    add subtract multiply divide negative reciprocal pow exp exp2 expm1 log log1p log2 log10
    sqrt square sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sum mean prod
    cumulative_sum cumulative_prod matmul einsum matrix_transpose diagonal diagonal_matrix tril
    triu inv solve det reshape broadcast_to sum_to expand_dims squeeze permute_dims flip roll
    pad slice slice_into take index_add take_along_axis scatter_add concat stack split unstack
    unfold fold identity where one_hot
    """.split()  # noqa: SIM905
)
_COMPLEX: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "softplus": lambda x: np.log(1.0 + np.exp(x)),
    "silu": lambda x: x / (1.0 + np.exp(-x)),
    "softmax": lambda x, *, axis: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True),
    "log_softmax": lambda x, *, axis: x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True)),
    "logsumexp": lambda x, *, axis, keepdims: np.log(
        np.sum(np.exp(x), axis=axis, keepdims=keepdims)
    ),
}
"""Operators whose real forward picks branches, in their analytic form."""


@dataclass(frozen=True, slots=True)
class InputCheck:
    """The check of one input.

    `errors`: `absolute` max |a - n|; `relative_max` |a - n| / max(|a|, |n|); `relative_sum`
    |a - n| / max(1e-8, |a| + |n|), both at their worst element; `norm_ratio`
    ‖a - n‖ / (‖a‖ + ‖n‖); `gradcheck` the largest |a - n| - (1e-5 + 1e-3·|n|), which
    torch wants to be at most 0. `a` is the analytic and `n` the numerical gradient.
    Elements whose two sides lie on different branches of a kink (`kink_crossed`, the
    first ones by index) are left out of the errors.
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
    left out. An element passes when |a - n| is at most `tolerance`·max(|a|, |n|) and
    what rounding of f / h explains. Raises GraphError for an operator that the complex
    step cannot pass through, and as `compute.gradient` does.
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
        values=False,
        control=control,
    ).gradients
    function = _Function(program, inputs, name, seeded, control)
    if method == "complex_step":
        _refuse_branches(program)
    reports = {}
    for target in targets:
        given = found[target] if gradients is None else gradients[target]
        analytic = _checked_gradient(program, target, given)
        reports[target] = _check_input(
            function, target, analytic, method, step, tolerance, np.random.default_rng(seed)
        )
    return CheckReport(all(r.passed for r in reports.values()), method, name, reports)


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
        and step.operator.name not in _ANALYTIC
        and step.operator.name not in _COMPLEX
        and step.operator.differentiable
    ]
    if faults:
        raise GraphError(faults[:20])


class _Function:
    """The contracted output as a function of one input, with the branches it took."""

    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Tensor],
        output: str,
        cotangent: Any,
        control: Control | None,
    ) -> None:
        self.code = program.code
        self.leaves = tensor_leaves(program, inputs)
        self.slot = program.slot(output)
        self.cotangent = cotangent
        self.control = control
        self.epsilon = float(np.finfo(program.dtype).eps)
        self.selectors = [
            slot for slot, one in enumerate(self.code.steps) if one.operator.name in _BRANCHES
        ]

    def at(self, name: str, value: Any) -> tuple[float, list[Any]]:
        """The output with `value` in place of one input, and the branch of every selector."""
        if self.control is not None:
            self.control.check()
        dtype = self.code.steps[self.code.inputs[name]].spec.dtype
        values = run(self.code, {**self.leaves, name: np.asarray(value, dtype)[()]})
        total = float(np.sum(np.asarray(values[self.slot], np.float64) * self.cotangent))
        with np.errstate(all="ignore"):
            branches = [
                _BRANCHES[self.code.steps[slot].operator.name](
                    self.code.steps[slot],
                    values[slot],
                    *(values[source] for source in self.code.steps[slot].inputs),
                )
                for slot in self.selectors
            ]
        return total, branches

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
                values.append(leaves[step.name] if step.value is None else step.value)  # type: ignore[index]
                continue
            function = _COMPLEX.get(step.operator.name) or ARRAYS.function(step.operator)
            if not step.operator.differentiable:
                inputs = [np.real(x) for x in inputs]
            values.append(function(*inputs, **step.attrs))
    return values


def _kept(y: Any, step: Step, x: Any) -> Any:
    """A reduction's result in a shape that broadcasts against its input."""
    axis = step.attrs["axis"]
    if np.ndim(y) == np.ndim(x):
        return y
    return np.expand_dims(y, axis) if axis is not None else y


def _above(step: Step, y: Any, x: Any) -> Any:
    return np.sign(x)


# Which branch a selector took, as an array that can be compared.
_BRANCHES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("relu", "abs", "leaky_relu", "elu", "selu"), _above),
    **dict.fromkeys(
        (
            "sign", "floor", "ceil", "round", "less", "less_equal", "greater", "greater_equal",
            "equal", "not_equal", "logical_and", "logical_or", "logical_not", "argmax", "argmin",
        ),
        lambda step, y, *x: y,
    ),
    **dict.fromkeys(
        ("maximum", "minimum"), lambda step, y, *x: [np.broadcast_to(a == y, y.shape) for a in x]
    ),
    **dict.fromkeys(("max", "min"), lambda step, y, x: x == _kept(y, step, x)),
    "clip": lambda step, y, x: np.sign(x - y),
    "hard_sigmoid": lambda step, y, x: np.sign(y) + (y >= 1),
    "remainder": lambda step, y, a, b: np.floor(a / b),
}  # fmt: skip


def _same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _automatic_step(method: Method, epsilon: float) -> float:
    """The step where rounding and truncation balance: ε^(1/3) and ε^(1/5)."""
    if method == "complex_step":
        return _COMPLEX_STEP
    return float(epsilon ** (1 / 3 if method == "central" else 1 / 5))


def _places(shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """All indices of a small tensor, a drawn sample of a large one, in order."""
    size = math.prod(shape)
    chosen: Any = range(size)
    if size > MOST_ELEMENTS:
        chosen = np.sort(rng.choice(size, MOST_ELEMENTS, replace=False))
    for flat in chosen:
        yield tuple(int(i) for i in np.unravel_index(int(flat), shape)) if shape else ()


def _check_input(
    function: _Function,
    name: str,
    analytic: Any,
    method: Method,
    step: float | None,
    tolerance: float,
    rng: np.random.Generator,
) -> InputCheck:
    x = np.array(function.leaves[name], np.float64)
    relative = _automatic_step(method, function.epsilon) if step is None else step
    places, numerical, noise, kinks = [], [], [], []
    total = 0
    for place in _places(x.shape, rng):
        total += 1
        h = relative * max(1.0, abs(float(x[place]))) if method != "complex_step" else relative
        if method == "complex_step":
            moved = x.astype(complex)
            moved[place] += 1j * h
            slope, rounding = function.imaginary(name, moved[()]) / h, 0.0
        else:
            slope, rounding, smooth = _difference(function, name, x, place, h, method)
            if not smooth:
                kinks.append(place)
                continue
        places.append(place)
        numerical.append(slope)
        noise.append(rounding)
    a = np.array([analytic[place] for place in places], np.float64)
    n, slack = np.array(numerical, np.float64), np.array(noise, np.float64)
    with np.errstate(all="ignore"):
        difference = np.where(a == n, 0.0, np.abs(a - n))
        larger = np.maximum(np.abs(a), np.abs(n))
        right = difference <= tolerance * larger + slack
        both_nan = np.isnan(a) & np.isnan(n)
    rate, taylor = _taylor(function, name, x, analytic, rng)
    errors = _errors(a, n, difference, larger)
    worst = int(np.argmax(np.nan_to_num(difference, nan=np.inf))) if places else 0
    passed = bool(np.all(right | both_nan)) and (taylor != "wrong" or bool(kinks))
    return InputCheck(
        passed=passed,
        elements=x.size,
        checked=total,
        step=relative,
        errors=errors,
        worst=places[worst] if places else (),
        analytic=float(a[worst]) if places else math.nan,
        numerical=float(n[worst]) if places else math.nan,
        verdict=_verdict(errors["relative_sum"], passed, bool(kinks)),
        taylor_rate=rate,
        taylor=taylor,
        kink_crossed=kinks[:_MOST_KINKS],
    )


def _difference(
    function: _Function, name: str, x: Any, place: tuple[int, ...], h: float, method: Method
) -> tuple[float, float, bool]:
    """Slope, what rounding may have done to it, and whether all points took one branch."""
    slope, largest = 0.0, 0.0
    first: list[Any] | None = None
    smooth = True
    for k, weight in _STENCILS[method].items():
        moved = x.copy()
        moved[place] += k * h
        value, branches = function.at(name, moved[()])
        slope += weight * value
        largest = max(largest, abs(value))
        if first is None:
            first = branches
        smooth = smooth and _same(first, branches)
    rounding = 50.0 * function.epsilon * max(largest, 1e-300) / h
    return slope / h, rounding if math.isfinite(rounding) else 0.0, smooth


def _errors(a: Any, n: Any, difference: Any, larger: Any) -> dict[str, float | None]:
    """The measures of InputCheck; None where nothing could be compared."""
    names = ("absolute", "relative_max", "relative_sum", "norm_ratio", "gradcheck")
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
        }


def _verdict(relative: float | None, passed: bool, kinks: bool) -> str:
    """The words of the CS231n notes for a relative error."""
    if relative is None:
        return "every element crossed a kink: nothing could be compared"
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
    function: _Function, name: str, x: Any, analytic: Any, rng: np.random.Generator
) -> tuple[float | None, Literal["right", "wrong", "rounding", "kink"]]:
    """The rate at which the first-order remainder falls along a random direction."""
    direction = rng.standard_normal(x.shape)
    norm = float(np.linalg.norm(direction))
    if norm == 0 or not np.all(np.isfinite(analytic)):
        return None, "wrong" if norm else "rounding"
    direction = direction / norm
    slope = float(np.sum(np.asarray(analytic) * direction))
    base, branches = function.at(name, x[()])
    start = 1e-2 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
    steps, remainders, crossed, largest = [], [], False, 0.0
    for k in range(_LADDER):
        t = start * 0.5**k
        value, taken = function.at(name, (x + t * direction)[()])
        if not _same(branches, taken):
            crossed = True
            continue
        remainder = abs(value - base - t * slope)
        largest = max(largest, remainder / t)
        floor = 100.0 * function.epsilon * (abs(value) + abs(base) + abs(t * slope))
        if math.isfinite(remainder) and remainder > floor:
            steps.append(math.log(t))
            remainders.append(math.log(remainder))
    if len(steps) < 3:
        return None, "kink" if crossed else "rounding"
    rate = float(np.polyfit(steps, remainders, 1)[0])
    return rate, "right" if rate > 1.5 else "wrong"
