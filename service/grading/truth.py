"""The truth of a task: computed once, then held against any number of submissions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from service.engine.control import DEFAULT_LIMITS, Control, Limits
from service.engine.errors import EngineError, Fault, GraphError
from service.engine.program import program_for
from service.grading.circuit import Circuit, Pass, Point, compute_point
from service.grading.task import Task

Tensor = Any
EXTRA_POINTS = 2
_ATTEMPTS = 5


class Truth:
    """Values and gradients of a task at its points, and the circuit that they come from.

    `derived` holds what a diagnosis worked out for the next one.

    Raises GraphError where the task can't be graded: its graph or inputs are wrong, its
    rubric names wires that have no gradient.
    """

    def __init__(
        self, task: Task, limits: Limits = DEFAULT_LIMITS, control: Control | None = None
    ) -> None:
        self.task = task
        self.derived: dict[str, Any] = {}
        self.limits = limits
        self.circuit = _circuit(task, task.inputs, limits)
        self.points: list[Point] = []
        for number, inputs in enumerate((task.inputs, *task.more)):
            if number and _circuit(task, inputs, limits).specs != self.circuit.specs:
                raise _refused("shape_mismatch", "all points must have the same shapes", "#/more")
            point = compute_point(self.circuit, inputs, control)
            point.judge_by(task.tolerance)
            self.points.append(point)
        self.points_for = self._rubric(task.rubric.points, "points")
        self.value_points = self._value_rubric()

    def _rubric(self, wanted: Mapping[str, float] | None, member: str) -> dict[str, float]:
        """Points by wire, in document order of the rubric."""
        if wanted is None:
            parts = self.right[0].parts
            reached = [wire for wire in self.circuit.inputs if parts[wire]]
            return dict.fromkeys(reached or self.circuit.inputs, 1.0)
        found = {}
        for name, points in wanted.items():
            wire = self.wire(name)
            if wire is None or wire not in self.points[0].gradients:
                known = name in self.circuit.program.graph.index
                what = "has no gradient" if known else "is no node of the graph"
                code = "not_differentiable" if known else "unknown_node"
                place = f"#/rubric/{member}/{name[:64]}"
                raise _refused(code, f"the rubric's '{name[:64]}' {what}", place)
            found[wire] = float(points)
        return found

    def _value_rubric(self) -> dict[str, float]:
        found = {}
        for name, points in self.task.rubric.value_points.items():
            wire = self.wire(name)
            if wire is None:
                place = f"#/rubric/value_points/{name[:64]}"
                detail = f"the rubric's '{name[:64]}' is no node of the graph"
                raise _refused("unknown_node", detail, place)
            found[wire] = float(points)
        return found

    def wire(self, name: str) -> str | None:
        """The wire that a node's name stands for: `s` is `s.0` where a node has several."""
        if name in self.points[0].values:
            return name
        first = f"{name}.0"
        return first if first in self.points[0].values else None

    @cached_property
    def right(self) -> list[Pass]:
        """The correct pass at each point of the task."""
        return [Pass(self.circuit, point.values, {}) for point in self.points]

    @cached_property
    def sound(self) -> list[Pass]:
        """The correct pass at each point, with every operator in steps."""
        circuit = self.circuit.expanded
        if circuit is self.circuit:
            return self.right
        return [Pass(circuit, point.values, {}) for point in self.points]

    @property
    def max_score(self) -> float:
        return sum(self.points_for.values()) + sum(self.value_points.values())

    @cached_property
    def further(self) -> list[Pass]:
        """The passes of `extra`, with every operator in steps."""
        circuit = self.circuit.expanded
        if circuit is self.circuit:
            return self.extra
        return [Pass(circuit, done.values, {}) for done in self.extra]

    @cached_property
    def extra(self) -> list[Pass]:
        """Correct passes at seeded points near the task's own, where mistakes part ways.

        Each floating input is multiplied by a number from 0.6 to 1.4 and moved a little;
        a point where something stops being finite is drawn again, nearer.
        """
        found: list[Pass] = []
        rng = np.random.default_rng([self.task.seed, 20_107])
        for _ in range(EXTRA_POINTS):
            spread = 1.0
            for _ in range(_ATTEMPTS):
                inputs = {
                    name: _moved(value, rng, spread) for name, value in self._inputs().items()
                }
                spread /= 2
                try:
                    point = compute_point(self.circuit, inputs)
                except (EngineError, ValueError):
                    continue
                if all(bool(np.all(np.isfinite(g))) for g in point.gradients.values()):
                    found.append(Pass(self.circuit, point.values, {}))
                    break
        return found

    def _inputs(self) -> dict[str, Tensor]:
        return {
            name: self.task.inputs.get(name, leaf.value)
            for name, leaf in self.task.graph.inputs.items()
        }


def _circuit(task: Task, inputs: Mapping[str, Tensor], limits: Limits) -> Circuit:
    program = program_for(task.graph, inputs, "float64", limits)
    return Circuit(program, task.output, task.cotangent)


def _moved(value: Tensor, rng: np.random.Generator, spread: float) -> Tensor:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return value
    top = float(np.max(np.abs(array), initial=0.0)) or 1.0
    factor = 1.0 + 0.4 * spread * rng.uniform(-1.0, 1.0, array.shape)
    shift = 0.02 * spread * top * rng.normal(size=array.shape)
    moved = array * factor + np.where(np.abs(array) > 0.1 * top, 0.0, shift)
    return float(moved) if isinstance(value, float) else moved


def _refused(code: str, detail: str, pointer: str) -> GraphError:
    return GraphError([Fault(code, detail, pointer=pointer)])
