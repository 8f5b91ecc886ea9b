"""The nodes that a text comes to, as the columns that a graph keeps."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from service.engine.control import Limits
from service.engine.errors import LimitExceeded, OperatorError, Shape
from service.engine.expression.values import UNKNOWN, Known, Node, Part, Several, Value
from service.engine.graph_spec import Columns, GraphSpec, Leaf
from service.engine.operators import REGISTRY
from service.engine.registry import Operator, TensorSpec
from service.engine.trace import result_spec

MOST_CONSTANTS = 4_000_000
"""Elements of all arrays that a text makes while the graph is built: 32 MB."""

_ONE_OR_TWO = [op.arity in ((1, 1), (2, 2)) and op.outputs == 1 and not op.gate for op in REGISTRY]
_TRUTHS = ("comparison", "logic")
_CARRIERS = ("shape", "indexing", "joining")


class Tape:
    """Nodes in the order in which they are met. `quiet` makes no more of them.

    `specs` are the shapes and dtypes of the inputs, where they are known.
    """

    def __init__(self, limits: Limits, specs: Mapping[str, TensorSpec] | None) -> None:
        self.limits = limits
        self.specs = specs
        self.quiet = False
        self.ids: list[str | None] = []
        self.columns = Columns()
        self.order: list[int] = []
        self.leaves: dict[int, Leaf] = {}
        self.inputs: dict[str, Node] = {}
        self.places: dict[int, tuple[int, int]] = {}
        self.truths: set[int] = set()
        self._literals: dict[tuple[type, Any], int] = {}
        self._parts: dict[tuple[int, int], int] = {}
        self._constants: dict[int, tuple[Any, Node]] = {}
        self._elements = 0
        self._spec: dict[int, Any] = {}

    def emit(
        self, op: Operator, inputs: Sequence[Value], attrs: dict[str, Any] | None, at: ast.AST
    ) -> Value:
        """Add a node. `attrs` are checked and complete, None where all are defaults."""
        if self.quiet:
            return UNKNOWN
        columns, position = self.columns, len(self.ids)
        if position >= self.limits.nodes:
            raise LimitExceeded("nodes", self.limits.nodes, position + 1)
        sources = [
            value.position if type(value) is Node else self.source(value, at) for value in inputs
        ]
        if len(self.ids) != position:  # constants came before it
            position = len(self.ids)
        self.ids.append(None)
        self.order.append(position)
        code = REGISTRY.codes[op.name]
        columns.codes.append(code)
        columns.first.append(sources[0])
        columns.second.append(sources[-1])
        if len(sources) > 2 or not _ONE_OR_TWO[code]:
            columns.many[position] = tuple(sources)
        if attrs:
            columns.attrs[position] = attrs
        self.places[position] = at.lineno, at.col_offset + 1  # type: ignore[attr-defined]
        if op.outputs > 1:
            return Several(position, op.name, self._count(op, attrs or {}, position))
        if op.group in _TRUTHS or (op.group in _CARRIERS and sources[0] in self.truths):
            self.truths.add(position)
        return Node(position)

    def _count(self, op: Operator, attrs: Mapping[str, Any], position: int) -> int | None:
        """How many outputs a node has, if that can be said without its shape."""
        if op.name not in ("split", "unstack", "array_split"):
            return op.outputs
        if self.specs is not None:
            try:
                return len(self.spec(Node(position)))  # type: ignore[arg-type]
            except OperatorError:  # said of the node with its name, when the graph is built
                return None
        sizes, sections = attrs.get("sizes"), attrs.get("sections")
        return len(sizes) if sizes is not None else sections

    def source(self, value: Value, at: ast.AST) -> int:
        """The position of a node, or the negative one of a literal or of an output."""
        if type(value) is Part:
            key = value.position, value.output
            if key not in self._parts:
                self.columns.literals.append(False)
                self._parts[key] = -len(self.columns.literals)
                self.columns.projections[self._parts[key]] = key
            return self._parts[key]
        if isinstance(value, Node):
            return value.position
        if isinstance(value, np.ndarray | np.generic):
            return self.constant(value, at).position
        number = value if isinstance(value, bool) else float(value)
        # -0.0 equals 0.0, and NaN not even itself: such literals go by their text.
        name = type(number), number if number and number == number else str(number)
        known = self._literals.get(name)
        if known is None:
            self.columns.literals.append(number)
            known = self._literals[name] = -len(self.columns.literals)
        return known

    def leaf(self, kind: Literal["input", "constant"], value: Any, at: ast.AST) -> Node:
        """Add a leaf; its name is given later."""
        position = len(self.ids)
        if position >= self.limits.nodes:
            raise LimitExceeded("nodes", self.limits.nodes, position + 1)
        self.ids.append(None)
        self.leaves[position] = Leaf(kind, value)
        self.places[position] = at.lineno, at.col_offset + 1  # type: ignore[attr-defined]
        if isinstance(value, bool) or (isinstance(value, np.ndarray) and value.dtype == bool):
            self.truths.add(position)
        return Node(position)

    def input(self, name: str, value: Any, at: ast.AST) -> Node:
        """Add the input of this name."""
        node = self.leaf("input", value, at)
        self.ids[node.position] = name
        self.inputs[name] = node
        if self.specs is not None and name in self.specs and self.specs[name].dtype == "bool":
            self.truths.add(node.position)
        return node

    def constant(self, array: Any, at: ast.AST) -> Node:
        """The leaf of an array that is known; one for each array."""
        known = self._constants.get(id(array))
        if known is not None:
            return known[1]
        node = self.leaf("constant", array, at)
        self._constants[id(array)] = array, node
        return node

    def spend(self, elements: int) -> None:
        """Count elements of arrays made while the graph is built; LimitExceeded for too many."""
        self._elements += elements
        if self._elements > MOST_CONSTANTS:
            raise LimitExceeded("elements_total", MOST_CONSTANTS, self._elements)

    def fix(self, known: Known) -> Any:
        """The value of a node, for good: the inputs that it comes from become constants."""
        for position in known.roots:
            self.leaves[position].kind = "constant"
        return known.value

    def spec(self, node: Node) -> TensorSpec:
        """Shape and dtype of a node; OperatorError where shapes do not fit.

        Only where the specs of the inputs are known.
        """
        columns, rank_of = self.columns, self._rank
        todo = [node.position]
        while todo:
            position = todo[-1]
            if position in self._spec:
                todo.pop()
                continue
            leaf = self.leaves.get(position)
            if leaf is not None:
                self._spec[position] = self._leaf_spec(position, leaf)
                continue
            rank = rank_of(position)
            sources = columns.many.get(position)
            if sources is None:
                sources = (columns.first[rank], columns.second[rank])
                if REGISTRY.by_code(columns.codes[rank]).arity == (1, 1):
                    sources = sources[:1]
            missing = [
                p for p in (self._owner(s) for s in sources) if p >= 0 and p not in self._spec
            ]
            if missing:
                todo += missing
                continue
            op = REGISTRY.by_code(columns.codes[rank])
            attrs = columns.attrs.get(position)
            specs = [self._source_spec(source) for source in sources]
            self._spec[position] = result_spec(op, specs, op.attrs({}) if attrs is None else attrs)
        found = self._spec[node.position]
        if type(node) is Part:
            if node.output >= len(found):
                raise OperatorError(f"there are {len(found)} outputs, none of number {node.output}")
            return found[node.output]  # type: ignore[no-any-return]
        return found  # type: ignore[no-any-return]

    def _rank(self, position: int) -> int:
        """The place in `order` of a computed node."""
        low, high = 0, len(self.order)
        while low < high:
            middle = (low + high) // 2
            if self.order[middle] < position:
                low = middle + 1
            else:
                high = middle
        return low

    def _owner(self, source: int) -> int:
        """The node that a source belongs to; negative for a literal."""
        return self.columns.projections[source][0] if source in self.columns.projections else source

    def _source_spec(self, source: int) -> TensorSpec:
        if source >= 0:
            return self._spec[source]  # type: ignore[no-any-return]
        if source in self.columns.projections:
            position, output = self.columns.projections[source]
            return self.spec(Part(position, output))
        number = self.columns.literals[-1 - source]
        return TensorSpec((), "bool" if isinstance(number, bool) else "float64")

    def _leaf_spec(self, position: int, leaf: Leaf) -> TensorSpec:
        name = self.ids[position]
        if leaf.kind == "input" and self.specs is not None and name is not None:
            known = self.specs.get(name)
            if known is not None:
                return known
        value = leaf.value
        if value is None or isinstance(value, int | float):
            return TensorSpec((), "bool" if isinstance(value, bool) else "float64")
        return TensorSpec(value.shape, str(value.dtype))

    def shape(self, node: Node) -> Shape:
        return self.spec(node).shape

    def is_truth(self, value: Value) -> bool:
        """Whether a value is known to be true or false, or an array of such."""
        if isinstance(value, Node):
            return value.position in self.truths
        if isinstance(value, np.ndarray):
            return bool(value.dtype == bool)
        return isinstance(value, bool)

    def finish(self, output: str | list[str] | None, names: list[str]) -> GraphSpec:
        """The graph; `names` are those of all nodes."""
        spec = GraphSpec(names, [], [], leaves=self.leaves, output=output, places=self.places)
        spec.columns, spec.order = self.columns, self.order
        return spec
