"""Source text becomes a graph; what isn't a graph is refused with its place."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward, gradient
from service.engine.errors import GraphError
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for

STAGED = """
x = 3 # example values
y = -4

# forward pass
sigy = 1.0 / (1 + math.exp(-y)) # sigmoid in numerator   #(1)
num = x + sigy # numerator                               #(2)
sigx = 1.0 / (1 + math.exp(-x)) # sigmoid in denominator #(3)
xpy = x + y                                              #(4)
xpysqr = xpy**2                                          #(5)
den = sigx + xpysqr # denominator                        #(6)
invden = 1.0 / den                                       #(7)
f = num * invden # done!                                 #(8)
"""


def value(text: str, **inputs: Any) -> Any:
    graph = resolve(parse_expression(text))
    return forward(program_for(graph, inputs), inputs).outputs[graph.outputs[0]]


def test_the_notes_staged_forward_pass_can_be_pasted_in() -> None:
    graph = resolve(parse_expression(STAGED))
    found = gradient(program_for(graph, {}), {})
    assert graph.outputs == ("f",)
    assert found.value == pytest.approx(1.5456448841066441, rel=1e-15)
    assert found.gradients == pytest.approx({"x": 2.0595697955721652, "y": 1.5922327514838093})
    assert found.values is not None
    assert {"sigy", "num", "sigx", "xpy", "xpysqr", "den", "invden"} <= set(found.values)


def test_the_notes_neuron_with_lists_and_subscripts() -> None:
    graph = resolve(
        parse_expression(
            "w = [2,-3,-3]; x = [-1, -2]\n"
            "dot = w[0]*x[0] + w[1]*x[1] + w[2]\n"
            "f = 1.0 / (1 + math.exp(-dot))"
        )
    )
    found = gradient(program_for(graph, {}), {})
    np.testing.assert_allclose(found.gradients["w"], [-0.19661193, -0.39322387, 0.19661193])
    np.testing.assert_allclose(found.gradients["x"], [0.39322387, -0.5898358])


A = np.arange(6.0).reshape(2, 3)
T = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("text", "inputs", "expected"),
    [
        ("(x + y) * z", {"x": -2.0, "y": 5.0, "z": -4.0}, -12.0),
        ("x % 3 - -x", {"x": 7.0}, 8.0),
        ("2 ** 0.5 * x", {"x": 1.0}, 2**0.5),
        ("x if x > 0 else -x", {"x": -3.0}, 3.0),
        ("1 < x <= 3", {"x": 2.0}, True),
        ("not (x > 1 and x < 2)", {"x": 3.0}, True),
        ("max(x, 2 * y)", {"x": 1.0, "y": 3.0}, 6.0),
        ("abs(x) + round(1.4 * x)", {"x": -1.0}, 0.0),
        ("np.sum(a, 0)", {"a": A}, A.sum(0)),
        ("np.sum(a, axis=1, keepdims=True)", {"a": A}, A.sum(1, keepdims=True)),
        ("np.max(a, 1)", {"a": A}, A.max(1)),
        ("a.max()", {"a": A}, 5.0),
        ("a.T @ a", {"a": A}, A.T @ A),
        ("a.dot(b)", {"a": A, "b": A.T}, A @ A.T),
        ("np.reshape(a, (3, 2))", {"a": A}, A.reshape(3, 2)),
        ("a.reshape(3, 2)", {"a": A}, A.reshape(3, 2)),
        ("np.concatenate([a, a], axis=1)", {"a": A}, np.concatenate([A, A], 1)),
        ("np.einsum('ij,ij->i', a, a)", {"a": A}, (A * A).sum(1)),
        ("np.where(a > 2, a, 0)", {"a": A}, np.where(A > 2, A, 0)),
        ("np.linalg.norm(a)", {"a": A}, np.linalg.norm(A)),
        ("np.clip(a, 1, 4)", {"a": A}, A.clip(1, 4)),
        ("a[1]", {"a": A}, A[1]),
        ("a[-1, 0]", {"a": A}, A[-1, 0]),
        ("a[:, 1:]", {"a": A}, A[:, 1:]),
        ("a[..., -1]", {"a": A}, A[..., -1]),
        ("a[:, ::-1]", {"a": A}, A[:, ::-1]),
        ("a[:, None, 0]", {"a": A}, A[:, None, 0]),
        ("a[0, ::2]", {"a": A}, A[0, ::2]),
        ("np.array([s, 2 * s]) @ [1, 10]", {"s": 1.5}, 31.5),
        ("[[s, 1], [0, s]]", {"s": 1.5}, [[1.5, 1], [0, 1.5]]),
        ("sum([s, s, 1])", {"s": 1.5}, 4.0),
        ("a.T.ravel() + a.flatten()", {"a": A}, A.T.ravel() + A.ravel()),
        ("a.reshape(-1)", {"a": A}, A.reshape(-1)),
        ("np.transpose(t, (2, 0, 1))", {"t": T}, T.transpose(2, 0, 1)),
        ("t.transpose(2, 0, 1)", {"t": T}, T.transpose(2, 0, 1)),
        ("np.std(a, 0, ddof=1)", {"a": A}, A.std(0, ddof=1)),
        ("np.cumsum(a, 1)", {"a": A}, A.cumsum(1)),
        ("np.argmax(a, 1)", {"a": A}, A.argmax(1)),
        ("np.cumsum(a)", {"a": A}, A.cumsum()),
        ("a.cumprod()", {"a": A}, A.cumprod()),
        ("cumsum(a)", {"a": A}, A.cumsum()),
        ("cumulative_sum(a)", {"a": A}, A.cumsum(-1)),
        ("np.repeat(a, 2)", {"a": A}, np.repeat(A, 2)),
        ("np.take(a, [0, 4])", {"a": A}, np.take(A, [0, 4])),
        ("np.roll(a, 1, 1)", {"a": A}, np.roll(A, 1, 1)),
        ("np.tile(a, (2, 1))", {"a": A}, np.tile(A, (2, 1))),
        ("np.moveaxis(t, 0, 1)", {"t": T}, np.moveaxis(T, 0, 1)),
        ("np.take(a, [0, 2], 1)", {"a": A}, A.take([0, 2], 1)),
        ("np.tensordot(a, t, axes=([0], [0]))", {"a": A, "t": T}, np.tensordot(A, T, ([0], [0]))),
        ("np.linalg.norm(a, axis=(0, 1))", {"a": A}, np.linalg.norm(A)),
        ("np.linalg.norm(a, 1, 0)", {"a": A}, np.linalg.norm(A, 1, 0)),
        ("np.clip(a, a_min=1, a_max=3)", {"a": A}, A.clip(1, 3)),
        ("np.split(a, 3, axis=1)[2]", {"a": A}, A[:, 2:]),
        ("p = split(a, sections=2)\ny = p[0] - p[1]", {"a": A}, A[:1] - A[1:]),
        ("u, v = a\ny = u - v", {"a": A}, A[0] - A[1]),
        ("u, v = 2, 3\ny = u * v", {}, 6.0),
        ("import numpy as np\ny = np.exp(x)", {"x": 0.0}, 1.0),
        ("math.pi * x + np.e", {"x": 1.0}, np.pi + np.e),
        ("u, v = split(a, axis=1, sizes=[1, 2])\ny = u * v", {"a": A}, A[:, :1] * A[:, 1:]),
        ("x", {"x": 2.0}, 2.0),
        ("3 + 4", {}, 7.0),
    ],
)
def test_value_is_pythons(text: str, inputs: dict[str, Any], expected: Any) -> None:
    found = value(text, **inputs)
    np.testing.assert_allclose(found, expected)
    assert np.shape(found) == np.shape(expected)


def test_intermediates_do_not_take_a_users_name() -> None:
    spec = parse_expression("_1 = x + 1\noutput = _1 * 2\ny = output * x + 3")
    assert len(set(spec.ids)) == len(spec.ids)
    assert spec.output == "y"


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("", "syntax", 1, 1),
        ("x + ", "syntax", 1, 5),
        ("y = x +\nz = 2", "syntax", 1, None),
        ("x.__class__", "syntax", 1, 1),
        ("().__class__", "syntax", None, None),
        ("[y for y in x]", "syntax", 1, 1),
        ("lambda: 1", "syntax", 1, 1),
        ("import os", "syntax", 1, 1),
        ("__import__('os')", "unknown_operator", 1, 1),
        ("eval('1')", "unknown_operator", 1, 1),
        ("y = 1\nz = foo(x)", "unknown_operator", 2, 5),
        ("expp(x)", "unknown_operator", 1, 1),
        ("sum(x, axs=1)", "attribute", 1, 1),
        ("sum(x, axis=y)", "attribute", 1, 13),
        ("exp(x, y)", "arity", 1, 1),
        ("x\ny", "syntax", 1, 1),
        ("f(*x)", "unknown_operator", 1, 1),
        ("exp(*x)", "syntax", 1, 1),
        ("'text' + x", "syntax", 1, 1),
        ("x is y", "syntax", 1, 1),
        ("() = x", "syntax", 1, 1),
        ("1" + "0" * 400 + " * x", "syntax", 1, 1),
        ("(" * 10_000 + ")" * 10_000, "syntax", 1, 1),
        ("-" * 90_000 + "x", "syntax", 1, 1),
        ("+".join(["x"] * 40_000), "syntax", 1, 1),
        ("x" * 200_000, "syntax", 1, 1),
        ("\x00", "syntax", 1, 1),
        ("π * foo(x)", "unknown_operator", 1, 5),
        ("sum(x, axis=0x" + "f" * 9_000 + ")", "syntax", 1, 13),
        ("sum(x, axis=0, axis=1)", "attribute", 1, 1),
        ("end_to_end(x, size=3)", "unknown_operator", 1, 1),
        ("import numpy as os", "syntax", 1, 1),
        ("import numpy as np", "syntax", 1, 1),
        ("x" + ".linalg" * 2_500, "syntax", 1, 1),
    ],
)
def test_refusal_names_code_and_place(
    text: str, code: str, line: int | None, column: int | None
) -> None:
    with pytest.raises(GraphError) as caught:
        parse_expression(text)
    fault = caught.value.faults[0]
    assert fault.code == code
    assert line is None or fault.line == line
    assert column is None or fault.column == column
    assert len(fault.detail) < 300


def test_every_fault_of_a_text_is_listed() -> None:
    with pytest.raises(GraphError) as caught:
        parse_expression("a = foo(x) + bar(y) * 2\nb = a.strides\nc = a + 1\nd = exp(x, z, c)")
    assert [(f.code, f.line) for f in caught.value.faults] == [
        ("unknown_operator", 1),
        ("unknown_operator", 1),
        ("syntax", 2),
        ("arity", 4),
    ]


def test_faults_of_a_hostile_text_are_bounded() -> None:
    with pytest.raises(GraphError) as caught:
        parse_expression("concat([" + ",".join(f"foo{i}(x)" for i in range(4_000)) + "])")
    assert len(caught.value.faults) == 20


def test_work_grows_with_the_length_of_a_text_only() -> None:
    def seconds(terms: int) -> float:
        started = time.process_time()
        parse_expression("concat([" + ",".join(["x"] * terms) + "])")
        return time.process_time() - started

    short = min(seconds(2_500) for _ in range(3))
    long = min(seconds(20_000) for _ in range(3))
    assert long < 8 * short * 8  # quadratic work would be 64 times that of the short text


def test_arithmetic_of_numbers_is_an_input_like_a_number() -> None:
    spec = parse_expression("c = 1 / 4\ny = c * x")
    assert [(leaf.kind, leaf.value) for leaf in spec.leaves.values()] == [
        ("input", 0.25),
        ("input", None),
    ]


def test_numbers_inside_of_an_expression_have_no_gradient() -> None:
    graph = resolve(parse_expression("y = sum([1, 2] * x) + 3"))
    assert set(gradient(program_for(graph, {"x": 1.0}), {"x": 1.0}).gradients) == {"x"}


def test_power_towers_are_folded_in_floats() -> None:
    assert value("2**10**10**10 * x", x=1.0) == float("inf")
