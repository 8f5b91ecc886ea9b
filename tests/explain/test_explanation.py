"""Explanations: every step is there, the numbers add up, the sentences say what happened."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from service.engine.compute import gradient
from service.engine.errors import GraphError
from service.engine.program import program_for
from service.engine.registry import REGISTRY, Example, Operator
from service.explain.dimensions import product_for
from service.explain.explanation import explain
from tests.diagrams import circuits
from tests.engine.drawing import draw, examples, graph_of

CASES = [
    (op, example)
    for op in REGISTRY
    if op.group != "leaf" and not op.internal and op.differentiable
    for example in examples(op)
]


def step(explained: dict[str, Any], node: str) -> dict[str, Any]:
    found: dict[str, Any] = next(s for s in explained["backward"] if s["node"] == node)
    return found


@pytest.mark.parametrize("name", circuits.NAMED)
def test_contributions_add_up_to_the_engines_gradients(name: str) -> None:
    program = circuits.NAMED[name]()
    explained = explain(program, {})
    truth = gradient(program, {}, node_gradients=True)
    sums: dict[str, Any] = defaultdict(float)
    for one in explained["backward"]:
        for edge in one["edges"]:
            sums[edge["input"]] = sums[edge["input"]] + edge["contribution"]
            np.testing.assert_allclose(edge["accumulated"], sums[edge["input"]])
    assert truth.node_gradients is not None
    for node, total in sums.items():
        np.testing.assert_allclose(total, truth.node_gradients[node], rtol=1e-9, atol=1e-12)
    for node, expected in truth.gradients.items():
        np.testing.assert_allclose(explained["gradients"][node], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("op", "example"), CASES, ids=[f"{op.name}-{i}" for i, (op, _) in enumerate(CASES)]
)
def test_every_operator_is_explained_with_the_engines_numbers(
    op: Operator, example: Example
) -> None:
    arrays = draw(op, example, seed=5)
    inputs = {f"x{i}": a if a.ndim else a[()] for i, a in enumerate(map(np.asarray, arrays))}
    program = program_for(graph_of(op, example, arrays), inputs)
    output = program.outputs[0]
    spec = program.spec(output)
    if not spec.floating:
        return
    ones = np.ones(spec.shape) if spec.shape else None
    explained = explain(program, inputs, output=output)
    truth = gradient(program, inputs, output=output, cotangent=ones)
    for node, expected in truth.gradients.items():
        np.testing.assert_allclose(explained["gradients"][node], expected, rtol=1e-7, atol=1e-9)
    for one in explained["backward"]:
        assert one["sentence"].endswith((".", ")"))
        for edge in one["edges"]:
            if "local_gradient" in edge and np.shape(edge["local_gradient"]) == np.shape(
                one["upstream"]
            ):
                product = np.sum(np.asarray(edge["local_gradient"]) * one["upstream"])
                np.testing.assert_allclose(
                    product, np.sum(edge["contribution"]), rtol=1e-7, atol=1e-9
                )


def test_the_notes_patterns_are_named_and_told() -> None:
    explained = explain(circuits.patterns(), {})
    add, largest, multiply = (step(explained, node) for node in ("_3", "_2", "_1"))
    assert [add["pattern"], largest["pattern"], multiply["pattern"]] == [
        "distributor",
        "router",
        "switcher",
    ]
    assert add["sentence"] == "add passed the gradient 2 on, unchanged, to _1 and _2."
    assert largest["sentence"] == ("max routed the gradient 2 to z, which was larger; w got 0.")
    assert "x gets −4 × 2 = −8" in multiply["sentence"]
    assert "y gets 3 × 2 = 6" in multiply["sentence"]


def test_equal_inputs_of_max_are_told_to_share() -> None:
    program = circuits.program({"a": 1.0, "b": 1.0}, ("f", "maximum", "a", "b"))
    sentence = explain(program, {})["backward"][0]["sentence"]
    assert "equal inputs, a and b" in sentence
    assert "0.5" in sentence


@pytest.mark.parametrize(("x", "word"), [(2.0, "through"), (-2.0, "stopped")])
def test_relu_says_whether_it_let_the_gradient_through(x: float, word: str) -> None:
    program = circuits.program({"x": x}, ("f", "relu", "x"))
    assert word in explain(program, {})["backward"][0]["sentence"]


def test_accumulation_is_shown_where_a_wire_branches() -> None:
    explained = explain(circuits.staged(), {})
    parts = [edge for one in explained["backward"] for edge in one["edges"] if edge["input"] == "x"]
    assert [edge["part"] for edge in parts] == [1, 2, 3]
    assert {edge["parts"] for edge in parts} == {3}
    assert "add up" in parts[-1]["accumulation"]
    assert parts[-1]["code"].startswith("dx += ")
    assert parts[-1]["accumulated"] == pytest.approx(2.0595697955721652)


def test_matrix_gates_come_with_their_dimension_analysis() -> None:
    rng = np.random.default_rng(0)
    program = circuits.program(
        {"W": rng.normal(size=(5, 10)), "X": rng.normal(size=(10, 3))},
        ("D", "matmul", "W", "X"),
        ("f", "sum", "D"),
    )
    explained = explain(program, {})
    w, x = step(explained, "D")["edges"]
    assert w["code"] == "dW = dD @ X.T"
    assert x["code"] == "dX = W.T @ dD"
    assert w["dimensions"] == (
        "dW must have the shape (5, 10); dD is (5, 3) and X is (10, 3). "
        "Only dD @ X.T gives it: (5, 3) @ (3, 10) is (5, 10)."
    )
    assert "local_gradient" not in w


def test_square_matrices_are_said_not_to_decide() -> None:
    said = product_for("dW", (3, 3), "dD", (3, 3), "X", (3, 3))
    assert "8 products have that shape" in said


def test_broadcasting_is_explained_as_a_sum() -> None:
    edge = step(explain(circuits.network(), {}), "scores")["edges"][1]
    assert edge["dimensions"].startswith("db2 must have the shape (2,), but dscores is (4, 2)")
    assert edge["code"] == "db2 = np.sum(dscores, axis=0)"


def test_latex_has_every_line_and_balanced_braces() -> None:
    for make in (circuits.staged, circuits.network, circuits.neuron):
        latex = explain(make(), {})["latex"]
        assert latex.count("{") == latex.count("}")
        assert latex.count(r"\left") == latex.count(r"\right")
        assert latex.startswith("\\begin{aligned}\n")
    assert r"\frac{\partial f}{\partial x} &\mathrel{+}=" in explain(circuits.staged(), {})["latex"]


def test_non_finite_results_are_explained_and_warned_of() -> None:
    program = circuits.program({"x": 0.0}, ("f", "log", "x"))
    explained = explain(program, {})
    assert explained["warnings"][0]["kind"] == "value"
    assert "np.float64(0.0)" in explained["code"]


def test_an_output_without_gradient_is_refused() -> None:
    program = circuits.program({"x": 1.0}, ("f", "greater", "x", 0.0))
    with pytest.raises(GraphError):
        explain(program, {})


def test_several_outputs_are_explained() -> None:
    rng = np.random.default_rng(1)
    program = circuits.program(
        {"a": rng.normal(size=(4, 2))},
        ("s", "split", "a", {"axis": 0, "sections": 2}),
        ("p", "multiply", "s.0", "s.1"),
        ("f", "sum", "p"),
    )
    explained = explain(program, {})
    assert list(explained["forward"][0]["outputs"]) == ["s.0", "s.1"]
    expected = gradient(program, {}).gradients["a"]
    np.testing.assert_allclose(explained["gradients"]["a"], expected)
