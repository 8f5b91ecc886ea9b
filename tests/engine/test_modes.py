"""The modes agree with each other where slopes are infinite and where nothing depends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward, gradient
from service.engine.derivatives import hessian, hvp, jacobian, jvp, vjp
from service.engine.expression import parse_expression
from service.engine.gradient_graph import gradient_graph
from service.engine.graph import resolve
from service.engine.program import Program, program_for
from service.engine.run.batch import batch, batch_gradient

Point = dict[str, Any]

NODES = [
    ("sqrt(x) + y * y", {"x": 0.0, "y": 2.0}),
    ("x ** y", {"x": -2.0, "y": 2.0}),
    ("1 / x + y", {"x": 0.0, "y": 1.0}),
    ("sum(sqrt(v)) + y", {"v": np.array([0.0, 1.0, 4.0]), "y": 1.0}),
    ("norm(v) + acosh(x)", {"v": np.array([3.0, 4.0]), "x": 1.0}),
]
STRUCTURE = [
    *NODES,
    ("log(x) * 0 + y", {"x": 0.0, "y": 1.0}),
    ("sum(sqrt(v) * [0, 1, 2])", {"v": np.array([0.0, 1.0, 4.0])}),
    ("sqrt(v)[1] * y", {"v": np.array([0.0, 1.0, 4.0]), "y": 3.0}),
    ("sum([[1, 2, 3], [0, 1, 0]] @ sqrt(v)) * y", {"v": np.array([0.0, 1.0, 4.0]), "y": 3.0}),
    ("sum(v ** y)", {"v": np.array([-1.0, 2.0]), "y": 3.0}),
]
BRANCHES = [
    ("where(x > 0, sqrt(x), 0) + y", {"x": 0.0, "y": 2.0}),
    ("where(x > 0, log(x), y)", {"x": 0.0, "y": 2.0}),
    ("where(x > 0, log(x), y)", {"x": -1.0, "y": 2.0}),
    ("sum(where(v > 0, v * log(v), 0))", {"v": np.array([0.0, 1.0, 0.5])}),
    ("sum(where(v == 0, 1, sin(v) / v))", {"v": np.array([0.0, 1.0, 0.5])}),
    ("sum(where(v > 0, 1 / v, v)) * y", {"v": np.array([0.0, -1.0, 0.5]), "y": 2.0}),
]


def program(text: str, point: Point) -> Program:
    return program_for(resolve(parse_expression(text)), point)


def flat(point: Point) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, place) for name, x in point.items() for place in np.ndindex(np.shape(x))]


def unit(point: Point, name: str, place: tuple[int, ...]) -> Point:
    tangents = {n: np.zeros(np.shape(x)) for n, x in point.items()}
    tangents[name][place] = 1.0
    return tangents


def entry(results: dict[str, Any], name: str, place: tuple[int, ...]) -> float:
    return float(np.asarray(results[name])[place])


def agree(found: dict[str, float]) -> None:
    """All numbers alike, or none of them is finite."""
    finite = [one for one in found.values() if math.isfinite(one)]
    if finite:
        assert len(finite) == len(found), found
        assert finite == pytest.approx([finite[0]] * len(finite), rel=1e-12, abs=1e-300), found


@pytest.mark.parametrize(("text", "point"), STRUCTURE + BRANCHES)
def test_first_derivatives_agree(text: str, point: Point) -> None:
    made = program(text, point)
    whole = gradient(made, point).gradients
    rows = jacobian(made, point).jacobian[made.outputs[0]]
    one = np.ones(1)
    names = tuple(point)
    pulled = vjp(made, point, {made.outputs[0]: 1.0}).gradients
    pulled_batch = vjp(made, point, {made.outputs[0]: one}, batch=True).gradients
    many = {name: np.stack([x, x]) for name, x in point.items()}
    batched = batch_gradient(batch(resolve(parse_expression(text)), many, names)).gradients
    for name, place in flat(point):
        direction = unit(point, name, place)
        alone = {name: direction[name]}
        output = made.outputs[0]
        agree(
            {
                "gradient": entry(whole, name, place),
                "gradient of it alone": entry(
                    gradient(made, point, wrt=[name]).gradients, name, place
                ),
                "jacobian": entry(rows, name, place),
                "vjp": entry(pulled, name, place),
                "vjp in a batch": entry(pulled_batch, name, (0, *place)),
                "a batch": entry(batched, name, (1, *place)),
                "jvp": float(jvp(made, point, direction).tangents[output]),
                "jvp along it alone": float(jvp(made, point, alone).tangents[output]),
            }
        )


@pytest.mark.parametrize(("text", "point"), STRUCTURE + BRANCHES)
def test_second_derivatives_agree(text: str, point: Point) -> None:
    made = program(text, point)
    found = hessian(made, point).hessian
    for row, at in flat(point):
        direction = unit(point, row, at)
        products = hvp(made, point, direction).hvp
        for column, place in flat(point):
            agree(
                {
                    "hessian": float(np.asarray(found[row][column])[(*at, *place)]),
                    "its transpose": float(np.asarray(found[column][row])[(*place, *at)]),
                    "hvp": entry(products, column, place),
                }
            )


@pytest.mark.parametrize(("text", "point"), NODES)
def test_the_gradient_graph_agrees(text: str, point: Point) -> None:
    """Not where elements or branches hide infinities: a graph is run as it stands."""
    made = program(text, point)
    derived = gradient_graph(made)
    spec = derived.spec
    spec.output = list(dict.fromkeys(derived.gradients.values()))
    slopes = forward(program_for(resolve(spec), point), point).outputs
    whole = gradient(made, point).gradients
    for name, place in flat(point):
        one = np.asarray(slopes[derived.gradients[name]])
        agree({"gradient": entry(whole, name, place), "graph": float(one[place])})


def test_outputs_that_do_not_depend_on_an_input_have_derivative_zero() -> None:
    point = {"x": 0.0, "z": 1.0}
    made = program("h = sqrt(x)\nk = 3 * z\nh + k", point)
    found = jacobian(made, point, outputs=["h", "k"]).jacobian
    assert found["k"] == {"x": 0.0, "z": 3.0}
    assert (found["h"]["x"], found["h"]["z"]) == (math.inf, 0.0)


def test_a_zero_that_is_a_product_of_numbers_stays_nan() -> None:
    """sqrt(x) * sqrt(x) has slope 1 at 0; 0 would be a wrong number, NaN is none."""
    point = {"x": 0.0}
    made = program("sqrt(x) * sqrt(x)", point)
    assert math.isnan(gradient(made, point).gradients["x"])
    assert math.isnan(float(jvp(made, point, {"x": 1.0}).tangents[made.outputs[0]]))
