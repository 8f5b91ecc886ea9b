"""The numerical check accepts right gradients, refuses wrong ones, and knows kinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine import check as module
from service.engine.check import METHODS, Method, check, probe
from service.engine.compute import gradient
from service.engine.control import Control
from service.engine.errors import DeadlineExceeded, GraphError
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import Program, program_for
from service.engine.registry import Example, Operator
from service.engine.run import forward
from tests.engine.drawing import GATES, draw, examples, graph_of


def program(text: str, **inputs: Any) -> Program:
    return program_for(resolve(parse_expression(text)), inputs)


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


def test_single_precision_is_checked_in_double() -> None:
    inputs = {"x": np.array([0.3, 0.7], np.float32)}
    made = program_for(resolve(parse_expression("sum(exp(x))")), inputs, "float32")
    report = check(made, inputs)
    assert report.passed
    assert report.inputs["x"].step < 1e-5
    wrong = {"x": np.exp(inputs["x"].astype(float)) * 1.0001}
    assert check(made, inputs, gradients=wrong).passed is False


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("text", "x"), [("sin(1000 * x)", 0.3), ("log(x)", 1e-4), ("1 / x", 1e-6), ("x ** 2", 1e6)]
)
def test_right_gradient_passes_at_every_scale(method: Method, text: str, x: float) -> None:
    found = check(program(text, x=x), {"x": x}, method=method).inputs["x"]
    assert found.passed
    assert found.taylor == "right"
    assert found.taylor_rate == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_wrong_gradient_fails_at_every_scale(method: Method) -> None:
    for text, x, right in [("sin(1000 * x)", 0.3, 1000 * np.cos(300)), ("1 / x", 1e-6, -1e12)]:
        report = check(program(text, x=x), {"x": x}, gradients={"x": right * 1.001}, method=method)
        assert not report.passed
        assert report.inputs["x"].taylor == "wrong"


def test_explicit_step_is_the_one_that_is_taken() -> None:
    inputs = {"x": 0.3}
    found = check(program("sin(1000 * x)", **inputs), inputs, step=1e-3).inputs["x"]
    assert (found.step, found.passed) == (1e-3, False)


def test_rounding_inside_of_the_function_is_not_taken_for_an_error() -> None:
    inputs = {"x": np.array([1.5, 2.5])}
    found = check(program("sum((1e8 + x * x) - 1e8)", **inputs), inputs).inputs["x"]
    assert found.passed
    assert found.taylor != "wrong"


def test_wrong_element_outside_of_the_sample_is_found() -> None:
    x = np.linspace(-1, 1, 20_000)
    wrong = 2 * x
    wrong[7] *= 1.5
    made = program("sum(x ** 2)", x=x)
    found = check(made, {"x": x}, gradients={"x": wrong}).inputs["x"]
    assert found.checked < found.elements
    assert (found.taylor, found.passed) == ("wrong", False)
    assert found.verdict == "wrong along a drawn direction"


def test_tolerance_forgives_what_the_rate_does_not() -> None:
    found = check(program("x ** 3", x=2.0), {"x": 2.0}, gradients={"x": 12.0 * (1 + 3e-6)})
    assert found.passed
    assert not check(
        program("x ** 3", x=2.0), {"x": 2.0}, gradients={"x": 12.0 * (1 + 3e-6)}, tolerance=1e-7
    ).passed


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrong", [False, True])
def test_runs_are_bounded_beforehand(
    method: Method, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = 0

    def counted(function: Any) -> Any:
        def one(*args: Any, **kwargs: Any) -> Any:
            nonlocal runs
            runs += 1
            return function(*args, **kwargs)

        return one

    monkeypatch.setattr(probe, "run", counted(forward.run))
    monkeypatch.setattr(probe, "run_complex", counted(probe.run_complex))
    x = np.geomspace(1e-7, 1, 300)
    made = program("sum(1 / x)", x=x)
    given = {"x": -1.01 / x**2} if wrong else None
    assert check(made, {"x": x}, gradients=given, method=method).passed is not wrong
    assert 0 < runs <= module.check_runs(made, ["x"])


def test_costly_graph_has_fewer_elements_moved() -> None:
    x = np.ones((500, 500))
    costly = program("sum(x @ x @ x @ x)", x=x)
    assert 8 <= module.moved_elements(costly, "x") < 50
    assert module.moved_elements(program("sum(x)", x=x), "x") == 1000


def test_deadline_ends_a_check() -> None:
    x = np.ones(500)
    with pytest.raises(DeadlineExceeded):
        check(program("sum(x * x)", x=x), {"x": x}, control=Control(seconds=0.0))


@pytest.mark.parametrize("method", METHODS)
def test_stopped_gradient_is_held_at_its_value(method: Method) -> None:
    inputs = {"x": np.array([0.5, 2.0])}
    assert check(program("sum(x * stop_gradient(x) ** 2)", **inputs), inputs, method=method).passed


def test_complex_step_reaches_what_is_added_to_a_real_tensor() -> None:
    inputs = {"x": np.zeros(4), "u": np.array([0.5, 2.0])}
    made = program("sum(scatter_add(x, [1, 2], u) ** 2)", **inputs)
    assert check(made, inputs, method="complex_step").passed


CASES = [
    pytest.param(op, example, id=f"{op.name}-{number}")
    for op in GATES
    if op.differentiable and not op.internal and op.outputs == 1
    for number, example in enumerate(examples(op))
]


def passes_complex_numbers(made: Program) -> bool:
    return all(step.leaf or step.operator.analytic for step in made.code.steps)


@pytest.mark.parametrize(("op", "example"), CASES)
def test_check_agrees_with_every_operator_and_finds_a_wrong_factor(
    op: Operator, example: Example
) -> None:
    inputs = draw(op, example, 0)
    given = {f"x{place}": np.asarray(x) for place, x in enumerate(inputs)}
    made = program_for(graph_of(op, example, inputs), given)
    if not made.spec("y").floating:
        return
    for method in METHODS:
        if method == "complex_step" and not passes_complex_numbers(made):
            continue
        report = check(made, given, method=method)
        assert report.passed
        weights = np.random.default_rng(0).standard_normal(made.spec("y").shape)
        right = gradient(made, given, cotangent=weights).gradients
        for name, one in right.items():
            if np.max(np.abs(one), initial=0.0) > 1e-3:
                wrong = {name: 1.01 * np.asarray(one)}
                assert not check(
                    made, given, gradients=wrong, cotangent=weights, method=method
                ).passed
