"""A Program: a resolved graph with the shapes and dtypes of its inputs, checked and costed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from service.engine.code import Code
from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.errors import Fault, GraphError, OperatorError, escaped
from service.engine.expression.hints import STRANGERS
from service.engine.graph import Graph, resolve
from service.engine.graph_spec import Leaf
from service.engine.look_alikes import described, skeleton
from service.engine.lru_cache import Share
from service.engine.operators import REGISTRY
from service.engine.registry import TensorSpec
from service.engine.trace import Builder, Traced

SCALAR = TensorSpec(())
_IDENTITY = REGISTRY["identity"]
_FLOAT = frozenset((float,))


_FLOAT_NODE, _FLOAT_EDGE, _ARRAY_EDGE, _TRACED_EDGE = 100, 1_000, 4_000, 24_000
"""Nanoseconds for a node on floats, for an input of one with many, for an input of an array
gate, and for one whose rules are traced to code that is run then."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one forward run takes: nodes, elements and bytes of all values, flops.

    A gradient takes about three times the flops and twice the bytes. `edges` are the inputs
    of all gates, composites taken apart, and `read` the elements of them all; `overhead` is
    what the interpreter takes for them in nanoseconds, whatever their size.
    """

    nodes: int
    elements: int
    bytes: int
    flops: int
    edges: int
    read: int
    overhead: int

    def nanoseconds(self, sweeps: float, *, traced: bool = False) -> int:
        """What `sweeps` forward runs take, or with `traced` the tracing and running of rules."""
        overhead = _TRACED_EDGE * self.edges if traced else self.overhead
        return int(sweeps * (self.flops + overhead))


class Program:
    """Immutable; made by `program_for`, which keeps it.

    `floats` says that it runs on Python floats, node by node of the graph; otherwise, and
    for every transformation, it is the straight-line `code`. `derived` is what other modules
    made of it last, `straight` its generated Python once it comes often.
    """

    def __init__(
        self,
        graph: Graph,
        dtype: str,
        specs: Mapping[str, TensorSpec] | None,
        limits: Limits,
        constants: Mapping[str, Any],
    ) -> None:
        self.graph = graph
        self.dtype = dtype
        self.floats = specs is None
        self.limits = limits
        self._constants = constants
        self._input_specs = specs
        self.derived = Share()
        self.key: Any = None
        self.straight: Any = None
        self._check_outputs()
        if not self.floats:
            self._check_total()

    def _check_outputs(self) -> None:
        """Raise GraphError for an output that its node does not have."""
        faults = [
            Fault("unknown_node", f"no node '{name[:64]}'", node=name[:64], pointer="/output")
            for name in self.graph.outputs
            if name not in self.graph.index and (self.floats or name not in self.code.names)
        ]
        if faults:
            raise GraphError(faults)

    def _check_total(self) -> None:
        self.limits.check("elements_total", self.cost.elements)
        self.limits.check("flops", self.cost.flops)

    @cached_property
    def code(self) -> Code:
        """The program as straight-line code; raises GraphError when shapes do not fit."""
        code = _Compiler(self.graph, self.dtype, self.limits, self._constants).compile(
            self._input_specs
            if self._input_specs is not None
            else dict.fromkeys(self.graph.inputs, SCALAR)
        )
        self.graph.programs.grow(self.key, code.nbytes)
        return code

    @property
    def nbytes(self) -> int:
        """Its memory, roughly, that of its graph included."""
        return self.graph.nbytes + (0 if self.floats else self.code.nbytes)

    @cached_property
    def cost(self) -> Cost:
        """The cost of one forward run."""
        if self.floats:
            graph = self.graph
            count = len(graph)
            wide = sum(map(len, graph.many.values()))
            edges = 2 * len(graph.codes) + wide
            overhead = _FLOAT_NODE * count + _FLOAT_EDGE * wide
            return Cost(count, count, 32 * count, len(graph.codes) + wide, edges, edges, overhead)
        elements = nbytes = flops = edges = read = 0
        steps = self.code.steps
        for slot, step in enumerate(steps):
            for spec in step.specs or (step.spec,):
                elements += spec.size
                nbytes += spec.nbytes
            flops += self.code.flops(slot)
            edges += max(1, len(step.inputs))
            read += sum(steps[source].spec.size for source in step.inputs)
        return Cost(len(self.graph), elements, nbytes, flops, edges, read, _ARRAY_EDGE * edges)

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.graph.outputs

    @property
    def order(self) -> list[str]:
        """Node names in evaluation order, leaves first."""
        ids = self.graph.ids
        return [ids[i] for i in sorted(self.graph.leaves)] + [ids[i] for i in self.graph.order]

    def spec(self, name: str) -> TensorSpec:
        """Shape and dtype of a node (of its first output, or of the one named `node.k`)."""
        if self.floats and name in self.graph.index:
            position = self.graph.index[name]
            truth = self.graph.operator(position).group in ("comparison", "logic")
            return TensorSpec((), "bool") if truth else SCALAR
        return self.code.steps[self.slot(name)].spec

    def slot(self, name: str) -> int:
        """The slot of a node in `code`."""
        return self.code.names[name]

    @cached_property
    def floating_inputs(self) -> tuple[str, ...]:
        """The inputs that have a gradient, in document order."""
        inputs = self.graph.inputs
        if self.floats:
            return tuple(inputs)
        return tuple(name for name in inputs if self.spec(name).floating)


def tensor_spec(value: Any, leaf: Leaf, dtype: str) -> TensorSpec:
    """What a leaf's value is once it has the dtype that the leaf or the request wants."""
    wanted = leaf.dtype
    if isinstance(value, bool):
        return TensorSpec((), wanted or "bool")
    if isinstance(value, int | float):
        return TensorSpec((), wanted or dtype)
    kind = value.dtype.kind
    return TensorSpec(value.shape, wanted or (dtype if kind == "f" else str(value.dtype)))


def program_for(
    graph: Graph,
    inputs: Mapping[str, Any],
    dtype: str = "float64",
    limits: Limits = DEFAULT_LIMITS,
) -> Program:
    """The Program for inputs of these shapes and dtypes; those used last are kept.

    Raises GraphError (missing_input, unused_input, shape_mismatch, dtype) with all faults
    of the inputs, or all of the nodes, or LimitExceeded.
    """
    key = _signature(graph, inputs, dtype)
    program: Program | None = graph.programs.get(key)
    if program is None:
        program = _build(graph, inputs, dtype, limits)
        program.key = key
        graph.programs.put(key, program, program.nbytes)
    return program


def _signature(graph: Graph, inputs: Mapping[str, Any], dtype: str) -> Any:
    """What a Program depends on besides the graph: names, shapes and dtypes of the inputs."""
    if graph.scalar and dtype == "float64" and _FLOAT.issuperset(map(type, inputs.values())):
        return frozenset(inputs)
    return dtype, tuple(
        sorted(
            (name, value.shape, value.dtype.char)
            if isinstance(value, np.ndarray | np.generic)
            else (name, (), type(value).__name__)
            for name, value in inputs.items()
        )
    )


def _build(graph: Graph, inputs: Mapping[str, Any], dtype: str, limits: Limits) -> Program:
    """Check `inputs` against the graph's leaves and infer every shape."""
    faults: list[Fault] = []
    leaves = graph.inputs
    for name in inputs:
        if name not in leaves:
            place = f"#/inputs/{escaped(name)}"
            what = "is not an input" if name in graph.index else "is no node of the graph"
            faults.append(
                Fault("unused_input", f"'{name[:64]}' {what}", node=name[:64], pointer=place)
            )
    specs: dict[str, TensorSpec] = {}
    for name, leaf in leaves.items():
        value = inputs.get(name, leaf.value)
        if value is None:
            faults.append(
                Fault(
                    "missing_input",
                    f"input '{name}' has no value",
                    node=name,
                    pointer=f"#/inputs/{escaped(name)}",
                    hint=_meant(name, graph, inputs),
                )
            )
            continue
        specs[name] = tensor_spec(value, leaf, dtype)
        if leaf.shape is not None and leaf.shape != specs[name].shape:
            faults.append(
                Fault(
                    "shape_mismatch",
                    f"input '{name}' is declared {leaf.shape}, its value is {specs[name].shape}",
                    node=name,
                    pointer=f"#/inputs/{escaped(name)}",
                    shapes=(leaf.shape, specs[name].shape),
                )
            )
    if faults:
        raise GraphError(faults)
    graph = with_shapes(graph, specs, limits)
    specs = {name: specs[name] for name in graph.inputs}
    on_floats = graph.scalar and dtype == "float64" and all(s == SCALAR for s in specs.values())
    constants = {
        graph.ids[i]: leaf.value for i, leaf in graph.leaves.items() if leaf.kind == "constant"
    }
    return Program(graph, dtype, None if on_floats else specs, limits, constants)


def _meant(name: str, graph: Graph, inputs: Mapping[str, Any]) -> str:
    """What to do about an input without a value; for a text also what its name may stand for."""
    for given in inputs:
        if given not in graph.inputs and skeleton(given) == skeleton(name):
            return f"{described(name)} and {described(given)} look alike: write one of them"
    if graph.text is not None and name in STRANGERS:
        return STRANGERS[name]
    return "give it in inputs, or as the node's value"


def with_shapes(graph: Graph, specs: Mapping[str, TensorSpec], limits: Limits) -> Graph:
    """The graph for inputs of these shapes and dtypes: source text may depend on them.

    Raises GraphError for what can't be read with them, LimitExceeded.
    """
    text = graph.text
    if text is None or not (text.needs_shapes or any(not s.floating for s in specs.values())):
        return graph
    spec = text.read(specs)
    shown = [graph.label(name) for name in graph.outputs]
    if shown != [text.output]:  # other outputs than the text's own
        spec.output = shown
    return resolve(spec, limits)


def abstract_program(
    graph: Graph, shapes: Mapping[str, TensorSpec], dtype: str, limits: Limits
) -> Program:
    """A Program from the shapes of its inputs alone: nothing can be run without values."""
    faults = [
        Fault(
            "unused_input",
            f"'{name[:64]}' is not an input",
            node=name[:64],
            pointer=f"#/shapes/{escaped(name)}",
        )
        for name in shapes
        if name not in graph.inputs
    ]
    specs = {}
    for name, leaf in graph.inputs.items():
        if name in shapes:
            specs[name] = shapes[name]
        elif leaf.value is not None:
            specs[name] = tensor_spec(leaf.value, leaf, dtype)
        else:
            specs[name] = TensorSpec(leaf.shape or (), leaf.dtype or dtype)
    if faults:
        raise GraphError(faults)
    graph = with_shapes(graph, specs, limits)
    specs = {name: specs[name] for name in graph.inputs}
    constants = {
        graph.ids[i]: leaf.value for i, leaf in graph.leaves.items() if leaf.kind == "constant"
    }
    return Program(graph, dtype, specs, limits, constants)


def check_declared_shapes(graph: Graph, dtype: str, limits: Limits) -> None:
    """Check all nodes whose shapes follow from declared shapes, values and constants.

    An input without either is unknown, and so is what depends on it. Raises GraphError
    with the faults of the nodes that are known, LimitExceeded for one that is too large.
    """
    specs = {
        name: TensorSpec(leaf.shape or (), leaf.dtype or dtype)
        if leaf.value is None
        else tensor_spec(leaf.value, leaf, dtype)
        for name, leaf in graph.inputs.items()
        if leaf.value is not None or leaf.shape is not None
    }
    if graph.text is not None and graph.text.needs_shapes:
        if len(specs) < len(graph.inputs):
            return
        graph = with_shapes(graph, specs, limits)
    constants = {
        graph.ids[i]: leaf.value for i, leaf in graph.leaves.items() if leaf.kind == "constant"
    }
    _Compiler(graph, dtype, limits, constants).compile(specs)


class _Compiler:
    """Turns a graph into code, node by node; faults of all nodes are gathered."""

    def __init__(
        self, graph: Graph, dtype: str, limits: Limits, constants: Mapping[str, Any]
    ) -> None:
        self.graph = graph
        self.constants = constants
        self.builder = Builder(dtype, limits=limits)
        self.results: dict[int, Traced | tuple[Traced, ...] | None] = {}
        self.faults: list[Fault] = []
        self.ends: list[int] = []  # the code's length after each node, in order

    def compile(self, specs: Mapping[str, TensorSpec]) -> Code:
        graph, builder = self.graph, self.builder
        for position, leaf in sorted(graph.leaves.items()):
            name = graph.ids[position]
            if leaf.kind == "input":
                known = specs.get(name)
                self.results[position] = None if known is None else builder.input(name, known)
            else:
                spec = tensor_spec(leaf.value, leaf, builder.dtype)
                self.results[position] = builder.constant(as_tensor(leaf.value, spec), spec, name)
        for position in graph.order:
            self.results[position] = self._node(position)
            self.ends.append(len(builder.code.steps))
        if self.faults:
            raise GraphError(self.faults)
        builder.code.placed = partial(_of_slot, graph, self.ends)
        return builder.code

    def _node(self, position: int) -> Traced | tuple[Traced, ...] | None:
        """The node's result; None when it, or a node before it, has a fault."""
        graph, builder = self.graph, self.builder
        inputs = []
        for source in graph.sources(position):
            result = self._result(source)
            if result is None:
                return None
            inputs.append(result)
        op, name = graph.operator(position), graph.ids[position]
        made: Traced | tuple[Traced, ...]
        try:
            made = builder.emit(op, tuple(inputs), graph.attributes(position), complete=True)
        except OperatorError as error:
            self.faults.append(placed(graph, error, position))
            return None
        if isinstance(made, tuple):
            for index, part in enumerate(made):
                self._name(part, f"{name}.{index}")
            builder.code.names[name] = made[0].slot
        else:
            return self._name(made, name)
        return made

    def _result(self, source: int) -> Traced | None:
        if source >= 0:
            result = self.results[source]
            return result[0] if isinstance(result, tuple) else result
        if source in self.graph.projections:
            position, index = self.graph.projections[source]
            parts = self.results[position]
            if isinstance(parts, tuple) and index < len(parts):
                return parts[index]
            if parts is not None:
                count = len(parts) if isinstance(parts, tuple) else 1
                node = self.graph.ids[position]
                self.faults.append(
                    Fault(
                        "unknown_node",
                        f"'{node}' has {count} outputs: there is no '{node}.{index}'",
                        node=node,
                        pointer=f"/nodes/{position}",
                    )
                )
            return None
        number = self.graph.literal(source)
        spec = TensorSpec((), "bool" if isinstance(number, bool) else self.builder.dtype)
        return self.builder.constant(as_tensor(number, spec), spec)

    def _name(self, made: Traced, name: str) -> Traced:
        """Give a step its node's name; a step that has one already is passed on by a copy."""
        step = self.builder.code.steps[made.slot]
        if step.name is not None or step.leaf:
            made = self.builder.step(_IDENTITY, (made.slot,), {}, made.spec)
            step = self.builder.code.steps[made.slot]
        step.name = name
        self.builder.code.names[name] = made.slot
        return made


def as_tensor(value: Any, spec: TensorSpec) -> Any:
    """`value` as a NumPy array or scalar of the spec's dtype."""
    return np.asarray(value, dtype=spec.dtype)[()]


def placed(graph: Graph, error: OperatorError, position: int) -> Fault:
    """The fault with the node's place in the document, or in the source text."""
    name, op = graph.ids[position], graph.operator(position).name
    if graph.places is None:
        return error.at(name, op, f"/nodes/{position}")
    line, column = graph.places[position]
    return replace(error.at(name, op, "/expression"), line=line, column=column)


def _of_slot(graph: Graph, ends: Sequence[int], error: OperatorError, slot: int) -> Fault:
    """The fault of a value that a step refused: in the name of the node it is part of."""
    return placed(graph, error, graph.order[bisect_right(ends, slot)])
