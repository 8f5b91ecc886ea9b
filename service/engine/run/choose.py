"""Which way a program runs: by the graph and by what is installed, never by load or history.

`python -m tests.benchmarks.sweep` measures again what the thresholds say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from service.engine.code import Code
from service.engine.graph import Graph
from service.engine.run import compiled, levelized, native, tensors
from service.engine.run.floats import Loops
from service.engine.run.numbers import NumbersPlan
from service.engine.run.tensors import TensorPlan

LEAST_COMPILED = 64
"""Nodes from which on the compiled loop is quicker than generated code, its call included."""
LEAST_LEVELIZED = 500
"""Nodes from which on a graph may go level by level."""

LEAST_STEPS, MOST_ELEMENTS = 8, 4_000
"""Steps from which on, and elements a step up to which, the compiled rows repay themselves."""


def plan_of(graph: Graph) -> NumbersPlan:
    """How a graph of numbers runs; worked out once."""
    if graph.plan is None:
        graph.plan = _chosen(graph)
    plan: NumbersPlan = graph.plan
    return plan


def _chosen(graph: Graph) -> NumbersPlan:
    count = len(graph.order)
    found: NumbersPlan | None = None
    if count >= LEAST_COMPILED and native.installed():
        found = compiled.plan_of(graph)
    if found is None and count >= LEAST_LEVELIZED:
        found = levelized.plan_of(graph)
    return found or Loops(graph)


def tensor_plan(code: Code) -> TensorPlan | None:
    """The compiled way of code on tensors; None where arrays are quicker or alone can do it.

    Worked out once.
    """
    if code.rows is None:
        code.rows = _tensor_plan(code) or False
    plan: TensorPlan | Literal[False] = code.rows
    return plan or None


def _tensor_plan(code: Code) -> TensorPlan | None:
    count = len(code.steps)
    if not native.installed() or count < LEAST_STEPS:
        return None
    if sum(step.spec.size for step in code.steps) > MOST_ELEMENTS * count:
        return None
    return tensors.plan_of(code)


def prepare(cache: Path | None = None) -> None:
    """Load or compile what is not there by import, so that no request waits for it.

    Compiled loops are kept in the folder `cache`.
    """
    if native.installed():
        if cache is not None:
            native.cache_folder = cache
        compiled.prepare()
