"""What is known at one edge, or at one wire: all that a mistake is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.engine.errors import OperatorError, Shape
from service.engine.gate import Gate, Refused
from service.engine.namespaces import ARRAYS
from service.engine.registry import TensorSpec
from service.engine.run.backward import unbroadcast
from service.grading.circuit import Circuit, Edge, Pass

Tensor = Any


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong term, or a wrong gradient; `variant` tells those of one code apart.

    `value` may have a shape that is not the wire's. `detail` says what was done, as a
    formula.
    """

    code: str
    variant: str
    value: Tensor
    detail: str = ""


@dataclass(slots=True)
class EdgeFacts:
    """One gate, one of its inputs, and what it truly sends back there (`part`)."""

    done: Pass
    gate: Gate
    index: int
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    upstream: Sequence[Tensor | None]
    part: Tensor

    @property
    def circuit(self) -> Circuit:
        return self.done.circuit

    @property
    def op(self) -> str:
        return self.gate.op.name

    @property
    def x(self) -> Tensor:
        """The value of the wire that the edge comes from."""
        return self.inputs[self.index]

    @property
    def y(self) -> Tensor:
        return self.outputs[0]

    @property
    def g(self) -> Tensor:
        """The upstream gradient; zeros where no path leads on from the first output."""
        first = self.upstream[0]
        return np.zeros(np.shape(self.y)) if first is None else first

    @property
    def other(self) -> Tensor:
        """The other input of a gate of two."""
        return self.inputs[1 - self.index]

    @property
    def shape(self) -> Shape:
        return np.shape(self.x)

    def fit(self, value: Tensor) -> Tensor | None:
        """`value` summed or repeated to the input's shape, as an accumulator does; or None."""
        try:
            return unbroadcast(ARRAYS, np.asarray(value, np.float64)[()], TensorSpec(self.shape))
        except (OperatorError, ValueError):
            return None

    def pull(
        self,
        *,
        upstream: Sequence[Tensor | None] | None = None,
        inputs: Sequence[Tensor] | None = None,
        outputs: Sequence[Tensor] | None = None,
        index: int | None = None,
        raw: bool = False,
    ) -> Tensor | None:
        """The gate's own rule with other facts put in; None where it can't take them."""
        index = self.index if index is None else index
        try:
            found = self.gate.pull(
                self.upstream if upstream is None else upstream,
                self.inputs if inputs is None else inputs,
                self.outputs if outputs is None else outputs,
                [index],
                raw=raw,
            )
        except Refused:
            return None
        return found.get(index)


@dataclass(slots=True)
class WireFacts:
    """One wire, the terms of its gradient edge by edge, their sum, and the true gradient."""

    done: Pass
    wire: str
    x: Tensor
    parts: Mapping[Edge, Tensor]
    total: Tensor
    truth: Tensor

    @property
    def circuit(self) -> Circuit:
        return self.done.circuit

    def gate(self, edge: Edge) -> Gate:
        return self.circuit.gates[edge[0]]

    def sum(self, edges: Sequence[Edge]) -> Tensor:
        """The terms of these edges added up."""
        total: Tensor = 0.0
        for edge in edges:
            total = total + self.parts[edge]
        return total


def edge_facts(
    done: Pass, edge: Edge, part: Tensor, upstream: Sequence[Tensor | None] | None = None
) -> EdgeFacts:
    """The facts of one edge in a backward pass, or with another `upstream` gradient."""
    gate = done.circuit.gates[edge[0]]
    return EdgeFacts(
        done,
        gate,
        edge[1],
        done.inputs_of(gate),
        done.outputs_of(gate),
        done.upstream_of(gate) if upstream is None else upstream,
        part,
    )


def wire_facts(done: Pass, wire: str, truth: Tensor) -> WireFacts:
    """The facts of one wire in a backward pass."""
    return WireFacts(
        done,
        wire,
        done.values[wire],
        done.parts.get(wire, {}),
        done.expected[wire],
        truth,
    )
