"""Every wire against the student's own gradients further down."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.grading.grade import grade
from service.grading.task import Result, Rubric, Task
from service.grading.truth import Truth

STAGED = "q = x + y\nf = q * z"
POINT = {"x": -2.0, "y": 5.0, "z": -4.0}
EVERY = {"q": 1.0, "x": 1.0, "y": 1.0, "z": 1.0}


def truth_of(rubric: Rubric | None = None, source: str = STAGED, **more: Any) -> Truth:
    given = rubric or Rubric(points=EVERY, carry_forward=0.5)
    return Truth(
        Task(resolve(parse_expression(source)), more.pop("inputs", POINT), rubric=given, **more)
    )


def verdicts(result: Result) -> dict[str, str]:
    return {wire.wire: wire.verdict for wire in result.wires if wire.kind == "gradient"}


def test_right_gradients_earn_all_points() -> None:
    result = grade(truth_of(), {"gradients": {"q": -4, "x": -4, "y": -4, "z": 3}})
    assert result.score == result.max_score == 4.0
    assert set(verdicts(result).values()) == {"correct"}


def test_what_follows_from_a_mistake_is_carried_forward() -> None:
    result = grade(truth_of(), {"gradients": {"q": 4, "x": 4, "y": 4, "z": 3}})
    assert verdicts(result) == {
        "q": "wrong",
        "x": "carried_forward",
        "y": "carried_forward",
        "z": "correct",
    }
    assert result.score == 2.0
    assert result.faulty == ["q"]


def test_a_right_gradient_that_does_not_follow_is_inconsistent() -> None:
    result = grade(truth_of(), {"gradients": {"q": 4, "x": -4, "y": 4, "z": 3}})
    assert verdicts(result)["x"] == "inconsistent"
    assert verdicts(result)["y"] == "carried_forward"


def test_a_missing_one_does_not_hide_the_others() -> None:
    result = grade(truth_of(), {"gradients": {"x": -4, "y": 7, "z": 3}})
    assert verdicts(result) == {"q": "missing", "x": "correct", "y": "wrong", "z": "correct"}


def test_zeros_follow_from_zeros_and_earn_nothing() -> None:
    result = grade(truth_of(), {"gradients": {"q": 0, "x": 0, "y": 0, "z": 0}})
    assert result.score == 0.0


def test_a_tiny_factor_earns_no_more_than_the_factor_is_worth() -> None:
    tiny = {"gradients": {"q": -4e-300, "x": -4e-300, "y": -4e-300, "z": 3}}
    assert grade(truth_of(), tiny).score == 1.0


def test_the_output_of_a_wrong_seed_is_at_fault_and_the_rest_follows() -> None:
    truth = truth_of(Rubric(points={**EVERY, "f": 1.0}))
    result = grade(truth, {"gradients": {"f": 2, "q": -8, "x": -8, "y": -8, "z": 6}})
    assert verdicts(result)["f"] == "wrong"
    assert set(verdicts(result).values()) == {"wrong", "carried_forward"}
    assert result.wires[-1].diagnoses[0].first.code == "seed"


def test_wrong_forward_values_carry_forward_where_values_earn_points() -> None:
    rubric = Rubric(points=EVERY, value_points={"q": 1.0, "f": 1.0})
    document = {
        "values": {"q": 7, "f": -28},
        "gradients": {"q": -4, "x": -4, "y": -4, "z": 7},
    }
    result = grade(truth_of(rubric), document)
    values = {wire.wire: wire.verdict for wire in result.wires if wire.kind == "value"}
    assert values == {"q": "wrong", "f": "carried_forward"}
    assert verdicts(result)["z"] == "carried_forward"
    assert result.score == 5.0


def test_invented_values_do_not_make_the_gradients_easier() -> None:
    document = {"values": {"q": 1, "z": 1}, "gradients": {"q": 1, "x": 1, "y": 1, "z": 1}}
    assert grade(truth_of(), document).score < 1.0


def test_the_wrong_shape_and_what_is_not_finite_have_their_own_verdicts() -> None:
    result = grade(truth_of(), {"gradients": {"q": [-4], "x": "NaN", "y": -4, "z": 3}})
    assert verdicts(result)["q"] == "wrong_shape"
    assert verdicts(result)["x"] == "not_finite"
    assert verdicts(result)["y"] == "correct"


def test_at_several_points_a_wire_is_as_good_as_at_its_worst() -> None:
    more = ({"x": 1.0, "y": 2.0, "z": 3.0},)
    truth = truth_of(Rubric(points={"x": 1.0, "z": 1.0}), more=more)
    right = {"gradients": {"x": 3, "z": 3}}
    good = grade(truth, {"gradients": {"x": -4, "z": 3}, "points": [right]})
    assert good.score == 2.0
    bad = grade(
        truth, {"gradients": {"x": -4, "z": 3}, "points": [{"gradients": {"x": 4, "z": 3}}]}
    )
    assert verdicts(bad) == {"x": "wrong", "z": "correct"}


def test_a_graph_with_several_outputs_of_a_node() -> None:
    graph = resolve(
        GraphSpec(
            ids=["x", "s", "m", "n", "f"],
            ops=["input", "split", "multiply", "multiply", "sum"],
            inputs=[(), ("x",), ("s.0", "s.0"), ("m", "s.1"), ("n",)],
            attrs={1: {"sections": 2}},
            leaves={0: Leaf("input")},
            output="f",
        )
    )
    x = np.array([1.0, 2.0, 3.0, 4.0])
    truth = Truth(Task(graph, {"x": x}))
    right = np.array([6.0, 16.0, 1.0, 4.0])
    assert grade(truth, {"gradients": {"x": right.tolist()}}).score == 1.0
    parts = {"x": right.tolist(), "s.0": [6.0, 16.0], "s.1": [1.0, 4.0]}
    assert set(verdicts(grade(truth, {"gradients": parts})).values()) == {"correct"}
    wrong = grade(truth, {"gradients": {**parts, "s.0": [3.0, 8.0]}})
    assert verdicts(wrong)["x"] == "inconsistent"
    assert wrong.faulty == ["s.0"]
