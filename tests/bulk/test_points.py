"""Values and gradients block by block: the bytes of the whole."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from service.bulk.blocks import Pool, run_blocks
from service.bulk.local import Processes, ThisProcess
from service.bulk.points import PointsJob, compute_block, joined, plan, resolved, split
from service.engine.errors import GraphError
from service.engine.run.batch import Reduction, batch, batch_gradient

STAGED = """sigy = 1.0 / (1 + exp(-y))
num = x + sigy
sigx = 1.0 / (1 + exp(-x))
xpysqr = (x + y)**2
den = sigx + xpysqr
f = num / den"""
LAYER = "mean((tanh(W @ x + b) - y) ** 2)"


def job(source: str, **members: Any) -> PointsJob:
    return PointsJob(json.dumps({"expression": source}).encode(), **members)


def computed(asked: PointsJob, points: Any, length: int, pool: Pool) -> Any:
    blocks = split(points, length)
    return joined(list(run_blocks(compute_block, asked, blocks, pool)), asked.reduce)


def test_a_million_points_in_blocks_are_the_bytes_of_one_computation() -> None:
    rng = np.random.default_rng(231)
    points = {"x": rng.normal(size=1_000_000), "y": rng.normal(size=1_000_000)}
    asked = job(STAGED)
    made = computed(asked, points, plan(asked, points).length, ThisProcess())
    graph = resolved(asked.graph, asked.limits)
    whole = batch_gradient(batch(graph, points, True), values=False)
    assert made.points == 1_000_000
    assert made.value.tobytes() == whole.value.tobytes()
    for name in "xy":
        assert made.gradients[name].tobytes() == whole.gradients[name].tobytes()


@pytest.mark.parametrize("reduce", ["none", "sum", "mean"])
def test_processes_give_the_bytes_of_one_process(reduce: Reduction) -> None:
    rng = np.random.default_rng(1)
    shared = {"W": rng.normal(size=(4, 3)), "b": rng.normal(size=4)}
    points = {"x": rng.normal(size=(1000, 3)), "y": rng.normal(size=(1000, 4))}
    asked = job(LAYER, shared=shared, reduce=reduce)
    one = computed(asked, points, 128, ThisProcess())
    two = computed(asked, points, 128, Processes(2))
    assert one.value.tobytes() == two.value.tobytes()
    assert one.gradients.keys() == {"W", "x", "b", "y"}
    for name, gradient in one.gradients.items():
        assert gradient.tobytes() == two.gradients[name].tobytes()
    graph = resolved(asked.graph, asked.limits)
    whole = batch_gradient(batch(graph, {**shared, **points}, ["x", "y"]), reduce=reduce)
    for name, gradient in one.gradients.items():
        np.testing.assert_allclose(gradient, whole.gradients[name], rtol=1e-12, atol=1e-15)
        assert gradient.shape == whole.gradients[name].shape


def test_the_length_of_blocks_knows_nothing_of_workers_and_keeps_results_small() -> None:
    points = {"x": np.zeros((10, 3)), "y": np.zeros((10, 4))}
    wide = {"x": np.zeros((10, 100_000)), "y": np.zeros((10, 4))}
    asked = job(LAYER, shared={"W": np.zeros((4, 3)), "b": np.zeros(4)})
    assert plan(asked, points).length == 65_536
    broad = job(LAYER, shared={"W": np.zeros((4, 100_000)), "b": np.zeros(4)})
    assert plan(broad, wide).length < 20


def test_what_is_wrong_with_the_graph_is_told_before_anything_starts() -> None:
    with pytest.raises(GraphError, match="inner dimensions"):
        plan(job("W @ x"), {"W": np.zeros((5, 2, 3)), "x": np.zeros((5, 4))})
    with pytest.raises(GraphError):
        plan(job("x +"), {"x": np.zeros(5)})
