"""Wrong backward passes as people write them: from questions that were asked in public, from
bug reports, and from the forums of courses, told anew in small circuits.

A circuit is spelled in stages, and (where there are any) with the operators that do the same.
Its right backward pass is NumPy in which `dx` is the gradient of `x`. A slip replaces a piece
of that pass, and says which codes a teacher would accept as the first thing said about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.grading.task import Rubric, Task
from service.grading.truth import Truth

Slip = tuple[str, str, str, str]
"""What was done, the piece of the right pass, what stands there instead, accepted codes."""


@dataclass(frozen=True)
class Circuit:
    """A circuit with its right backward pass, and what people wrote in its place."""

    name: str
    staged: str
    draw: Callable[[np.random.Generator], dict[str, Any]]
    backward: str
    slips: tuple[Slip, ...]
    operators: str = ""

    @property
    def spellings(self) -> dict[str, str]:
        """The source texts by what they are called."""
        found = {"staged": self.staged}
        return {**found, "operators": self.operators} if self.operators else found

    def inputs(self) -> dict[str, Any]:
        return self.draw(np.random.default_rng(5))


@dataclass(frozen=True)
class Case:
    """One submission: a circuit in a spelling, with one slip, and how much was handed in."""

    circuit: Circuit
    spelling: str
    slip: Slip
    scope: str

    def __str__(self) -> str:
        return f"{self.circuit.name} ({self.spelling}, {self.scope}): {self.slip[0]}"

    @property
    def accepted(self) -> frozenset[str]:
        return frozenset(self.slip[3].split())


def truth_of(circuit: Circuit, spelling: str, scope: str) -> Truth:
    """The task: gradients of the inputs alone, or of everything that the pass computes."""
    graph = resolve(parse_expression(circuit.spellings[spelling]))
    inputs = circuit.inputs()
    names = [n for n in gradients(circuit) if scope == "all" or n in inputs]
    wires = Truth(Task(graph, inputs)).points[0].gradients
    points = {name: 1.0 for name in names if name in wires}
    return Truth(Task(graph, inputs, rubric=Rubric(points=points)))


def gradients(circuit: Circuit, slip: Slip | None = None) -> dict[str, Any]:
    """What the pass computes, by the name of the wire."""
    code = circuit.backward
    if slip is not None:
        assert slip[1] in code, f"{circuit.name}: {slip[0]}"
        code = code.replace(slip[1], slip[2])
    space: dict[str, Any] = {"np": np, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
    space |= {name: np.array(value) for name, value in circuit.inputs().items()}
    exec(code, space)
    return {
        name[1:]: space[name]
        for name in space
        if name.startswith("d") and len(name) > 1 and np.asarray(space[name]).dtype.kind == "f"
    }


def document(case: Case, truth: Truth) -> dict[str, Any]:
    """The submission as JSON has it."""
    found = gradients(case.circuit, case.slip)
    return {
        "gradients": {
            name: np.asarray(found[name]).tolist() for name in truth.points_for if name in found
        }
    }


def cases() -> Iterator[Case]:
    """Every slip in every spelling: staged with all that was computed, operators with inputs."""
    for circuit in circuits():
        for slip in circuit.slips:
            yield Case(circuit, "staged", slip, "all")
            yield Case(circuit, "operators" if circuit.operators else "staged", slip, "inputs")


def circuits() -> list[Circuit]:
    """All circuits."""
    from tests.grading.corpus import dense, images, losses, norms, scalars, sequences

    return [
        circuit
        for module in (scalars, dense, losses, norms, images, sequences)
        for circuit in module.CIRCUITS
    ]
