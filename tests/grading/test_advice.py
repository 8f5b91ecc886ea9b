"""Authors are warned of inputs that hide mistakes."""

from __future__ import annotations

import numpy as np
import pytest

from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.grading.advice import advise
from service.grading.task import Task
from service.grading.truth import Truth


def truth_of(source: str, inputs: dict[str, object]) -> Truth:
    return Truth(Task(resolve(parse_expression(source)), inputs))


def test_the_notes_add_max_and_mul_values_hide_mistakes() -> None:
    source = "p = x * y\nm = maximum(z, w)\ns = p + m\nf = s * 2"
    hidden = advise(truth_of(source, {"x": 1.0, "y": 1.0, "z": 2.0, "w": -1.0}))
    drawn = advise(truth_of(source, {"x": 3.1, "y": -4.3, "z": 2.2, "w": -1.7}))
    assert hidden.tried == drawn.tried
    assert hidden.hidden > drawn.hidden == 0
    assert any("don't show" in warning for warning in hidden.warnings)


def test_square_matrices_kinks_and_zero_gradients_are_pointed_out() -> None:
    rng = np.random.default_rng(0)
    advice = advise(
        truth_of(
            "D = X @ W\nr = relu(b)\nf = sum(D) + sum(r)",
            {"X": rng.normal(size=(3, 3)), "W": rng.normal(size=(3, 3)), "b": np.zeros(2)},
        )
    )
    text = "\n".join(advice.warnings)
    assert "'D' multiplies a square matrix" in text
    assert "'r' is at its kink" in text
    assert "the gradient of 'b' is zero everywhere" in text


X = np.random.default_rng(1).normal(size=(4, 3))


@pytest.mark.parametrize(
    ("source", "wire"),
    [
        ("p = softmax(x)\nf = sum(p)", "x"),
        ("e = exp(x)\np = e / sum(e, axis=1, keepdims=True)\nf = sum(p)", "x"),
        ("f = sum(layer_norm(x))", "x"),
        ("f = sum(batch_norm(x, g, b))", "x"),
        ("f = sum(softmax(x + c) * w)", "c"),
        ("f = cross_entropy(x + c, y)", "c"),
        ("xc = x - mean(x, axis=0)\nf = sum(xc / sqrt(mean(xc ** 2, axis=0) + 1e-5))", "x"),
    ],
)
def test_a_gradient_that_is_zero_whatever_the_inputs_is_told(source: str, wire: str) -> None:
    graph = resolve(parse_expression(source))
    values = {"x": X, "g": np.ones(3), "b": np.zeros(3), "c": 0.7, "w": X**2, "y": np.arange(4) % 3}
    advice = advise(Truth(Task(graph, {name: values[name] for name in graph.inputs})))
    assert advice.hidden > 0
    (told,) = [one for one in advice.warnings if "whatever the inputs" in one]
    assert f"'{wire}'" in told
    assert "instead" in told


@pytest.mark.parametrize(
    "source", ["f = sum(x * w)", "f = sum(softmax(x) * w)", "f = sum(relu(x))"]
)
def test_a_gradient_that_depends_on_the_inputs_is_not(source: str) -> None:
    graph = resolve(parse_expression(source))
    values = {"x": X, "w": X**2}
    advice = advise(Truth(Task(graph, {name: values[name] for name in graph.inputs})))
    assert not any("whatever the inputs" in one for one in advice.warnings)


def test_mistakes_that_look_alike_at_a_point_are_counted() -> None:
    # At x = 2 and y = 1, twice the right gradient of x is the value of x itself.
    assert advise(truth_of("f = x * y", {"x": 2.0, "y": 1.0})).alike > 0
    assert advise(truth_of("f = x * y", {"x": 2.3, "y": 1.7})).alike == 0
