"""Authors are warned of inputs that hide mistakes."""

from __future__ import annotations

import numpy as np

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


def test_mistakes_that_look_alike_at_a_point_are_counted() -> None:
    # At x = 2 and y = 1, twice the right gradient of x is the value of x itself.
    assert advise(truth_of("f = x * y", {"x": 2.0, "y": 1.0})).alike > 0
    assert advise(truth_of("f = x * y", {"x": 2.3, "y": 1.7})).alike == 0
