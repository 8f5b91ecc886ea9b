"""Derivatives of every mode agree with each other, and do what people take them for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward, gradient
from service.engine.derivatives import hessian, hvp, jacobian, jvp, vjp
from service.engine.errors import LimitExceeded
from service.engine.expression import parse_expression
from service.engine.gradient_graph import gradient_graph
from service.engine.graph import resolve
from service.engine.program import Program, program_for

RNG = np.random.default_rng(3)
TEXT = "h = tanh(x @ W)\ny = softmax(h)\nf = sum(y * y) + sum(h)"
INPUTS = {"x": RNG.normal(size=(2, 3)), "W": RNG.normal(size=(3, 4))}


def program(text: str, inputs: dict[str, Any]) -> Program:
    return program_for(resolve(parse_expression(text)), inputs)


def test_newtons_method_finds_the_minimum_of_rosenbrocks_valley() -> None:
    valley = program(
        "f = sum(100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2)", {"z": np.zeros(2)}
    )
    z = np.array([-1.2, 1.0])
    for _ in range(8):
        found = hessian(valley, {"z": z})
        z = z - np.linalg.solve(found.hessian["z"]["z"], found.gradients["z"])
    np.testing.assert_allclose(z, [1, 1], rtol=0, atol=1e-12)


def test_rows_of_the_jacobian_are_vjps_and_its_columns_jvps() -> None:
    made = program(TEXT, INPUTS)
    whole = jacobian(made, INPUTS, outputs=["y"]).jacobian["y"]
    assert {name: j.shape for name, j in whole.items()} == {"x": (2, 4, 2, 3), "W": (2, 4, 3, 4)}
    u = RNG.normal(size=(2, 4))
    t = {name: RNG.normal(size=value.shape) for name, value in INPUTS.items()}
    pulled = vjp(made, INPUTS, {"y": u}).gradients
    pushed = jvp(made, INPUTS, t, outputs=["y"]).tangents["y"]
    expected = np.zeros((2, 4))
    for name, j in whole.items():
        np.testing.assert_allclose(pulled[name], np.tensordot(u, j, 2), rtol=1e-12)
        expected += np.tensordot(j, t[name], 2)
    np.testing.assert_allclose(pushed, expected, rtol=1e-12)


def test_both_modes_of_the_jacobian_agree() -> None:
    """Few inputs go forward, few outputs backward."""
    made = program("y = sin(a * b) * v", {"a": 1.0, "b": 2.0, "v": np.ones(5)})
    inputs = {"a": 0.5, "b": 1.5, "v": RNG.normal(size=5)}
    forwards = jacobian(made, inputs, outputs=["y"], wrt=["a"]).jacobian["y"]["a"]
    backwards = jacobian(made, inputs, outputs=["y"]).jacobian["y"]["a"]
    np.testing.assert_allclose(forwards, backwards, rtol=1e-14)


def test_a_batch_of_cotangents_is_each_of_them() -> None:
    made = program(TEXT, INPUTS)
    u = RNG.normal(size=(6, 2, 4))
    many = vjp(made, INPUTS, {"y": u}, batch=True).gradients
    for i in range(6):
        one = vjp(made, INPUTS, {"y": u[i]}).gradients
        for name in one:
            np.testing.assert_allclose(many[name][i], one[name], rtol=1e-12, atol=1e-14)


def test_hessian_is_symmetric_and_hvp_is_its_product() -> None:
    made = program(TEXT, INPUTS)
    whole = hessian(made, INPUTS).hessian
    v = {name: RNG.normal(size=value.shape) for name, value in INPUTS.items()}
    np.testing.assert_allclose(
        whole["x"]["W"], np.moveaxis(whole["W"]["x"], (0, 1), (2, 3)), rtol=1e-10, atol=1e-12
    )
    product = hvp(made, INPUTS, v).hvp
    for row in INPUTS:
        expected = sum(np.tensordot(whole[row][column], v[column], 2) for column in INPUTS)
        np.testing.assert_allclose(product[row], expected, rtol=1e-10, atol=1e-12)


def test_gradient_graph_gives_the_gradients_when_run() -> None:
    made = program(TEXT, INPUTS)
    derived = gradient_graph(made, output="f")
    again = program_for(resolve(derived.spec), INPUTS)
    found = forward(again, INPUTS).outputs
    expected = gradient(made, INPUTS, output="f").gradients
    for name, node in derived.gradients.items():
        np.testing.assert_array_equal(found[node], expected[name])


def test_gradient_graph_differentiated_gives_second_derivatives() -> None:
    made = program("f = x ** 3 * y", {"x": 2.0, "y": 5.0})
    derived = gradient_graph(made, wrt=["x"])
    again = program_for(resolve(derived.spec), {"x": 2.0, "y": 5.0})
    found = gradient(again, {"x": 2.0, "y": 5.0}).gradients
    assert found == pytest.approx({"x": 60.0, "y": 12.0})


def test_sixth_derivative_of_tanh() -> None:
    """Against the closed form in powers of tanh."""
    made = program("f = tanh(x)", {"x": 0.5})
    derived = gradient_graph(made, order=6)
    found = forward(program_for(resolve(derived.spec), {"x": 0.5}), {"x": 0.5}).outputs
    coefficients = np.polynomial.Polynomial([0, 1])
    for _ in range(6):  # d/dx p(t) = p'(t) (1 - t²) with t = tanh x
        coefficients = coefficients.deriv() * np.polynomial.Polynomial([1, 0, -1])
    (value,) = found.values()
    assert value == pytest.approx(coefficients(np.tanh(0.5)), rel=1e-12)


def test_order_is_limited() -> None:
    with pytest.raises(LimitExceeded):
        gradient_graph(program("f = tanh(x)", {"x": 0.5}), order=99)
