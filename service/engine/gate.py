"""A node of a graph alone: what it sends back to each of its inputs, given its upstream gradient.

It serves explanations and diagrams, where each gate is looked at once, and grading, where the
same gate serves every submission and every mistake: an operator made of others is expanded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.engine.errors import OperatorError
from service.engine.namespaces import ARRAYS
from service.engine.program import Program, as_tensor
from service.engine.registry import Operator, TensorSpec
from service.engine.run.backward import pull_back, unbroadcast
from service.engine.run.forward import run
from service.engine.trace import Builder

Tensor = Any


@dataclass(frozen=True, slots=True)
class Source:
    """What an input of a node is: output `output` of node `position`, or a literal."""

    position: int | None
    output: int = 0
    literal: float | bool | None = None


def sources_of(program: Program, position: int) -> tuple[Source, ...]:
    """The inputs of the node at `position`."""
    graph = program.graph
    found = []
    for source in graph.sources(position):
        if source >= 0:
            found.append(Source(source))
        elif source in graph.projections:
            found.append(Source(*graph.projections[source]))
        else:
            found.append(Source(None, literal=graph.literal(source)))
    return tuple(found)


def output_names(program: Program, position: int) -> tuple[str, ...]:
    """The names of a node's outputs: its own, or `id.0`, `id.1`, ..."""
    name, names = program.graph.ids[position], program.code.names
    if f"{name}.0" not in names or f"{name}.0" in program.graph.index:
        return (name,)
    count = 0
    while f"{name}.{count}" in names:
        count += 1
    return tuple(f"{name}.{index}" for index in range(count))


def gate_at(program: Program, position: int) -> Gate:
    """The node at `position` as a gate."""
    graph = program.graph
    wires: list[str | None] = []
    literals: list[Tensor | None] = []
    specs: list[TensorSpec] = []
    for source in sources_of(program, position):
        if source.position is None:
            truth = isinstance(source.literal, bool)
            spec = TensorSpec((), "bool" if truth else program.dtype)
            wires.append(None)
            literals.append(as_tensor(source.literal, spec))
        else:
            wire = output_names(program, source.position)[source.output]
            spec = program.spec(wire)
            wires.append(wire)
            literals.append(None)
        specs.append(spec)
    return Gate(
        graph.ids[position],
        graph.operator(position),
        graph.attributes(position),
        wires,
        literals,
        output_names(program, position),
        specs,
        program.dtype,
    )


class Gate:
    """One node of a graph with the shapes of its inputs and outputs.

    node, op, attrs   its id, operator and full attributes
    sources           per input the wire that it reads; None for a literal
    outputs           the names of its wires: its id, or `id.0`, `id.1`, ...
    specs             per input its TensorSpec
    dtype             of literals in its expansion
    """

    __slots__ = (
        "_builder",
        "_results",
        "_slots",
        "attrs",
        "dtype",
        "literals",
        "node",
        "op",
        "outputs",
        "sources",
        "specs",
    )

    def __init__(
        self,
        node: str,
        op: Operator,
        attrs: dict[str, Any],
        sources: Sequence[str | None],
        literals: Sequence[Tensor | None],
        outputs: tuple[str, ...],
        specs: Sequence[TensorSpec],
        dtype: str = "float64",
    ) -> None:
        self.node = node
        self.op = op
        self.attrs = attrs
        self.sources = tuple(sources)
        self.literals = tuple(literals)
        self.outputs = outputs
        self.specs = tuple(specs)
        self.dtype = dtype
        self._builder: Builder | None = None
        self._slots: list[int] = []
        self._results: list[int] = []

    def evaluate(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The node's outputs for these inputs. Raises OperatorError or LinAlgError."""
        made = ARRAYS.function(self.op)(*inputs, **self.attrs)
        return made if isinstance(made, tuple) else (made,)

    def pull(
        self,
        upstream: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        wanted: Sequence[int],
        *,
        raw: bool = False,
    ) -> dict[int, Tensor]:
        """What flows back to the `wanted` inputs, by input index; nothing where no path is.

        Where it is not finite NumPy warns: callers say `np.errstate(all="ignore")`.
        `raw` leaves contributions of elementwise gates in the output's shape, as they are
        before broadcasting is undone.
        """
        if not self.op.differentiable:
            return {}
        if self.op.composite:
            return self._pull_composite(upstream, inputs, wanted)
        several = len(self.outputs) > 1 or self.op.outputs > 1
        g = tuple(upstream) if several else upstream[0]
        y = tuple(outputs) if several else outputs[0]
        found: dict[int, Tensor] = {}
        for index, part in self.op.contributions(wanted, ARRAYS, g, y, inputs, self.attrs):
            if part is None:
                continue
            if isinstance(part, float) and self.specs[index].shape == ():
                found[index] = np.asarray(part, self.specs[index].dtype)[()]
            elif raw and self.op.elementwise:
                found[index] = np.broadcast_to(part, np.shape(y))
            else:
                whole = unbroadcast(ARRAYS, part, self.specs[index])
                found[index] = np.asarray(whole, self.specs[index].dtype)[()]
        return found

    def slopes(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], wanted: Sequence[int]
    ) -> dict[int, Tensor]:
        """The derivative by each wanted input, where it is a number per element of the output.

        So it is for elementwise operators, and wherever input and output are both scalars.
        """
        if len(outputs) != 1:
            return {}
        y = np.asarray(outputs[0])
        if not self.op.elementwise:
            wanted = [i for i in wanted if self.specs[i].shape == () and y.shape == ()]
        same = TensorSpec(y.shape, str(y.dtype))
        specs = [same if i in wanted and s.floating else s for i, s in enumerate(self.specs)]
        whole = [
            np.broadcast_to(x, y.shape)[()] if i in wanted and self.op.composite else x
            for i, x in enumerate(inputs)
        ]
        gate = Gate(
            self.node,
            self.op,
            self.attrs,
            self.sources,
            self.literals,
            self.outputs,
            specs,
            self.dtype,
        )
        return gate.pull([np.ones(y.shape, y.dtype)[()]], whole, outputs, wanted)

    def _pull_composite(
        self, upstream: Sequence[Tensor | None], inputs: Sequence[Tensor], wanted: Sequence[int]
    ) -> dict[int, Tensor]:
        if self._builder is None:
            builder = Builder(self.dtype)
            stand_ins = [builder.input(str(i), spec) for i, spec in enumerate(self.specs)]
            assert self.op.expand is not None
            made = self.op.expand(builder, *stand_ins, **self.attrs)
            results = made if isinstance(made, tuple) else (made,)
            self._slots = [one.slot for one in stand_ins]
            self._results = [one.slot for one in results]
            self._builder = builder
        code = self._builder.code
        given = {str(i): np.asarray(x, self.specs[i].dtype)[()] for i, x in enumerate(inputs)}
        values = run(code, given)
        seeds: dict[int, Tensor] = {}
        for slot, g in zip(self._results, upstream, strict=True):
            if g is not None:
                seeds[slot] = seeds[slot] + g if slot in seeds else g
        grads = pull_back(ARRAYS, code, values, seeds, [self._slots[i] for i in wanted])
        return {i: grads[self._slots[i]] for i in wanted if self._slots[i] in grads}


Refused = (OperatorError, np.linalg.LinAlgError, ValueError, TypeError, ZeroDivisionError)
"""What an operator may raise for values that it can't take."""
