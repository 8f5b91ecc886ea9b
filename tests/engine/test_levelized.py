"""A wide graph run level by level gives what the plain loop gives."""

from __future__ import annotations

import random

import numpy as np
import pytest

from service.engine.compute import float_leaves, forward, gradient
from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.program import program_for
from service.engine.run import choose, floats, levelized, native

GATES = {"add": 2, "mul": 2, "sub": 2, "maximum": 2, "div": 2, "tanh": 1, "sin": 1, "neg": 1}


def wide(count: int, seed: int = 0, reach: int | None = None) -> Graph:
    """A random graph of `count` nodes that read from all earlier ones, or the last `reach`."""
    rng = random.Random(seed)
    ids = ["x0", "x1", "x2"]
    spec = GraphSpec(
        ids, ["input"] * 3, [()] * 3, {}, {i: Leaf("input", rng.uniform(0.5, 1)) for i in range(3)}
    )
    while len(ids) < count:
        op = rng.choice(list(GATES))
        low = 0 if reach is None else max(0, len(ids) - reach)
        inputs: list[str | float] = [ids[rng.randrange(low, len(ids))] for _ in range(GATES[op])]
        if rng.random() < 0.1:
            inputs[-1] = rng.choice([0.5, 2.0, -1.5])
        spec.ops.append(op)
        spec.inputs.append(inputs)
        ids.append(f"n{len(ids)}")
    spec.output = ids[-1]
    return resolve(spec)


@pytest.fixture(autouse=True)
def _without_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "installed", lambda: False)


def test_values_and_gradients_agree_with_the_plain_loop() -> None:
    graph = wide(10_500)
    assert type(choose.plan_of(graph)) is levelized.Plan
    program = program_for(graph, {})
    assert program.floats
    v = floats.forward(graph, float_leaves(program, {}))
    found = forward(program, {})
    assert found.values is not None
    np.testing.assert_allclose(list(found.values.values()), v[: len(graph)], rtol=1e-9)
    for output in graph.ids[-20:]:
        position = graph.index[output]
        grads = floats.backward(graph, v, [(position, 1.0)])
        expected = [0.0 if g is None else g for g in grads[: len(graph)]]
        mine = gradient(program, {}, output=output, node_gradients=True)
        assert mine.node_gradients is not None
        np.testing.assert_allclose(
            list(mine.node_gradients.values()), expected, rtol=1e-7, atol=1e-12
        )
        assert list(mine.gradients.values()) == pytest.approx(expected[:3], rel=1e-7)


def test_only_graphs_with_enough_nodes_in_a_group_go_by_levels() -> None:
    assert type(choose.plan_of(wide(400))) is floats.Loops
    assert type(choose.plan_of(wide(10_100, reach=8))) is floats.Loops


def test_a_second_run_gives_the_same_bits() -> None:
    program = program_for(wide(10_500, seed=3), {})
    assert repr(gradient(program, {})) == repr(gradient(program, {}))


def test_chain_of_100_000_nodes() -> None:
    n = 100_000
    ids = ["x", *(f"n{i}" for i in range(n))]
    spec = GraphSpec(
        ids, ["input"] + ["add"] * n, [(), *([a, 0.5] for a in ids[:-1])], {},
        {0: Leaf("input", 1.0)}, ids[-1],
    )  # fmt: skip
    found = gradient(program_for(resolve(spec), {}), {}, values=False)
    assert (found.value, found.gradients) == (1.0 + n * 0.5, {"x": 1.0})


@pytest.mark.parametrize("order", [1, -1])
def test_fan_out_of_100_000(order: int) -> None:
    """One wire to many gates, in either order of the document; all their gradients add."""
    n = 100_000
    gates: list[tuple[str, str, list[str | float]]] = [
        (f"n{i}", "mul", ["x", 2.0]) for i in range(n)
    ]
    sums = [("s0", "add", ["n0", "n1"])]
    sums += [(f"s{i}", "add", [f"s{i - 1}", f"n{i + 1}"]) for i in range(1, n - 1)]
    nodes = [*gates, *sums][::order]  # type: ignore[list-item]
    spec = GraphSpec(
        ["x", *(name for name, _, _ in nodes)],
        ["input", *(op for _, op, _ in nodes)],
        [(), *(inputs for _, _, inputs in nodes)],
        {},
        {0: Leaf("input", 3.0)},
        f"s{n - 2}",
    )
    found = gradient(program_for(resolve(spec), {}), {}, values=False)
    assert (found.value, found.gradients) == (6.0 * n, {"x": 2.0 * n})
