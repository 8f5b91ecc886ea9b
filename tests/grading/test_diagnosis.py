"""What students write, and what they are told. Written by hand, not by the table."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.grading.diagnosis import Budget, diagnose
from service.grading.grade import grade
from service.grading.report import shown
from service.grading.task import Result, Task
from service.grading.truth import Truth
from service.wire.answers import encode

STAGED = (
    "sigy = sigmoid(y)\nnum = x + sigy\nsigx = sigmoid(x)\nxpy = x + y\nxpysqr = xpy ** 2\n"
    "den = sigx + xpysqr\ninvden = 1 / den\nf = num * invden"
)


def staged(slip: str = "") -> dict[str, float]:
    """The note's backward pass, line by line, with one slip."""
    x, y = 3.0, -4.0
    sigy = 1 / (1 + math.exp(-y))
    num = x + sigy
    sigx = 1 / (1 + math.exp(-x))
    xpy = x + y
    xpysqr = xpy**2
    den = sigx + xpysqr
    invden = 1 / den
    dnum = invden
    dinvden = num
    dden = (-1.0 / (den**2)) * dinvden
    if slip == "minus lost":
        dden = (1.0 / (den**2)) * dinvden
    if slip == "upstream forgotten":
        dden = -1.0 / (den**2)
    dsigx = dden
    dxpysqr = dden
    dxpy = (2 * xpy) * dxpysqr
    if slip == "two forgotten":
        dxpy = xpy * dxpysqr
    dx = dxpy
    dy = dxpy
    if slip == "input for output":
        dx += ((1 - x) * x) * dsigx
    elif slip == "factor forgotten":
        dx += sigx * dsigx
    else:
        dx += ((1 - sigx) * sigx) * dsigx
    if slip == "assigned":
        dx = dnum
    else:
        dx += dnum
    dsigy = dnum
    if slip == "passed on":
        dy += dsigy
    else:
        dy += ((1 - sigy) * sigy) * dsigy
    return {
        "num": dnum,
        "invden": dinvden,
        "den": dden,
        "sigx": dsigx,
        "xpysqr": dxpysqr,
        "xpy": dxpy,
        "x": dx,
        "y": dy,
        "sigy": dsigy,
    }


def truth_of(source: str, inputs: dict[str, Any]) -> Truth:
    return Truth(Task(resolve(parse_expression(source)), inputs))


def first(result: Result, wire: str) -> tuple[str, set[str]]:
    """The code named first for a wire, and its whole group."""
    found = next(one for one in result.wires if one.wire == wire and one.kind == "gradient")
    assert found.diagnoses, f"nothing is said about {wire}: {found.verdict}"
    group = found.diagnoses[0]
    return group.first.code, {group.first.code, *(one.code for one in group.equivalent)}


@pytest.mark.parametrize(
    ("slip", "wire", "code"),
    [
        ("minus lost", "den", "reciprocal"),
        ("upstream forgotten", "den", "missing_upstream"),
        ("two forgotten", "xpy", "power_rule"),
        ("input for output", "x", "pre_vs_post_activation"),
        ("factor forgotten", "x", "pre_vs_post_activation"),
        ("assigned", "x", "missing_accumulation"),
        ("passed on", "y", "missing_local"),
    ],
)
def test_slips_in_the_notes_staged_example(slip: str, wire: str, code: str) -> None:
    truth = truth_of(STAGED, {"x": 3.0, "y": -4.0})
    result = grade(truth, {"gradients": staged(slip)})
    assert result.faulty == [wire]
    assert code in first(result, wire)[1]
    leaves = {name: g for name, g in staged(slip).items() if name in "xy"}
    result = grade(truth, {"gradients": leaves})
    told = [
        one
        for entry in result.wires
        for group in entry.diagnoses
        for one in (group.first, *group.equivalent)
    ]
    assert any(one.code == code and one.at == wire for one in told)


def two_layers(slip: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """An affine-ReLU-affine-softmax network as students write it; inputs and gradients."""
    rng = np.random.default_rng(3)
    X, W1, b1 = rng.normal(size=(5, 4)), rng.normal(size=(4, 6)), rng.normal(size=6)
    W2, b2 = rng.normal(size=(6, 3)), rng.normal(size=3)
    labels = np.array([0, 2, 1, 1, 0])
    a = X @ W1 + b1
    h = np.maximum(0, a)
    scores = h @ W2 + b2
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    dscores = p.copy()
    if slip != "onehot forgotten":
        dscores[np.arange(5), labels] -= 1
    if slip != "mean forgotten":
        dscores /= 5
    dW2 = h.T @ dscores
    db2 = dscores.mean(axis=0) if slip == "bias mean" else dscores.sum(axis=0)
    dh = dscores @ W2.T
    da = dh.copy()
    if slip == "mask by upstream":
        da[dh <= 0] = 0
    elif slip != "mask forgotten":
        da[a <= 0] = 0
    dW1 = X.T @ da
    db1 = da if slip == "bias not summed" else da.sum(axis=0)
    if slip == "doubled":
        dW2 = dW2 * 2
    inputs = {"X": X, "W1": W1, "b1": b1, "W2": W2, "b2": b2, "labels": labels}
    gradients = {"scores": dscores, "W2": dW2, "b2": db2, "h": dh, "a": da, "W1": dW1, "b1": db1}
    return inputs, {name: g.tolist() for name, g in gradients.items()}


NETWORK = "a = X @ W1 + b1\nh = relu(a)\nscores = h @ W2 + b2\nloss = cross_entropy(scores, labels)"


@pytest.mark.parametrize(
    ("slip", "wire", "code"),
    [
        ("onehot forgotten", "scores", "softmax_ce"),
        ("mean forgotten", "scores", "softmax_ce"),
        ("bias mean", "b2", "missing_unbroadcast"),
        ("bias not summed", "b1", "missing_unbroadcast"),
        ("mask forgotten", "a", "relu_mask_missing"),
        ("mask by upstream", "a", "relu_mask_missing"),
        ("doubled", "W2", "scale"),
    ],
)
def test_slips_in_a_two_layer_network(slip: str, wire: str, code: str) -> None:
    inputs, gradients = two_layers(slip)
    result = grade(truth_of(NETWORK, inputs), {"gradients": gradients})
    assert result.faulty[0] == wire
    assert code in first(result, wire)[1]


def test_the_right_network_is_right() -> None:
    inputs, gradients = two_layers()
    result = grade(truth_of(NETWORK, inputs), {"gradients": gradients})
    assert {w.verdict for w in result.wires if w.wire in gradients} == {"correct"}


def test_two_mistakes_in_different_places_are_both_found() -> None:
    gradients = {**staged("minus lost")}
    gradients["y"] = -gradients["y"]
    result = grade(truth_of(STAGED, {"x": 3.0, "y": -4.0}), {"gradients": gradients})
    assert result.faulty == ["den", "y"] or result.faulty == ["den", "x", "y"]
    assert "reciprocal" in first(result, "den")[1]
    assert "sign" in first(result, "y")[1]


def test_gradients_that_were_not_set_to_zero() -> None:
    right = staged()
    doubled = {name: 2 * g for name, g in right.items() if name in "xy"}
    result = grade(truth_of(STAGED, {"x": 3.0, "y": -4.0}), {"gradients": {**right, **doubled}})
    for wire in "xy":
        assert "not_zeroed" in first(result, wire)[1]


def test_what_no_mistake_explains_is_said_to_be_unknown() -> None:
    result = grade(
        truth_of("q = x + y\nf = q * z", {"x": -2.0, "y": 5.0, "z": -4.0}),
        {"gradients": {"x": 0.12345, "y": -4, "z": 3}},
    )
    assert first(result, "x")[0] == "unknown"
    assert result.wires[0].diagnoses[0].confidence == 0.0


def test_a_free_factor_is_recognised_in_a_tensor() -> None:
    inputs, gradients = two_layers()
    gradients["W2"] = (np.array(gradients["W2"]) * 1.7).tolist()
    result = grade(truth_of(NETWORK, inputs), {"gradients": gradients})
    assert first(result, "W2")[0] == "scale"


def test_further_points_break_a_tie_that_one_point_leaves() -> None:
    graph = resolve(parse_expression("f = x * y"))
    one = Truth(Task(graph, {"x": 2.0, "y": 1.0}))
    two = Truth(Task(graph, {"x": 2.0, "y": 1.0}, more=({"x": 3.0, "y": 5.0},)))
    # Twice the right gradient, or the own value: at x = 2, y = 1 both are 2.
    result = grade(one, {"gradients": {"x": 2, "y": 2}})
    assert len(result.wires[0].diagnoses) > 1
    result = grade(
        two, {"gradients": {"x": 2, "y": 2}, "points": [{"gradients": {"x": 3, "y": 3}}]}
    )
    codes = {group.first.code for group in result.wires[0].diagnoses}
    assert codes == {"mul_not_swapped"}


def test_square_matrices_leave_products_that_fit_as_one_mistake() -> None:
    rng = np.random.default_rng(1)
    X, W = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    g = rng.normal(size=(3, 3))
    truth = truth_of("D = X @ W\nf = sum(D * g)", {"X": X, "W": W, "g": g})
    result = grade(truth, {"gradients": {"W": (g @ X).tolist(), "X": (g @ W.T).tolist()}})
    assert first(result, "W")[0] == "matmul_transpose"
    assert len(result.wires) >= 2


def test_a_diagnosis_stops_at_its_budget_and_says_so() -> None:
    inputs, gradients = two_layers("mean forgotten")
    truth = truth_of(NETWORK, inputs)
    leaves = {name: gradients[name] for name in ("W1", "b1", "W2", "b2")}
    cut = grade(truth, {"gradients": leaves}, max_runs=5)
    assert not cut.complete
    assert shown(cut)["diagnosis_complete"] is False
    assert grade(truth, {"gradients": leaves}).complete
    assert Budget(0).spent
    assert diagnose(truth, [], [], Budget(10)) == {}


def test_the_same_submission_gives_the_same_bytes() -> None:
    answers = set()
    for _ in range(3):
        inputs, gradients = two_layers("mask forgotten")
        truth = truth_of(NETWORK, inputs)
        answers.add(encode(shown(grade(truth, json.loads(json.dumps({"gradients": gradients}))))))
    assert len(answers) == 1
