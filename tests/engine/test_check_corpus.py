"""A corpus of wrong gradients, none of which is called right, and of right ones, none wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.engine.check import check
from service.engine.compute import gradient
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import Program, program_for

Case = tuple[str, dict[str, Any], str]
"""A text, its inputs and the dtype."""


def kinks() -> Iterator[Case]:
    for distance in (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3):
        for sign in (1.0, -1.0):
            x = sign * distance
            for text in (
                "abs(x)",
                "3 * relu(x) + x",
                "maximum(x, 0.5 * x)",
                "leaky_relu(x, alpha=0.2)",
                "clip(x, min=-1, max=0) - 2 * x",
                "elu(x) * 2",
                "where(x > 0, 2 * x, 5 * x)",
            ):
                yield text, {"x": x}, "float64"
    for place in range(4):
        x = np.array([1e-7, -1e-8, 0.4, -0.3])
        yield "sum(abs(x) * 2 + x)", {"x": np.roll(x, place)}, "float64"


def offsets() -> Iterator[Case]:
    for offset in (1e6, 1e8, 1e10, 1e12):
        for x in (0.3, 1.0, -1.7, 40.0):
            for text in (f"{offset} + x * x", f"exp(0.1 * x) - {offset}", f"{offset} + 3 * x"):
                yield text, {"x": x}, "float64"


def singles() -> Iterator[Case]:
    yield "sum(x * x)", {"x": np.array([100.0, 2.0])}, "float32"
    yield "sum(exp(x) * x)", {"x": np.array([0.1, 2.0, -3.0])}, "float32"
    yield "mean(sigmoid(x) ** 2)", {"x": np.linspace(-3, 3, 7)}, "float32"
    yield "sum(tanh(x) / (1 + x * x))", {"x": np.array([30.0, 1e-3, 0.5])}, "float32"
    yield "logsumexp(x)", {"x": np.array([10.0, 9.0, 3.0])}, "float32"
    yield "sum(softmax(x) * [1, 2, 3])", {"x": np.array([1.0, 2.0, 0.5])}, "float32"
    yield "1000 + sum(sin(x))", {"x": np.array([1.0, 2.0, 0.5])}, "float32"


def scales() -> Iterator[Case]:
    for power in range(-10, 11, 2):
        scale = 10.0**power
        x = scale * np.array([0.7, -1.3, 2.9])
        yield "sum(x ** 3)", {"x": x}, "float64"
        yield "sum(1 / x)", {"x": x}, "float64"
        yield "sum(log(abs(x)))", {"x": x}, "float64"
        yield "sum(sqrt(x * x + 1))", {"x": x}, "float64"
        yield f"sum(sin(x / {scale}))", {"x": x}, "float64"
        yield f"sum(exp(x / {scale}))", {"x": x}, "float64"
        yield f"{scale} * sum(x * x)", {"x": x / scale}, "float64"
        yield "sum(x * x)", {"x": np.array([scale, 1.0, -2.0])}, "float64"
        yield f"sum(relu(x) / {scale})", {"x": x}, "float64"
        yield f"sum(tanh({scale} * x))", {"x": x / scale**2}, "float64"
        yield f"sum(log1p(exp(x / {scale})) * {scale})", {"x": x}, "float64"
        yield "norm(x)", {"x": x}, "float64"
        yield "var(x)", {"x": x}, "float64"
        yield f"sum(x / (x * x + {scale} ** 2))", {"x": x}, "float64"
        yield f"prod(x / {scale})", {"x": x}, "float64"
        yield "logsumexp(x) - max(x)", {"x": x}, "float64"


RIGHT = [*kinks(), *offsets(), *singles(), *scales()]


def made(case: Case) -> tuple[Program, dict[str, Any], Any]:
    text, inputs, dtype = case
    program = program_for(resolve(parse_expression(text)), inputs, dtype)
    return program, inputs, np.asarray(gradient(program, inputs).gradients["x"], float)


def planted(right: Any, rng: np.random.Generator) -> Iterator[Any]:
    """Wrong gradients: a factor, a sign, nothing, and one element alone."""
    yield right * -1.0
    yield right * 1.1
    yield right * 0.0
    largest = np.abs(right) > 0.05 * np.max(np.abs(right), initial=0.0)
    wrong = np.array(right)
    place = tuple(rng.choice(np.argwhere(largest))) if right.ndim else ()
    wrong[place] *= rng.choice([-5.0, 0.5, 1.2, 3.0])
    yield wrong


def test_no_right_gradient_is_called_wrong() -> None:
    failed, verdicts = [], Counter()
    for case in RIGHT:
        program, inputs, _ = made(case)
        report = check(program, inputs)
        verdicts[report.passed] += 1
        if report.passed is False:
            failed.append((case, report.inputs["x"]))
    assert not failed
    assert len(RIGHT) >= 176
    # To decide nothing would be an easy way to be never wrong.
    assert verdicts[True] >= 0.97 * len(RIGHT), verdicts


def test_no_wrong_gradient_is_called_right() -> None:
    rng = np.random.default_rng(0)
    passed, verdicts = [], Counter()
    for case in RIGHT:
        program, inputs, right = made(case)
        if np.max(np.abs(right)) < 1e-30:  # no difference of values shows a slope like that
            continue
        for wrong in planted(right, rng):
            report = check(program, inputs, gradients={"x": wrong})
            verdicts[report.passed] += 1
            if report.passed:
                passed.append((case, right, wrong, report.inputs["x"]))
    assert not passed, (len(passed), passed[:3])
    assert sum(verdicts.values()) >= 928
    assert verdicts[False] >= 0.97 * sum(verdicts.values()), verdicts


@pytest.mark.parametrize(
    ("text", "x", "wrong"),
    [
        ("abs(x)", 1e-6, -1.0),
        ("relu(x)", 1e-7, -5.0),
        ("1e12 + x*x", 1.0, -2.0),
        ("1e12 + x*x", 1.0, 0.0),
        ("relu(x)", 0.0, -5.0),
        ("abs(x)", 0.0, 1.5),
    ],
)
def test_a_wrong_slope_beside_a_kink_or_an_offset_fails(text: str, x: float, wrong: float) -> None:
    program = program_for(resolve(parse_expression(text)), {"x": x})
    report = check(program, {"x": x}, gradients={"x": wrong})
    assert report.passed is False
    assert report.inputs["x"].verdict != "right"
    assert check(program, {"x": x}).passed


@pytest.mark.parametrize("given", [None, -2.0, 0.0])
def test_what_cannot_be_decided_is_neither_right_nor_wrong(given: float | None) -> None:
    program = program_for(resolve(parse_expression("1e17 + x * x")), {"x": 1.0})
    gradients = None if given is None else {"x": given}
    found = check(program, {"x": 1.0}, gradients=gradients)
    assert found.passed is None
    assert found.inputs["x"].checked == 0
    assert found.inputs["x"].verdict.startswith("nothing could be decided")


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
def test_at_a_kink_each_slope_between_its_sides_will_do(slope: float) -> None:
    program = program_for(resolve(parse_expression("relu(x)")), {"x": 0.0})
    found = check(program, {"x": 0.0}, gradients={"x": slope}).inputs["x"]
    assert (found.passed, found.checked, found.kink_crossed) == (True, 1, [()])


def test_zero_within_rounding_is_right() -> None:
    x = {"x": np.array([0.3, -1.0, 2.0])}
    program = program_for(resolve(parse_expression("sum(softmax(x))")), x)
    assert check(program, x).passed
    assert check(program, x, gradients={"x": np.array([0.0, 1e-3, 0.0])}).passed is False


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_labels_are_left_out_and_the_rest_is_compared(dtype: str) -> None:
    inputs = {
        "s": np.array([[1.0, 2.0, 0.5], [0.1, -1.0, 2.0]]),
        "y": np.array([0, 2], dtype),
        "E": np.arange(12.0).reshape(4, 3),
    }
    for text in ("cross_entropy(s, y)", "sum(E[y] * s)", "nll(log_softmax(s), y)"):
        used = {name: inputs[name] for name in inputs if name in text}
        program = program_for(resolve(parse_expression(text)), used)
        report = check(program, used)
        assert report.passed
        assert set(report.inputs) == set(used) - {"y"}
