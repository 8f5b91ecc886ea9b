"""Ties, kinks and poles: which slope is given there; and digits that must not be lost."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward, gradient
from service.engine.derivatives import hessian
from service.engine.errors import GraphError
from service.engine.kinks import at_kinks
from service.engine.program import program_for
from tests.engine.graphs import graph_from, leaf, node


def slopes(op: str, *inputs: Any, **attrs: Any) -> list[Any]:
    """The gradient of the sum of an operator's result with respect to each input."""
    names = [f"x{i}" for i in range(len(inputs))]
    graph = graph_from(
        [*(leaf(n) for n in names), node("y", op, *names, **attrs), node("s", "sum", "y")]
    )
    given = {n: np.asarray(x, float) for n, x in zip(names, inputs, strict=True)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gradient(program_for(graph, given), given).gradients
    return [np.asarray(found[n]).tolist() for n in names]


def scalar_slopes(op: str, *inputs: float, **attrs: Any) -> list[Any]:
    """The same for a graph that runs on Python floats."""
    names = [f"x{i}" for i in range(len(inputs))]
    graph = graph_from([*(leaf(n) for n in names), node("y", op, *names, **attrs)])
    given = dict(zip(names, inputs, strict=True))
    program = program_for(graph, given)
    assert program.floats
    return list(gradient(program, given).gradients.values())


@pytest.mark.parametrize(
    ("op", "inputs", "attrs", "expected"),
    [
        ("maximum", (2.0, 2.0), {}, [0.5, 0.5]),
        ("maximum", (2.0, 2.0), {"ties": "both"}, [1.0, 1.0]),
        ("maximum", (2.0, 2.0), {"ties": "first"}, [1.0, 0.0]),
        ("minimum", (2.0, 2.0, 2.0), {}, [1 / 3, 1 / 3, 1 / 3]),
        ("relu", (0.0,), {}, [0.0]),
        ("abs", (0.0,), {}, [0.0]),
        ("sign", (0.0,), {}, [0.0]),
        ("clip", (1.0,), {"min": -1.0, "max": 1.0}, [1.0]),
        ("clip", (-1.0,), {"min": -1.0, "max": 1.0}, [1.0]),
        ("leaky_relu", (0.0,), {"alpha": 0.1}, [0.1]),
        ("sqrt", (0.0,), {}, [math.inf]),
        ("pow", (0.0, 0.0), {}, [0.0, 0.0]),
        ("pow", (0.0, 2.0), {}, [0.0, 0.0]),
    ],
)
def test_slope_at_a_kink(
    op: str, inputs: tuple[float, ...], attrs: dict[str, Any], expected: list[float]
) -> None:
    assert slopes(op, *inputs, **attrs) == pytest.approx(expected)
    assert scalar_slopes(op, *inputs, **attrs) == pytest.approx(expected)


def test_exponent_of_a_negative_base_has_no_slope() -> None:
    assert math.isnan(slopes("pow", -2.0, 2.0)[1])


def test_max_of_equal_elements_shares_evenly() -> None:
    assert slopes("max", [3.0, 3.0, 1.0]) == [[0.5, 0.5, 0.0]]


def test_max_pool_gives_the_first_of_equals_all() -> None:
    found = slopes("max_pool", [[[1.0, 1.0, 0.0, 1.0]]], kernel_shape=[2], strides=[2])
    assert found == [[[[1.0, 0.0, 0.0, 1.0]]]]


def test_norm_at_zero_and_std_of_a_constant_have_slope_zero() -> None:
    assert slopes("vector_norm", [0.0, 0.0]) == [[0.0, 0.0]]
    assert slopes("std", [2.0, 2.0, 2.0]) == [[0.0, 0.0, 0.0]]
    graph = graph_from([leaf("x"), node("y", "std", "x")])
    x = {"x": np.zeros(2)}
    assert not hessian(program_for(graph, x), x).hessian["x"]["x"].any()


@pytest.mark.parametrize("order", [0.5, 1, 2, 3, -1, -2, "inf", "-inf"])
def test_a_norm_does_not_swallow_nan(order: Any) -> None:
    graph = graph_from([leaf("x"), node("y", "vector_norm", "x", ord=order)])
    x = {"x": np.array([math.nan, 3.0])}
    assert math.isnan(forward(program_for(graph, x), x).outputs["y"])


def test_a_correction_beyond_the_count_is_no_negative_variance() -> None:
    """NumPy and torch divide by max(n - correction, 0)."""
    graph = graph_from([leaf("x"), node("y", "std", "x", correction=3)])
    x = {"x": np.array([1.0, 3.0])}
    assert forward(program_for(graph, x), x).outputs["y"] == math.inf


@pytest.mark.parametrize(("a", "b", "quotient"), [(1.0, 0.1, 9), (5.0, 0.2, 24), (-1.0, 0.1, -10)])
def test_remainder_has_the_slope_of_the_quotient_that_it_took(
    a: float, b: float, quotient: int
) -> None:
    assert a // b == quotient
    assert slopes("remainder", a, b) == scalar_slopes("remainder", a, b) == [1.0, -quotient]


@pytest.mark.parametrize(("logit", "target"), [(30.0, 1.0), (-30.0, 0.0), (500.0, 1.0)])
def test_a_confident_right_logit_keeps_its_digits(logit: float, target: float) -> None:
    names = {"x": logit, "t": target}
    graph = graph_from([leaf("x"), leaf("t"), node("y", "binary_cross_entropy", "x", "t")])
    found = gradient(program_for(graph, names), names)
    small = math.exp(-abs(logit))
    assert found.value == pytest.approx(math.log1p(small), rel=1e-14)
    slope = small / (1 + small)
    assert found.gradients["x"] == pytest.approx(-slope if target else slope, rel=1e-14)


@pytest.mark.parametrize("op", ["slice", "squeeze"])
def test_an_axis_named_twice_is_refused(op: str) -> None:
    part = {"starts": [0, 0], "stops": [1, 1], "axes": [0, -1]}
    attrs = part if op == "slice" else {"axis": [0, -1]}
    graph = graph_from([leaf("x"), node("y", op, "x", **attrs)])
    with pytest.raises(GraphError, match="named twice"):
        program_for(graph, {"x": np.ones(1)}).cost  # noqa: B018


@pytest.mark.parametrize(("op", "shape"), [("index_add", (1,)), ("scatter_add", (1,))])
def test_floats_added_to_integers_are_not_cut_off(op: str, shape: tuple[int, ...]) -> None:
    leaves = [{**leaf(n), "dtype": "int64"} for n in ("x", "i")]
    graph = graph_from([*leaves, leaf("u"), node("y", op, "x", "i", "u", axis=0)])
    given = {"x": np.array([1, 2, 3]), "i": np.array([0]), "u": np.full(shape, 1.5)}
    assert forward(program_for(graph, given), given).outputs["y"].tolist() == [2.5, 2.0, 3.0]


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
        ([0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
        ([2.0, 5.0], [5.0, 2.0]),
    ],
)
def test_prod_with_zeros(x: list[float], expected: list[float]) -> None:
    assert slopes("prod", x) == [expected]


def test_second_derivative_of_prod_with_zeros() -> None:
    graph = graph_from([leaf("x"), node("y", "prod", "x")])
    x = {"x": np.array([0.0, 0.0, 3.0])}
    found = hessian(program_for(graph, x), x).hessian["x"]["x"]
    np.testing.assert_array_equal(found, [[0, 3, 0], [3, 0, 0], [0, 0, 0]])


def test_det_of_a_singular_matrix() -> None:
    np.testing.assert_allclose(slopes("det", [[1.0, 2.0], [2.0, 4.0]])[0], [[4, -2], [-2, 1]])
    big = np.diag([1.0, 2.0, 3.0, 4.0, 0.0])
    expected = np.diag([0.0, 0.0, 0.0, 0.0, 24.0])
    np.testing.assert_allclose(slopes("det", big)[0], expected, atol=1e-12)


def test_hinge_at_a_margin_of_exactly_zero() -> None:
    """Scores that lead by the margin exactly are right already."""
    assert slopes("hinge", [[2.0, 1.0]], [0.0])[0] == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("op", "x", "value", "slope"),
    [
        ("tanh", 20.0, 1.0, 4 * math.exp(-40) / (1 + math.exp(-40)) ** 2),
        ("sigmoid", 40.0, 1 / (1 + math.exp(-40)), math.exp(-40) / (1 + math.exp(-40)) ** 2),
        ("sigmoid", -800.0, 0.0, 0.0),
        ("sigmoid", -700.0, math.exp(-700), math.exp(-700)),
        ("softplus", 800.0, 800.0, 1.0),
        ("softplus", -800.0, 0.0, 0.0),
    ],
)
def test_digits_far_from_zero(op: str, x: float, value: float, slope: float) -> None:
    graph = graph_from([leaf("x"), node("y", op, "x")])
    for given in ({"x": x}, {"x": np.full(3, x)}):
        program = program_for(graph, given)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y = forward(program, given).outputs["y"]
            found = gradient(program, given, cotangent=np.ones(np.shape(given["x"])))
        np.testing.assert_allclose(y, value, rtol=4e-16)
        np.testing.assert_allclose(found.gradients["x"], slope, rtol=1e-15)


def test_logsumexp_of_large_numbers() -> None:
    graph = graph_from([leaf("x"), node("y", "logsumexp", "x")])
    x = {"x": np.array([1e4, 1e4])}
    found = gradient(program_for(graph, x), x)
    assert float(found.value) == pytest.approx(1e4 + math.log(2), rel=1e-16)
    assert found.gradients["x"].tolist() == [0.5, 0.5]


def test_norm_of_large_numbers_does_not_overflow() -> None:
    graph = graph_from([leaf("x"), node("y", "vector_norm", "x")])
    x = {"x": np.array([3e200, 4e200])}
    found = gradient(program_for(graph, x), x)
    assert float(found.value) == pytest.approx(5e200)
    np.testing.assert_allclose(found.gradients["x"], [0.6, 0.8])


def test_division_by_zero_follows_ieee_both_ways() -> None:
    graph = graph_from([leaf("x"), node("y", "div", 1, "x")])
    for given in ({"x": 0.0}, {"x": np.zeros(2)}):
        found = gradient(program_for(graph, given), given, cotangent=np.ones(np.shape(given["x"])))
        assert np.all(np.isposinf(found.value))
        assert np.all(np.isneginf(found.gradients["x"]))
        assert [(w.kind, w.node) for w in found.warnings] == [("value", "y"), ("gradient", "x")]


def test_the_branch_that_is_not_taken_has_no_gradient() -> None:
    """where(x > 0, sqrt(x), 0) at 0: the slope of sqrt is infinite there, and nobody asks."""
    graph = graph_from(
        [
            leaf("x", 0),
            node("c", "greater", "x", 0),
            node("r", "sqrt", "x"),
            node("y", "where", "c", "r", 0),
        ]
    )
    found = gradient(program_for(graph, {}), {})
    assert (found.gradients, found.warnings) == ({"x": 0.0}, [])


def test_a_zero_that_meets_an_infinite_slope_is_named_with_a_safe_form() -> None:
    """A product with 0 is no branch: the limit may be any number."""
    graph = graph_from([leaf("u"), node("root", "sqrt", "u"), node("y", "mul", "root", "u")])
    for zero in (0.0, np.zeros(())):
        found = gradient(program_for(graph, {"u": zero}), {"u": zero})
        (warning,) = found.warnings
        assert (warning.kind, warning.node) == ("gradient", "u")
        assert "'root' (sqrt)" in warning.detail
        assert "where(c, sqrt(where(c, u, 1)), 0)" in warning.detail


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("abs", {}),
        ("relu", {}),
        ("leaky_relu", {}),
        ("elu", {}),
        ("selu", {}),
        ("hard_sigmoid", {}),
        ("clip", {"min": -1.0, "max": 1.0}),
        ("clip", {"max": 1.0}),
        ("gelu", {}),
        ("softplus", {}),
    ],
)
def test_nan_has_the_value_and_the_slope_nan(op: str, attrs: dict[str, Any]) -> None:
    graph = graph_from([leaf("x"), node("y", op, "x", **attrs)])
    alone = gradient(program_for(graph, {"x": math.nan}), {"x": math.nan})
    assert math.isnan(alone.value)
    assert math.isnan(alone.gradients["x"])
    assert np.isnan(slopes(op, [math.nan, math.nan], **attrs)[0]).all()


@pytest.mark.parametrize("op", ["maximum", "minimum"])
@pytest.mark.parametrize("pair", [(0.0, -0.0), (-0.0, 0.0)])
def test_an_extremum_of_two_zeros_has_one_sign(op: str, pair: tuple[float, float]) -> None:
    """Alone, in an array and in a batch: 1 / y tells the sign."""
    graph = graph_from([leaf("a"), leaf("b"), node("y", op, "a", "b")])
    results = []
    for size in (None, 1, 2, 3, 17, 64):
        given = {
            name: x if size is None else np.full(size, x)
            for name, x in zip("ab", pair, strict=True)
        }
        program = program_for(graph, given)
        results.append(set(np.signbit(np.atleast_1d(forward(program, given).outputs["y"]))))
    assert all(signs == results[0] for signs in results)
    assert len(results[0]) == 1


@pytest.mark.parametrize(
    ("op", "expected"), [("elu", 1.0), ("selu", 1.0507009873554805 * 1.6732632423543772)]
)
def test_the_second_derivative_at_the_kink_is_that_of_the_side_that_is_taken(
    op: str, expected: float
) -> None:
    graph = graph_from([leaf("x"), node("y", op, "x")])
    found = hessian(program_for(graph, {"x": 0.0}), {"x": 0.0})
    assert found.gradients["x"] == found.hessian["x"]["x"] == pytest.approx(expected, rel=1e-15)


def test_logsumexp_of_nothing_but_minus_infinity() -> None:
    graph = graph_from([leaf("x"), node("y", "logsumexp", "x")])
    x = {"x": np.full(2, -math.inf)}
    found = gradient(program_for(graph, x), x)
    assert found.value == -math.inf
    assert np.isnan(found.gradients["x"]).all()


@pytest.mark.parametrize(
    ("op", "x", "kink"),
    [
        ("vector_norm", [0.0, 0.0], True),
        ("std", [2.0, 2.0, 2.0], True),
        ("relu", [1.0, 0.0], True),
        ("vector_norm", [0.0, 1e-3], True),
        ("abs", [1.0, 2.0], False),
        ("std", [2.0, 2.0, 2.1], False),
        ("sin", [0.0, 1.0], False),
    ],
)
def test_second_derivatives_at_a_kink_come_with_a_warning(
    op: str, x: list[float], kink: bool
) -> None:
    """norm(x)**2 at 0 has the Hessian 2I; that of the rules is 0, and they say so."""
    graph = graph_from(
        [leaf("x"), node("y", op, "x"), node("z", "square", "y"), node("s", "sum", "z")]
    )
    given = {"x": np.array(x)}
    program = program_for(graph, given)
    found = [(one.kind, one.node) for one in at_kinks(program, given)]
    assert found == ([("kink", "y")] if kink else [])
