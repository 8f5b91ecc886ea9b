"""The work for a gate grows with its inputs, is counted, and stops when it is told to."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.engine import derivatives
from service.engine.compute import gradient
from service.engine.control import DEFAULT_LIMITS, Control, Limits
from service.engine.errors import Cancelled, LimitExceeded
from service.engine.gradient_graph import gradient_graph
from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.namespaces import ARRAYS
from service.engine.operators import REGISTRY
from service.engine.program import Program, program_for
from service.engine.registry import Operator

VARIADIC = [op for op in REGISTRY if op.variadic and not op.internal and op.name != "einsum"]
TIES = ("split", "both", "first")


class Stopping(Control):
    """Asks to stop at the look with this number."""

    def __init__(self, looks: int) -> None:
        super().__init__(None)
        self.left = looks

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled


def many(op: Operator, inputs: int, limits: Limits = DEFAULT_LIMITS, **attrs: Any) -> Program:
    """The sum of `op` of the same vector `inputs` times."""
    spec = GraphSpec(["x", "y", "f"], ["input", op.name, "sum"], [(), ["x"] * inputs, ["y"]])
    spec.leaves[0] = Leaf("input", np.linspace(1.0, 2.0, 3), (3,))
    spec.attrs[1] = {name: a.default for name, a in op.attributes.items()} | attrs
    return program_for(resolve(spec), {}, limits=limits)


class Counting:
    """NumPy's namespace, which counts the calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self.calls[name] += 1
        function: Callable[..., Any] = getattr(ARRAYS, name)
        return function


@pytest.mark.parametrize("op", VARIADIC, ids=lambda op: op.name)
@pytest.mark.parametrize("ties", TIES)
def test_the_rule_of_many_inputs_is_linear_in_them(op: Operator, ties: str) -> None:
    attrs = {"ties": ties} if "ties" in op.attributes else {}
    counts, lengths = [], []
    for inputs in (20, 40):
        program = many(op, inputs, **attrs)
        step = next(step for step in program.code.steps if step.operator is op)
        xp, x = Counting(), np.linspace(1.0, 2.0, 3)
        y = ARRAYS.function(op)(*[x] * inputs, **step.attrs)
        parts = op.contributions(range(inputs), xp, y, y, [x] * inputs, step.attrs)
        assert [index for index, _ in parts] == list(range(inputs))
        counts.append(sum(xp.calls.values()))
        lengths.append(len(derivatives.hvp_code(program, "f", ["x"]).steps))
    assert counts[1] <= 2.2 * counts[0]
    assert lengths[1] <= 2.2 * lengths[0]


@pytest.mark.parametrize("op", VARIADIC, ids=lambda op: op.name)
def test_one_input_gets_alone_what_it_gets_with_the_others(op: Operator) -> None:
    rng = np.random.default_rng(1)
    inputs = [rng.integers(0, 3, 4).astype(float) for _ in range(5)]
    for ties in TIES if "ties" in op.attributes else ("",):
        attrs = {name: a.default for name, a in op.attributes.items()}
        if ties:
            attrs["ties"] = ties
        y = ARRAYS.function(op)(*inputs, **attrs)
        g = rng.normal(size=y.shape)
        together = dict(op.contributions(range(5), ARRAYS, g, y, inputs, attrs))
        for index in range(5):
            rule = op.rule(index)
            assert rule is not None
            np.testing.assert_array_equal(rule(ARRAYS, g, y, *inputs, **attrs), together[index])


@pytest.mark.parametrize("op", VARIADIC, ids=lambda op: op.name)
def test_the_cost_counts_edges(op: Operator) -> None:
    few, more = many(op, 10).cost, many(op, 1000).cost
    assert more.edges > 50 * few.edges
    assert more.nanoseconds(1) > 50 * few.nanoseconds(1)


def test_the_cost_on_floats_counts_edges() -> None:
    costs = []
    for inputs in (10, 1000):
        spec = GraphSpec(["x", "y"], ["input", "maximum"], [(), ["x"] * inputs])
        spec.leaves[0] = Leaf("input", 1.0)
        program = program_for(resolve(spec), {})
        assert program.floats
        costs.append(program.cost.nanoseconds(1))
    assert costs[1] > 50 * costs[0]


TRACED: dict[str, Callable[[Program, Control], Any]] = {
    "gradient": lambda program, control: gradient(program, {}, control=control),
    "jacobian": lambda program, control: derivatives.jacobian(program, {}, control=control),
    "hessian": lambda program, control: derivatives.hessian(program, {}, control=control),
    "hvp": lambda program, control: derivatives.hvp(
        program, {}, {"x": np.ones(3)}, control=control
    ),
    "jvp": lambda program, control: derivatives.jvp(
        program, {}, {"x": np.ones(3)}, control=control
    ),
    "vjp": lambda program, control: derivatives.vjp(
        program, {}, {"f": np.ones(4)}, batch=True, control=control
    ),
    "gradient graph": lambda program, control: gradient_graph(program, control=control),
}


@pytest.mark.parametrize("way", TRACED)
def test_one_gate_of_many_inputs_looks_at_the_clock_often(way: str) -> None:
    """It is stopped at the fifth look, long before it is done."""
    program = many(REGISTRY["maximum"], 2000)
    with pytest.raises(Cancelled):
        TRACED[way](program, Stopping(5))


def test_the_limit_of_derived_nodes_stops_a_high_order_on_the_way() -> None:
    limits = Limits(derived_nodes=2_000)
    spec = GraphSpec(
        ["x", "y", "p", "t", "e", "q", "f"],
        ["input", "input", "multiply", "tanh", "exp", "divide", "multiply"],
        [(), (), ["x", "y"], ["p"], ["x"], ["e", "y"], ["t", "q"]],
    )
    spec.leaves |= {0: Leaf("input", 1.0), 1: Leaf("input", 2.0)}
    program = program_for(resolve(spec), {}, limits=limits)
    looks = Stopping(10_000)
    with pytest.raises(LimitExceeded, match="derived_nodes"):
        gradient_graph(program, order=8, control=looks)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("inputs", [3, 16, 17, 100])
def test_a_wide_gate_on_floats_does_what_it_does_on_arrays(inputs: int, ties: str) -> None:
    names = [f"x{i}" for i in range(inputs)]
    spec = GraphSpec([*names, "y"], ["input"] * inputs + ["maximum"], [()] * inputs + [names])
    spec.leaves = {i: Leaf("input", float(i % 3)) for i in range(inputs)}
    spec.attrs[inputs] = {"ties": ties}
    program = program_for(resolve(spec), {})
    assert program.floats
    on_arrays = derivatives.vjp(program, {}, {"y": 1.0}).gradients
    assert gradient(program, {}).gradients == {name: float(g) for name, g in on_arrays.items()}


def test_a_cumulative_product_has_a_gradient_in_linear_memory() -> None:
    """It took a matrix of every place by every other one, which no limit saw."""
    size = 20_000
    spec = GraphSpec(["x", "y", "f"], ["input", "cumulative_prod", "sum"], [(), ["x"], ["y"]])
    spec.leaves[0] = Leaf("input", np.ones(size), (size,))
    program = program_for(resolve(spec), {})
    tracemalloc.start()
    try:
        slopes = gradient(program, {}).gradients["x"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * 8 * size
    np.testing.assert_array_equal(slopes, np.arange(size, 0, -1))


def test_slopes_of_a_cumulative_product_are_right_where_factors_are_zero() -> None:
    x = np.array([2.0, 0.0, -3.0, 0.0, 0.5])
    spec = GraphSpec(["x", "y"], ["input", "cumulative_prod"], [(), ["x"]])
    spec.leaves[0] = Leaf("input", x, (5,))
    slopes = derivatives.jacobian(program_for(resolve(spec), {}), {}).jacobian["y"]["x"]
    expected = [
        [math.prod(np.delete(x[: i + 1], k)) if k <= i else 0.0 for k in range(5)] for i in range(5)
    ]
    np.testing.assert_array_equal(slopes, expected)
