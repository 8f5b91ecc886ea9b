"""Operators that are written in others: what NumPy gives, and what must hold of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward, gradient
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.namespaces import ARRAYS
from service.engine.program import program_for

RNG = np.random.default_rng(0)
A, B, V = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3)), RNG.normal(size=5)


def value(text: str, **inputs: Any) -> Any:
    graph = resolve(parse_expression(text))
    (found,) = forward(program_for(graph, inputs), inputs).outputs.values()
    return found


def test_least_squares_is_the_first_of_numpys_four_results() -> None:
    found = value("y = np.linalg.lstsq(A, b, rcond=None)[0]", A=A, b=V[:4])
    np.testing.assert_allclose(found, np.linalg.lstsq(A, V[:4], rcond=None)[0], rtol=1e-13)


@pytest.mark.parametrize(("name", "kind"), [("cummax", np.maximum), ("cummin", np.minimum)])
def test_a_running_extremum_gives_the_gradient_to_its_first_place(name: str, kind: Any) -> None:
    x = np.array([1.0, 1.0, 3.0, 2.0, 3.0, -1.0])
    np.testing.assert_array_equal(getattr(ARRAYS, name)(x), kind.accumulate(x))
    graph = resolve(parse_expression(f"y = sum({name}(x) * w)"))
    inputs = {"x": x, "w": np.arange(1.0, 7.0)}
    found = gradient(program_for(graph, inputs), inputs).gradients["x"]
    expected = {"cummax": [3.0, 0, 18, 0, 0, 0], "cummin": [15.0, 0, 0, 0, 0, 6]}[name]
    np.testing.assert_array_equal(found, expected)


def test_sorted_ties_keep_their_order_and_gradients() -> None:
    graph = resolve(parse_expression("y = sum(sort(x) * w)"))
    inputs = {"x": np.array([2.0, 1.0, 2.0]), "w": np.array([1.0, 10.0, 100.0])}
    found = gradient(program_for(graph, inputs), inputs).gradients["x"]
    np.testing.assert_array_equal(found, [10.0, 1.0, 100.0])


@pytest.mark.parametrize("lower", [False, True])
def test_a_triangular_system_is_solved_by_substitution_at_every_scale(lower: bool) -> None:
    """The backward error is that of substitution: row by row, whatever the rows' scales."""
    scales = 10.0 ** RNG.uniform(-8, 8, 6)
    a = np.tril(RNG.normal(size=(6, 6))) * scales[:, None]
    a = a if lower else a.T
    b = RNG.normal(size=6)
    x = ARRAYS.solve_triangular(a + np.where(a == 0, 7.0, 0.0), b, lower=lower)
    residual = np.abs(a @ x - b)
    assert np.all(residual <= 20 * np.finfo(float).eps * (np.abs(a) @ np.abs(x) + np.abs(b)))


@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"strides": (2,), "output_padding": (1,)},
        {"strides": (3,), "pads": (1, 2), "dilations": (2,)},
        {"group": 2, "pads": (1, 1)},
    ],
)
def test_transposed_convolution_is_the_adjoint_of_convolution(attrs: dict[str, Any]) -> None:
    x = RNG.normal(size=(2, 4, 5))
    w = RNG.normal(size=(4, 6 // attrs.get("group", 1), 3))
    y = ARRAYS.conv_transpose(x, w, **attrs)
    other = RNG.normal(size=y.shape)
    plain = {k: v for k, v in attrs.items() if k != "output_padding"}
    assert np.sum(y * other) == pytest.approx(np.sum(x * ARRAYS.conv(other, w, **plain)))


def test_groups_have_mean_zero_and_variance_one() -> None:
    y = ARRAYS.group_norm(RNG.normal(3.0, 2.0, (2, 6, 8)), groups=3, epsilon=0.0)
    np.testing.assert_allclose(y.reshape(2, 3, -1).mean(axis=-1), 0.0, atol=1e-15)
    np.testing.assert_allclose(y.reshape(2, 3, -1).var(axis=-1), 1.0)
    each = ARRAYS.instance_norm(A.reshape(1, 4, 3))
    np.testing.assert_allclose(each, ARRAYS.group_norm(A.reshape(1, 4, 3), groups=4))


@pytest.mark.parametrize("name", ["sum", "mean", "prod"])
@pytest.mark.parametrize("rest", ["", ", axis=0", ", axis=-1, keepdims=True"])
def test_reductions_of_chosen_elements(name: str, rest: str) -> None:
    text = f"np.{name}(A{rest}, where=A > B - 1)"
    np.testing.assert_allclose(value(f"y = {text}", A=A, B=B), eval(text), rtol=1e-13)
