"""The worked numbers of the CS231n note on backpropagation, section by section."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.engine.compute import Gradient, gradient
from service.engine.graph import Graph
from service.engine.program import program_for
from tests.engine.graphs import graph_from, leaf, node


def differentiated(graph: Graph) -> Gradient:
    return gradient(program_for(graph, {}), {}, node_gradients=True)


def test_simple_expressions_product() -> None:
    """f(x, y) = xy at (4, -3): the derivative on each is the other."""
    found = differentiated(graph_from([leaf("x", 4), leaf("y", -3), node("f", "mul", "x", "y")]))
    assert found.value == -12.0
    assert found.gradients == {"x": -3.0, "y": 4.0}


def test_simple_expressions_max() -> None:
    """max(4, 2) = 4 is not sensitive to the smaller input."""
    found = differentiated(graph_from([leaf("x", 4), leaf("y", 2), node("f", "max", "x", "y")]))
    assert (found.value, found.gradients) == (4.0, {"x": 1.0, "y": 0.0})


def test_compound_expressions_with_chain_rule() -> None:
    """f = (x + y)z at (-2, 5, -4): q = 3, f = -12, gradients -4, -4, 3; on q it is -4."""
    found = differentiated(
        graph_from(
            [
                leaf("x", -2),
                leaf("y", 5),
                leaf("z", -4),
                node("q", "add", "x", "y"),
                node("f", "mul", "q", "z"),
            ]
        )
    )
    assert found.values == {"x": -2.0, "y": 5.0, "z": -4.0, "q": 3.0, "f": -12.0}
    assert found.gradients == {"x": -4.0, "y": -4.0, "z": 3.0}
    assert found.node_gradients is not None
    assert found.node_gradients["q"] == -4.0


NEURON_LEAVES = [leaf("w0", 2), leaf("x0", -1), leaf("w1", -3), leaf("x1", -2), leaf("w2", -3)]
NEURON_DOT = [
    node("a", "mul", "w0", "x0"),
    node("b", "mul", "w1", "x1"),
    node("ab", "add", "a", "b"),
    node("dot", "add", "ab", "w2"),
]
SINGLE_GATES = [
    node("minus", "mul", "dot", -1),
    node("e", "exp", "minus"),
    node("one", "add", "e", 1),
    node("f", "reciprocal", "one"),
]
WIRES = {"w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20}


@pytest.mark.parametrize(
    "tail", [SINGLE_GATES, [node("f", "sigmoid", "dot")]], ids=["single gates", "sigmoid gate"]
)
def test_sigmoid_example_neuron(tail: list[dict[str, object]]) -> None:
    """The two-dimensional neuron, of single gates and with the sigmoid as one gate."""
    found = differentiated(graph_from([*NEURON_LEAVES, *NEURON_DOT, *tail]))
    assert round(float(found.value), 2) == 0.73
    assert {k: round(v, 2) for k, v in found.gradients.items()} == WIRES
    assert found.node_gradients is not None
    assert round(found.node_gradients["dot"], 2) == 0.20
    f = 1 / (1 + math.exp(-1))
    expected = {"w0": -1, "x0": 2, "w1": -2, "x1": -3, "w2": 1}
    for name, local in expected.items():
        assert found.gradients[name] == pytest.approx(local * (1 - f) * f, rel=1e-15)


def test_sigmoid_example_wires_of_the_circuit() -> None:
    """Values and gradients on the wires of single gates, as the note's picture has them."""
    found = differentiated(graph_from([*NEURON_LEAVES, *NEURON_DOT, *SINGLE_GATES]))
    assert found.values is not None
    assert found.node_gradients is not None
    names = ("a", "b", "ab", "dot", "minus", "e", "one", "f")
    assert [round(found.values[n], 2) for n in names] == [
        -2.0, 6.0, 4.0, 1.0, -1.0, 0.37, 1.37, 0.73,
    ]  # fmt: skip
    assert [round(found.node_gradients[n], 2) for n in names] == [
        0.2, 0.2, 0.2, 0.2, -0.2, -0.53, -0.53, 1.0,
    ]  # fmt: skip


def staged_backward(x: float, y: float) -> tuple[float, float]:
    """The note's backward pass of the staged function, line by line."""
    sigy = 1.0 / (1 + math.exp(-y))
    num = x + sigy
    sigx = 1.0 / (1 + math.exp(-x))
    xpy = x + y
    den = sigx + xpy**2
    invden = 1.0 / den
    dnum = invden
    dden = (-1.0 / (den**2)) * num
    dxpy = (2 * xpy) * dden
    dx = dxpy + ((1 - sigx) * sigx) * dden + dnum
    dy = dxpy + ((1 - sigy) * sigy) * dnum
    return dx, dy


def test_staged_computation_as_nodes() -> None:
    """f = (x + σ(y)) / (σ(x) + (x + y)²) at x = 3, y = -4."""
    graph = graph_from(
        [
            leaf("x", 3),
            leaf("y", -4),
            node("sigy", "sigmoid", "y"),
            node("num", "add", "x", "sigy"),
            node("sigx", "sigmoid", "x"),
            node("xpy", "add", "x", "y"),
            node("xpysqr", "pow", "xpy", 2),
            node("den", "add", "sigx", "xpysqr"),
            node("invden", "div", 1, "den"),
            node("f", "mul", "num", "invden"),
        ]
    )
    found = differentiated(graph)
    dx, dy = staged_backward(3.0, -4.0)
    assert found.value == pytest.approx(1.5456448841066441, rel=1e-15)
    assert found.gradients["x"] == pytest.approx(dx, rel=1e-14)
    assert found.gradients["y"] == pytest.approx(dy, rel=1e-14)


def test_patterns_in_backward_flow() -> None:
    """2(xy + max(z, w)) at (3, -4, 2, -1): -20, (-8, 6, 2, 0); 2 arrives at both sides."""
    graph = graph_from(
        [
            leaf("x", 3),
            leaf("y", -4),
            leaf("z", 2),
            leaf("w", -1),
            node("xy", "mul", "x", "y"),
            node("m", "max", "z", "w"),
            node("s", "add", "xy", "m"),
            node("f", "mul", "s", 2),
        ]
    )
    found = differentiated(graph)
    assert found.value == -20.0
    assert found.gradients == {"x": -8.0, "y": 6.0, "z": 2.0, "w": 0.0}
    assert found.node_gradients is not None
    assert (found.node_gradients["xy"], found.node_gradients["m"]) == (2.0, 2.0)


def test_gradients_for_vectorized_operations() -> None:
    """D = W·X with W (5, 10) and X (10, 3): dW = dD·Xᵀ, dX = Wᵀ·dD."""
    rng = np.random.default_rng(231)
    w, x, dd = (rng.standard_normal(shape) for shape in ((5, 10), (10, 3), (5, 3)))
    graph = graph_from([leaf("W"), leaf("X"), node("D", "matmul", "W", "X")])
    inputs = {"W": w, "X": x}
    found = gradient(program_for(graph, inputs), inputs, cotangent=dd)
    np.testing.assert_array_equal(found.value, w.dot(x))
    np.testing.assert_allclose(found.gradients["W"], dd.dot(x.T), rtol=1e-15)
    np.testing.assert_allclose(found.gradients["X"], w.T.dot(dd), rtol=1e-15)


def test_a_wire_that_branches_adds_its_gradients() -> None:
    """The multivariable chain rule: += where a variable goes to several places."""
    found = differentiated(
        graph_from([leaf("x", 3), node("a", "mul", "x", 2), node("f", "mul", "a", "x")])
    )
    assert found.gradients == {"x": 12.0}
    squared = differentiated(graph_from([leaf("x", 3), node("f", "mul", "x", "x")]))
    assert squared.gradients == {"x": 6.0}
