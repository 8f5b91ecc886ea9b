"""Planned blocks: results that are no step's own, few buffers, threads, forks."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from service.engine.control import Control
from service.engine.errors import Cancelled
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for
from service.engine.run import tiled
from service.engine.run.batch import Batch, batch, batch_gradient

RNG = np.random.default_rng(5)


def points(text: str, size: int, *names: str) -> Batch:
    inputs = {name: RNG.uniform(0.5, 1.5, size) for name in names}
    return batch(resolve(parse_expression(text)), inputs, True)


def test_results_that_are_leaves_literals_or_one_another() -> None:
    given = points("a = x\nf = a + y", 50, "x", "y")
    found = batch_gradient(given)
    assert found.values is not None
    np.testing.assert_array_equal(found.values["x"], given.inputs["x"])
    np.testing.assert_array_equal(found.values["a"], given.inputs["x"])
    np.testing.assert_array_equal(found.gradients["x"], np.ones(50))
    np.testing.assert_array_equal(found.gradients["y"], np.ones(50))
    np.testing.assert_array_equal(found.value, found.values["f"])


def test_chain_needs_few_buffers_however_long() -> None:
    lines = ["n0 = sin(x)", *(f"n{i} = sin(n{i - 1}) * 0.5" for i in range(1, 60))]
    program = program_for(resolve(parse_expression("\n".join(lines))), {"x": 1.0})
    planned = tiled.plan(program, "n59", [], 1.0, [])
    assert len(planned.calls) == 119
    assert planned.buffers == 1


@pytest.mark.parametrize("size", [1, tiled.BLOCK, tiled.BLOCK + 1, 5 * tiled.BLOCK + 7, 300_001])
def test_every_point_is_there(size: int) -> None:
    given = points("f = exp(x) * y", size, "x", "y")
    found = batch_gradient(given, values=False)
    expected = np.exp(given.inputs["x"])
    np.testing.assert_array_equal(found.gradients["y"], expected)
    np.testing.assert_array_equal(found.value, expected * given.inputs["y"])


def test_many_points_stop_when_nobody_waits() -> None:
    control = Control()
    control.cancel()
    with pytest.raises(Cancelled):
        batch_gradient(points("f = x * x", 4 * tiled.BLOCK, "x"), control=control)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_process_has_threads_of_its_own() -> None:
    given = points("f = x * x", 4 * tiled.BLOCK, "x")
    batch_gradient(given)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if batch_gradient(given).value.size == 4 * tiled.BLOCK else 1)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(status) == 0
