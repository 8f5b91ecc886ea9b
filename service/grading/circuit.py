"""A task's graph as gates and wires, with values and gradients at one point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from service.engine.compute import checked_cotangent, chosen_output, gradient
from service.engine.control import Control
from service.engine.errors import Shape
from service.engine.expression.pieces import pieces
from service.engine.gate import Gate, gate_at, output_names
from service.engine.program import Program
from service.engine.registry import TensorSpec
from service.grading.tolerance import Near, Tolerance

Tensor = Any
Edge = tuple[int, int]
"""The gate that reads, and the index of its input."""


_WHOLE = {"conv", "max_pool", "average_pool"}
"""Operators that people do not take apart into steps."""


class Circuit:
    """Gates in evaluation order, and for every wire the edges that read it.

    A wire is one output of a node. `wires` lists those that can have a gradient, inputs
    first, in evaluation order; `readers` has the edges that lead to the output.
    """

    def __init__(
        self,
        program: Program,
        output: str | None,
        cotangent: Tensor | None,
        expanded: bool = False,
    ) -> None:
        """With `expanded`, an operator made of others is its steps, with wires of their own.

        `owner` names the node whose step such a wire is.
        """
        graph = program.graph
        self.program = program
        self.output = chosen_output(program, output)
        self.seed = np.asarray(checked_cotangent(program, self.output, cotangent), np.float64)[()]
        if self.output not in program.code.names or self.output in graph.index:
            self.output = output_names(program, graph.index[self.output])[0]
        self.gates: list[Gate] = []
        self.maker: dict[str, int] = {}
        self.specs: dict[str, TensorSpec] = {}
        self.inputs: list[str] = []
        self.owner: dict[str, str] = {}
        self.blocks: dict[str, Any] = {}
        for position in sorted(graph.leaves):
            name = graph.ids[position]
            self.specs[name] = program.spec(name)
            if graph.leaves[position].kind == "input" and self.specs[name].floating:
                self.inputs.append(name)
        if expanded:
            self._add_steps()
        else:
            for position in graph.order:
                self._add(position)
        self._join()

    def _add_steps(self) -> None:
        """A gate for every step of the program's straight-line code."""
        graph, steps = self.program.graph, self.program.code.steps
        names = [step.name for step in steps]
        following = ""
        owners = [following := name or following for name in reversed(names)][::-1]
        wires = [name or f"{owners[slot]}#{slot}" for slot, name in enumerate(names)]
        for slot, step in enumerate(steps):
            position = graph.index.get(owners[slot])
            if position is None or step.leaf:
                continue
            if graph.operator(position).name in _WHOLE:
                if step.name is not None:
                    self._add(position)
                continue
            read = [(steps[s], wires[s]) for s in step.inputs]
            sources = [w if s.name or not s.leaf else None for s, w in read]
            literals = [s.value if s.leaf and not s.name else None for s, _ in read]
            outputs = (wires[slot],)
            specs = [s.spec for s, _ in read]
            if step.name is None:
                self.owner[wires[slot]] = owners[slot]
            gate = Gate(owners[slot], step.operator, step.attrs, sources, literals, outputs, specs)
            self.maker[wires[slot]] = len(self.gates)
            self.specs[wires[slot]] = step.spec
            self.gates.append(gate)

    @cached_property
    def expanded(self) -> Circuit:
        """The same circuit with every operator in steps; itself where that changes nothing.

        Operators of several outputs stay what they are.
        """
        if any(len(gate.outputs) > 1 for gate in self.gates):
            return self
        if not any(gate.op.composite and gate.op.name not in _WHOLE for gate in self.gates):
            return self
        return Circuit(self.program, self.output, self.seed, expanded=True)

    def complete(self, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`values` with those of the steps that have no name. Blocks for a forward pass."""
        if not self.owner:
            return values
        if self.gates and all(wire in values for wire in self.owner):
            return values
        whole = dict(values)
        with np.errstate(all="ignore"):
            for gate in self.gates:
                if gate.outputs[0] not in whole:
                    read = [
                        literal if source is None else whole[source]
                        for source, literal in zip(gate.sources, gate.literals, strict=True)
                    ]
                    whole.update(zip(gate.outputs, gate.evaluate(read), strict=True))
        return whole

    def label(self, wire: str) -> str:
        """The name by which people know a wire: an unnamed step goes by its piece of text."""
        return self._pieces.get(wire) or self.program.graph.label(wire)

    @cached_property
    def _pieces(self) -> dict[str, str]:
        return pieces(self.program.graph)

    @cached_property
    def shown_at(self) -> dict[str, str]:
        """The wire with a name whose gradient a wire without one is a step of."""
        found: dict[str, str] = {}
        for gate in self.gates:
            wire = gate.outputs[0]
            if wire in self.owner:
                read = [s for s in gate.sources if s in self.readers]
                found[wire] = next((found.get(s, s) for s in read if s is not None), wire)
        return found

    def _add(self, position: int) -> None:
        gate = gate_at(self.program, position)
        for wire in gate.outputs:
            self.maker[wire] = len(self.gates)
            self.specs[wire] = self.program.spec(wire)
        self.gates.append(gate)

    def _join(self) -> None:
        """Find the edges that gradients flow along: from an input to the output."""
        reached = set(self.inputs)
        carrying: list[list[int]] = []
        for gate in self.gates:
            indices = [
                index
                for index, source in enumerate(gate.sources)
                if source in reached and gate.op.differentiable and _has_rule(gate, index)
            ]
            carrying.append(indices)
            if indices:
                reached.update(wire for wire in gate.outputs if self.specs[wire].floating)
        useful = {self.output}
        for number in range(len(self.gates) - 1, -1, -1):
            gate = self.gates[number]
            if not useful.isdisjoint(gate.outputs):
                useful.update(s for i in carrying[number] if (s := gate.sources[i]) is not None)
            else:
                carrying[number] = []
        self.carrying = carrying
        self.readers: dict[str, list[Edge]] = {}
        for wire in self.specs:
            if wire in self.inputs or (wire in reached and wire in self.maker):
                self.readers[wire] = []
        for number, indices in enumerate(carrying):
            for index in indices:
                source = self.gates[number].sources[index]
                if source in self.readers:
                    self.readers[source].append((number, index))
        self.wires = [*self.inputs, *(w for w in self.readers if w in self.maker)]
        self.named = [wire for wire in self.wires if wire not in self.owner]

    def shape(self, wire: str) -> Shape:
        return self.specs[wire].shape

    @cached_property
    def constants(self) -> tuple[float, ...]:
        """The scalar numbers that stand in the graph: literals and scalar constants."""
        graph = self.program.graph
        found = {
            float(literal)
            for gate in self.gates
            for literal in gate.literals
            if literal is not None
            and np.ndim(literal) == 0
            and np.asarray(literal).dtype.kind == "f"
        }
        for leaf in graph.leaves.values():
            if leaf.value is not None and np.ndim(leaf.value) == 0:
                found.add(float(leaf.value))
        return tuple(sorted(one for one in found if np.isfinite(one) and one != 0.0))

    @cached_property
    def penalised(self) -> frozenset[str]:
        """The inputs that a weight penalty squares."""
        found = set()
        for gate in self.gates:
            name, sources = gate.op.name, gate.sources
            squares = name == "square" or (name == "multiply" and sources[0] == sources[1])
            if name == "pow":
                squares = gate.literals[1] is not None and bool(np.all(gate.literals[1] == 2.0))
            if squares and sources[0] in self.inputs:
                found.add(str(sources[0]))
        return frozenset(found)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The different lengths above 1 of the axes of all tensors, at most eight of them."""
        found = {n for spec in self.specs.values() for n in spec.shape if n > 1}
        return tuple(sorted(found)[:8])


def _has_rule(gate: Gate, index: int) -> bool:
    if gate.op.composite:
        return gate.specs[index].floating
    return gate.op.rule(index) is not None and gate.specs[index].floating


@dataclass(slots=True)
class Point:
    """The truth at one point: values of all wires, gradients of those that have one.

    `noise` is the difference that arithmetic alone may make to any of the gradients. `near`
    has for each wire the test whether a gradient counts as the true one.
    """

    inputs: Mapping[str, Tensor]
    values: dict[str, Tensor]
    gradients: dict[str, Tensor]
    noise: float = 0.0
    near: dict[str, Near] = field(default_factory=dict)

    def judge_by(self, tolerance: Tolerance) -> None:
        """Make `noise` and `near` those of a tolerance."""
        tops = [float(np.max(np.abs(g), initial=0.0)) for g in self.gradients.values()]
        self.noise = tolerance.noise(max((top for top in tops if np.isfinite(top)), default=0.0))
        self.near = {w: Near(tolerance, g, self.noise) for w, g in self.gradients.items()}


def compute_point(
    circuit: Circuit, inputs: Mapping[str, Tensor], control: Control | None = None
) -> Point:
    """Values and gradients at `inputs`. Raises what `compute.gradient` raises."""
    program = circuit.program
    found = gradient(
        program,
        inputs,
        output=circuit.output,
        cotangent=circuit.seed,
        node_gradients=True,
        control=control,
    )
    values = {
        name: _array(value, circuit.specs.get(name)) for name, value in (found.values or {}).items()
    }
    gradients = {}
    for wire in circuit.wires:
        g = (found.node_gradients or {}).get(wire)
        gradients[wire] = np.zeros(circuit.shape(wire)) if g is None else np.asarray(g, np.float64)
    gradients[circuit.output] = np.asarray(circuit.seed, np.float64)
    return Point(inputs, values, {wire: g[()] for wire, g in gradients.items()})


def _array(value: Tensor, spec: TensorSpec | None) -> Tensor:
    kind = "float64" if spec is None or spec.floating else spec.dtype
    return np.asarray(value, kind)[()]


class Pass:
    """A backward pass that goes on from what was submitted, wherever something was.

    `held` is the gradient that is passed on at a wire: the submitted one where it can be
    used, else the one that follows. `expected` is the one that follows from the gradients
    downstream; `parts` its terms, edge by edge.
    """

    def __init__(
        self,
        circuit: Circuit,
        values: Mapping[str, Tensor],
        submitted: Mapping[str, Tensor],
        base: Pass | None = None,
        plus: Mapping[str, Tensor] | None = None,
    ) -> None:
        """With `base`, a pass of the same values, gates that are given the very same gradients
        as there are not run again. `plus` is what is in a gradient before the pass begins."""
        self.circuit = circuit
        self.values = circuit.complete(values)
        self.submitted = submitted
        self.tables: dict[str, Any] = {}
        self._plus = plus or {}
        self._base = base if base is not None and base.values is self.values else None
        self.expected: dict[str, Tensor] = {}
        self.held: dict[str, Tensor] = {}
        self.parts: dict[str, dict[Edge, Tensor]] = {wire: {} for wire in circuit.readers}
        with np.errstate(all="ignore"):
            self._run()

    def inputs_of(self, gate: Gate) -> list[Tensor]:
        """The values that a gate reads."""
        return [
            literal if source is None else self.values[source]
            for source, literal in zip(gate.sources, gate.literals, strict=True)
        ]

    def outputs_of(self, gate: Gate) -> list[Tensor]:
        return [self.values[wire] for wire in gate.outputs]

    def upstream_of(self, gate: Gate) -> list[Tensor | None]:
        """The gradients that a gate is given, None where no path leads on."""
        return [self.held.get(wire) for wire in gate.outputs]

    def _run(self) -> None:
        circuit = self.circuit
        self._settle(circuit.output)
        for number in range(len(circuit.gates) - 1, -1, -1):
            gate = circuit.gates[number]
            # A gate that no gradient goes through has outputs all the same: theirs is 0.
            for wire in gate.outputs:
                if wire in circuit.readers:
                    self._settle(wire)
            indices = circuit.carrying[number]
            if indices:
                self._through(number, gate, indices)
        for wire in circuit.inputs:
            self._settle(wire)

    def _through(self, number: int, gate: Gate, indices: Sequence[int]) -> None:
        upstream = self.upstream_of(gate)
        if all(g is None for g in upstream):
            return
        base = self._base
        if base is not None and all(self.held.get(w) is base.held.get(w) for w in gate.outputs):
            for index in indices:
                source = gate.sources[index]
                if source in self.parts and (number, index) in base.parts[source]:
                    self.parts[source][number, index] = base.parts[source][number, index]
            return
        found = gate.pull(upstream, self.inputs_of(gate), self.outputs_of(gate), indices)
        for index, part in found.items():
            source = gate.sources[index]
            if source in self.parts:
                self.parts[source][number, index] = part

    def _settle(self, wire: str) -> None:
        """Every edge that reads `wire` has given its term: add them up."""
        if wire in self.held:
            return
        base = self._base
        parts = self.parts.get(wire, {})
        if base is not None and _same_parts(parts, base.parts.get(wire, {})):
            total = base.expected[wire]
        else:
            total = self.total(wire, parts.values())
        self.expected[wire] = total
        if wire in self._plus:
            total = total + self._plus[wire]
        self.held[wire] = self.submitted.get(wire, total)

    def total(self, wire: str, parts: Any) -> Tensor:
        """The gradient of `wire` whose terms are `parts`."""
        if wire == self.circuit.output:
            return np.asarray(self.circuit.seed, np.float64)[()]
        total = None
        for part in parts:
            total = part if total is None else total + part
        if total is None:
            return np.zeros(self.circuit.shape(wire))[()]
        return total


def _same_parts(parts: Mapping[Edge, Tensor], others: Mapping[Edge, Tensor]) -> bool:
    """Whether the terms are the very same ones."""
    return len(parts) == len(others) and all(
        part is others.get(edge) for edge, part in parts.items()
    )
