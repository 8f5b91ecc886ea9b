"""The numerical check accepts right gradients, refuses wrong ones, and knows kinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine.check import METHODS, Method, check
from service.engine.errors import GraphError
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import Program


def program(text: str, **inputs: Any) -> Program:
    return resolve(parse_expression(text)).program(inputs)


SMOOTH = "s = sum(exp(sin(x)) * y / (1 + y ** 2))"
POINT = {"x": np.array([0.3, -1.2, 2.0]), "y": np.array([0.5, 1.5, -0.7])}


@pytest.mark.parametrize("method", METHODS)
def test_right_gradient_passes_with_rate_two(method: Method) -> None:
    report = check(program(SMOOTH, **POINT), POINT, method=method)
    assert report.passed
    for one in report.inputs.values():
        assert one.taylor == "right"
        assert one.taylor_rate == pytest.approx(2, abs=0.1)
        assert one.errors["relative_sum"] is not None
        assert one.errors["relative_sum"] < (1e-14 if method == "complex_step" else 1e-8)
        assert one.verdict == "right"


@pytest.mark.parametrize("method", METHODS)
def test_planted_factor_of_two_is_found_at_its_element(method: Method) -> None:
    made = program(SMOOTH, **POINT)
    x = POINT["x"]
    right = np.exp(np.sin(x)) * np.cos(x) * POINT["y"] / (1 + POINT["y"] ** 2)
    wrong = right.copy()
    wrong[1] *= 2
    report = check(made, POINT, gradients={"x": wrong}, method=method)
    found = report.inputs["x"]
    assert not report.passed
    assert found.worst == (1,)
    assert found.taylor == "wrong"
    assert found.taylor_rate == pytest.approx(1, abs=0.1)
    assert found.errors["relative_max"] == pytest.approx(0.5, rel=1e-3)
    assert found.errors["relative_sum"] == pytest.approx(1 / 3, rel=1e-3)
    assert found.verdict == "wrong"


def test_small_absolute_error_in_a_small_gradient_is_found() -> None:
    inputs = {"x": np.array([1.0])}
    made = program("s = sum(1e-9 * x ** 2)", **inputs)
    assert check(made, inputs).passed
    assert not check(made, inputs, gradients={"x": np.array([4e-9])}).passed


def test_kink_between_the_two_sides_is_reported_and_not_failed() -> None:
    inputs = {"x": np.array([1e-7, 0.5, -0.5])}
    report = check(program("s = sum(relu(x))", **inputs), inputs)
    assert report.passed
    assert report.inputs["x"].kink_crossed == [(0,)]


@pytest.mark.parametrize(
    "text", ["sum(abs(x))", "max(x)", "sum(max(x, 0.2))", "x[0] if x[0] > 0 else x[1]"]
)
def test_selectors_report_crossed_kinks(text: str) -> None:
    inputs = {"x": np.array([1e-8, 1e-8 if "max(x)" in text else 0.2])}
    report = check(program(text, **inputs), inputs)
    assert report.inputs["x"].kink_crossed
    assert report.passed


def test_linear_function_has_no_remainder() -> None:
    inputs = {"x": np.array([1.0, 2.0])}
    found = check(program("sum(3 * x)", **inputs), inputs).inputs["x"]
    assert (found.taylor, found.taylor_rate, found.passed) == ("rounding", None, True)


def test_complex_step_refuses_what_is_not_analytic() -> None:
    inputs = {"x": np.array([1.0])}
    with pytest.raises(GraphError) as caught:
        check(program("sum(abs(x))", **inputs), inputs, method="complex_step")
    assert caught.value.faults[0].op == "abs"


def test_output_that_is_no_scalar_is_contracted_with_a_drawn_cotangent() -> None:
    inputs = {"W": np.arange(6.0).reshape(2, 3), "X": np.ones((3, 2))}
    made = program("tanh(W @ X)", **inputs)
    assert check(made, inputs, seed=1).passed
    assert check(made, inputs, seed=1) == check(made, inputs, seed=1)


def test_large_input_is_sampled() -> None:
    inputs = {"x": np.linspace(0, 1, 3000)}
    found = check(program("sum(x ** 3)", **inputs), inputs).inputs["x"]
    assert (found.elements, found.checked, found.passed) == (3000, 1000, True)


def test_single_precision_takes_a_larger_step() -> None:
    inputs = {"x": np.array([0.3, 0.7], np.float32)}
    made = resolve(parse_expression("sum(exp(x))")).program(inputs, "float32")
    report = check(made, inputs, tolerance=1e-2)
    assert report.passed
    assert report.inputs["x"].step > 1e-3
