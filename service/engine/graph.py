"""A resolved graph: names looked up, arity and attributes checked, order found.

Everything here is independent of shapes; `program_for` adds those. A node's position
is its place in the document. A literal number among the inputs gets a negative
position, so that plain indexing finds its value at the end of a list of values.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.errors import Fault, GraphError, escaped
from service.engine.graph_spec import Columns, GraphSpec, Leaf
from service.engine.lru_cache import Share
from service.engine.operators import REGISTRY
from service.engine.registry import Operator

_NODE_BYTES = 450
"""Of memory, with what is noted of a node for running."""


class Graph:
    """Checked, ordered, immutable; made by `resolve`.

    ids        node names in document order
    leaves     position → Leaf
    order      positions of the computed nodes in a stable topological order
    codes      operator codes, parallel to `order`
    first      position of each one's first input, parallel to `order`
    second     position of its last input (the first again where there is one only)
    many       position → all input positions, for nodes of operators that don't take
               exactly one or two inputs
    attrs      position → checked attributes, where a node gave any
    literals   values of the literal inputs; literal `j` has position `-1 - j`
    projections  negative position → (node position, index of its output)
    outputs    the names of the outputs
    plan       how it runs on numbers, once `choose` was asked
    gates      its nodes of other than the plain kinds, once `floats` was asked
    programs   the Programs that `program_for` made of it last
    labels     position → the name by which a node is shown, where that isn't its id
    text       what the graph is read from anew for inputs of other shapes, if it is
    """

    __slots__ = (
        "_rank",
        "attrs",
        "codes",
        "first",
        "gates",
        "ids",
        "index",
        "labels",
        "leaves",
        "literals",
        "many",
        "order",
        "outputs",
        "places",
        "plan",
        "programs",
        "projections",
        "scalar",
        "second",
        "text",
    )

    def __init__(
        self,
        spec: GraphSpec,
        index: dict[str, int],
        order: Sequence[int],
        columns: Columns,
        outputs: tuple[str, ...],
    ) -> None:
        self.ids = spec.ids
        self.index = index
        self.leaves = spec.leaves
        self.places = spec.places
        self.order = order
        self.codes = columns.codes
        self.first = columns.first
        self.second = columns.second
        self.many = columns.many
        self.attrs = columns.attrs
        self.literals = columns.literals
        self.projections = columns.projections
        self.outputs = outputs
        self.plan: Any = None
        self.gates: Any = None
        self.labels = spec.labels
        self.text = spec.text
        self._rank: dict[int, int] | None = None
        self.scalar = _runs_on_floats(self)
        self.programs = Share()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Its memory, roughly: of nodes, wide gates and values."""
        wide = sum(map(len, self.many.values()))
        values = sum(getattr(leaf.value, "nbytes", 0) for leaf in self.leaves.values())
        return _NODE_BYTES * len(self) + 16 * wide + values

    def find(self, name: str) -> str:
        """The id of the node that is shown by this name."""
        return next((self.ids[i] for i, label in self.labels.items() if label == name), name)

    def label(self, name: str) -> str:
        """The name by which the node of this id is shown."""
        return self.labels.get(self.index.get(name, -1), name)

    def labelled(self, by_id: Mapping[str, Any]) -> Mapping[str, Any]:
        """A dictionary by ids as one by the names that are shown."""
        if not self.labels:
            return by_id
        return {self.label(name): value for name, value in by_id.items()}

    @property
    def inputs(self) -> dict[str, Leaf]:
        """The input leaves by name, in document order."""
        ids = self.ids
        return {ids[i]: leaf for i, leaf in sorted(self.leaves.items()) if leaf.kind == "input"}

    def rank(self, position: int) -> int:
        """The place of a computed node in `order`."""
        if isinstance(self.order, range):
            return self.order.index(position)
        if self._rank is None:
            self._rank = {position: rank for rank, position in enumerate(self.order)}
        return self._rank[position]

    def operator(self, position: int) -> Operator:
        """The operator of the node at `position`; `input` or `constant` for a leaf."""
        leaf = self.leaves.get(position)
        if leaf is not None:
            return REGISTRY[leaf.kind]
        return REGISTRY.by_code(self.codes[self.rank(position)])

    def sources(self, position: int) -> tuple[int, ...]:
        """The input positions of a node: negative ones are literals or projections."""
        if position in self.leaves:
            return ()
        if position in self.many:
            return self.many[position]
        rank = self.rank(position)
        if _FIXED[self.codes[rank]] == 1:
            return (self.first[rank],)
        return (self.first[rank], self.second[rank])

    def attributes(self, position: int) -> dict[str, Any]:
        """The node's attributes with the defaults filled in."""
        given = self.attrs.get(position)
        return given if given is not None else self.operator(position).attrs({})

    def literal(self, position: int) -> float | bool:
        """The value of the literal at a negative position."""
        return self.literals[-1 - position]


class _Columns(Columns):
    """Columns whose inputs are looked up by name."""

    __slots__ = ()

    def set_inputs(
        self, index: dict[str, int], order: Sequence[int], inputs: list[Sequence[str | float]]
    ) -> bool:
        """Look the inputs up; False for what wants the thorough way: an arity, another order."""
        literals: dict[tuple[type, str], int] = {}

        def find(given: str | float) -> int:
            if isinstance(given, str):
                return index[given]
            value = given if isinstance(given, bool) else float(given)
            key = (type(value), str(value))
            if key not in literals:
                self.literals.append(value)
                literals[key] = -len(self.literals)
            return literals[key]

        counts = list(map(len, inputs))
        if counts != list(map(_FIXED.__getitem__, self.codes)) or max(counts) > 2:
            for rank, (code, count) in enumerate(zip(self.codes, counts, strict=True)):
                if count == _FIXED[code] <= 2:
                    continue
                found = REGISTRY.by_code(code)
                if found.gate and count >= 2:
                    found = REGISTRY[found.gate]
                    self.codes[rank] = REGISTRY.codes[found.name]
                least, most = found.arity
                if count < least or (most is not None and count > most) or found.outputs > 1:
                    return False
                if _FIXED[self.codes[rank]] != count or count > 2:
                    self.many[order[rank]] = tuple(map(find, inputs[rank]))
        first = _looked_up(index, inputs, _FIRST, find)
        second = _looked_up(index, inputs, _LAST, find)
        if (np.maximum(first, second) >= np.fromiter(order, np.int64, len(order))).any():
            return False
        # Numbers made anew lie side by side in memory, those of the index anywhere.
        self.first, self.second = first.tolist(), second.tolist()
        return True


def _looked_up(
    index: dict[str, int],
    inputs: Sequence[Sequence[Any]],
    picked: Callable[[Sequence[Any]], Any],
    find: Callable[[str | float], int],
) -> Any:
    """`find` for one input of every node, by way of a plain look-up where that is enough."""
    names = map(picked, inputs)
    try:
        return np.fromiter(map(index.__getitem__, names), np.int64, len(inputs))
    except KeyError:
        found = (find(name) if name not in index else index[name] for name in map(picked, inputs))
        return np.fromiter(found, np.int64, len(inputs))


_FIXED = [
    least if least == most and op.outputs == 1 and not op.gate else -1
    for op in REGISTRY
    for least, most in [op.arity]
]
_NEEDY = {
    code for code, op in enumerate(REGISTRY) if any(a.required for a in op.attributes.values())
}


def resolve(spec: GraphSpec, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """Check everything about a graph that doesn't need shapes, and order it.

    Raises GraphError with every fault that one pass finds, LimitExceeded when there are
    more nodes than `limits` allows.
    """
    limits.check("nodes", len(spec.ids))
    if spec.columns is not None:
        return _resolve_columns(spec, spec.columns)
    graph = _resolve_plain(spec)
    return graph if graph is not None else _Resolver(spec).resolve()


def _resolve_columns(spec: GraphSpec, columns: Columns) -> Graph:
    """A graph whose names were looked up when it was read: its outputs are left to check."""
    index = dict(zip(spec.ids, range(len(spec.ids)), strict=True))
    by_label = {label: spec.ids[position] for position, label in spec.labels.items()}
    wanted = [spec.output] if isinstance(spec.output, str) else spec.output or []
    outputs = tuple(by_label.get(name, name) for name in wanted)
    if not outputs or not all(map(index.__contains__, outputs)):
        resolver = _Resolver(
            replace(spec, output=outputs[0] if len(wanted) == 1 else list(outputs))
        )
        resolver.index = index
        operators = dict(zip(spec.order, map(REGISTRY.by_code, columns.codes), strict=True))
        resolver.operators = [operators.get(position) for position in range(len(spec.ids))]
        resolver.outputs()
        if resolver.faults:
            raise GraphError(resolver.faults)
    order: Sequence[int] = spec.order
    if order and order[-1] - order[0] == len(order) - 1:
        order = range(order[0], order[-1] + 1)
    return Graph(spec, index, order, columns, outputs)


def _resolve_plain(spec: GraphSpec) -> Graph | None:
    """The quick way: a graph without faults whose nodes come in order.

    Written as whole-column operations, for a loop over a million nodes costs more than
    parsing them. None when anything is out of the ordinary.
    """
    count, leaves = len(spec.ids), len(spec.leaves)
    index = dict(zip(spec.ids, range(count), strict=True))
    if len(index) != count or not 0 < leaves < count or spec.attrs:
        return None
    if type(spec.output) is not str or spec.output not in index:
        return None
    if any(leaf.kind == "constant" and leaf.value is None for leaf in spec.leaves.values()):
        return None
    ops, inputs = spec.ops, spec.inputs
    order: Sequence[int]
    if max(spec.leaves) == leaves - 1:
        order = range(leaves, count)
        ops, inputs = ops[leaves:], inputs[leaves:]
    else:
        order = [i for i in range(count) if i not in spec.leaves]
        ops, inputs = [ops[i] for i in order], [inputs[i] for i in order]
    columns = _Columns()
    try:
        columns.codes = list(map(REGISTRY.codes.__getitem__, ops))
        if not columns.set_inputs(index, order, inputs):
            return None
    except (KeyError, IndexError, TypeError):
        return None
    if not all(max(sources) < position for position, sources in columns.many.items()):
        return None
    if not _NEEDY.isdisjoint(columns.codes):
        return None
    return Graph(spec, index, order, columns, (spec.output,))


_FIRST, _LAST = operator.itemgetter(0), operator.itemgetter(-1)


_SUGGESTIONS = 20
"""Faults of one graph that get a suggestion: looking for similar names takes its time."""


class _Resolver:
    """The thorough way: any graph, and every fault in it."""

    def __init__(self, spec: GraphSpec) -> None:
        self.spec = spec
        self.faults: list[Fault] = []
        self.index: dict[str, int] = {}
        self.columns = Columns()
        self.operators: list[Operator | None] = []
        self.sources: list[tuple[int, ...]] = []
        self.literal_at: dict[float | bool | tuple[str, float], int] = {}
        self.extras = 0

    def resolve(self) -> Graph:
        spec = self.spec
        if not spec.ids:
            raise GraphError([Fault("empty_graph", "the graph has no nodes", pointer="/nodes")])
        for position, name in enumerate(spec.ids):
            if self.index.setdefault(name, position) != position:
                self._fault("duplicate_node", f"the id '{name}' is taken", position, "/id")
        for position in range(len(spec.ids)):
            self._check_operator(position)
        for position in range(len(spec.ids)):
            self.sources.append(self._resolve_inputs(position))
        outputs = self.outputs()
        order = self._order()
        if self.faults:
            raise GraphError(self.faults)
        columns = self.columns
        for position in order:
            found = self.operators[position]
            assert found is not None
            sources = self.sources[position]
            columns.codes.append(REGISTRY.codes[found.name])
            columns.first.append(sources[0] if sources else 0)
            columns.second.append(sources[-1] if sources else 0)
            if _FIXED[columns.codes[-1]] not in (1, 2):
                columns.many[position] = sources
        return Graph(spec, self.index, order, columns, outputs)

    def _fault(
        self, code: str, detail: str, position: int, place: str = "", hint: str | None = None
    ) -> None:
        """Note a fault of the node at `position`."""
        line, column = (self.spec.places or {}).get(position, (None, None))
        pointer = f"/nodes/{position}{place}" if line is None else "/expression"
        self.faults.append(
            Fault(
                code,
                detail,
                node=self.spec.ids[position],
                op=self.spec.ops[position][:64],
                pointer=pointer,
                hint=hint,
                line=line,
                column=column,
            )
        )

    def _check_operator(self, position: int) -> None:
        """Find the node's operator, and check its arity and attributes."""
        spec = self.spec
        name, given = spec.ops[position], len(spec.inputs[position])
        if name not in REGISTRY or REGISTRY[name].internal:
            near = REGISTRY.suggest(name) if len(self.faults) < _SUGGESTIONS else None
            hint = f"did you mean '{near}'?" if near else "GET /v1/operators lists them all"
            self._fault("unknown_operator", f"no operator '{name[:64]}'", position, "/op", hint)
            self.operators.append(None)
            return
        found = REGISTRY[name]
        if found.gate and given >= 2:
            found = REGISTRY[found.gate]
        self.operators.append(found)
        least, most = found.arity
        if given < least or (most is not None and given > most):
            if most is None:
                wanted = f"{least} or more inputs"
            elif least == most:
                wanted = f"{least} input{'' if least == 1 else 's'}"
            else:
                wanted = f"{least} to {most} inputs"
            self._fault("arity", f"{name} takes {wanted}, here {given}", position, "/inputs")
        if found.group == "leaf":
            leaf = spec.leaves.get(position)
            if name == "constant" and (leaf is None or leaf.value is None):
                detail = f"constant '{spec.ids[position]}' has no value"
                self._fault("attribute", detail, position)
            return
        attrs = spec.attrs.get(position)
        if attrs or REGISTRY.codes[found.name] in _NEEDY:
            given_attrs = attrs or {}
            self.columns.attrs[position], faults = found.checked(given_attrs)
            for attr, error in faults.items():
                place = f"/{escaped(attr)}" if attr in given_attrs else ""
                self._fault("attribute", error.fault.detail, position, place, error.fault.hint)

    def _resolve_inputs(self, position: int) -> tuple[int, ...]:
        """The positions of a node's inputs; faults are noted, their places left out."""
        sources = []
        for place, given in enumerate(self.spec.inputs[position]):
            source = self._source(given)
            if source is not None:
                sources.append(source)
                continue
            hint = self._similar(str(given))
            detail = f"no node '{str(given)[:64]}'"
            self._fault("unknown_node", detail, position, f"/inputs/{place}", hint)
        return tuple(sources)

    def _similar(self, name: str) -> str | None:
        """A hint at the node that a misspelt name may mean; after some faults no more."""
        if len(self.faults) >= _SUGGESTIONS:
            return None
        near = difflib.get_close_matches(name[:64], self.spec.ids[:500], 1, 0.6)
        return f"did you mean '{near[0][:64]}'?" if near else None

    def _source(self, given: str | float) -> int | None:
        """The position of an input: a node, an output of a node, a literal; or None."""
        if not isinstance(given, str):
            value = given if isinstance(given, bool) else float(given)
            # -0.0 equals 0.0 and True equals 1.0, but they are other literals.
            return self._extra((type(value).__name__ + str(value), 0.0), value)
        position = self.index.get(given)
        output = 0
        if position is None:
            name, _, number = given.rpartition(".")
            position = self.index.get(name)
            if position is None or not number.isdecimal() or len(number) > 4:
                return None
            output = int(number)
        found = self.operators[position]
        if found is None or found.outputs == 1:
            return position if given in self.index or (found is None) or output == 0 else None
        key = self._extra((f"{position}.", float(output)), False)
        self.columns.projections[key] = (position, output)
        return key

    def _extra(self, key: tuple[str, float], value: float | bool) -> int:
        """The negative position for a literal or projection, one for equal ones."""
        position = self.literal_at.get(key)
        if position is None:
            self.extras += 1
            position = self.literal_at[key] = -self.extras
            self.columns.literals.append(value)
        return position

    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs, given or found."""
        wanted = self.spec.output
        if wanted is None:
            return self._sole_output()
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        for place, name in enumerate(names):
            if self._source(name) is None:
                self.faults.append(
                    Fault(
                        "unknown_node",
                        f"no node '{name[:64]}'",
                        node=name[:64],
                        pointer="/output" if isinstance(wanted, str) else f"/output/{place}",
                        hint=self._similar(name),
                    )
                )
        if not names:
            self.faults.append(Fault("ambiguous_output", "no output is named", pointer="/output"))
        return tuple(names)

    def _sole_output(self) -> tuple[str, ...]:
        """The one node that no other consumes."""
        if self.faults:
            return ()
        consumed = {
            self.columns.projections[source][0] if source in self.columns.projections else source
            for sources in self.sources
            for source in sources
        }
        free = [i for i in range(len(self.spec.ids)) if i not in consumed]
        if len(free) == 1:
            return (self.spec.ids[free[0]],)
        if free:
            names = ", ".join(f"'{self.spec.ids[i]}'" for i in free[:10])
            more = f" and {len(free) - 10} more" if len(free) > 10 else ""
            detail = f"no node consumes {names}{more}: which one is the output?"
            hint = 'name it with "output"'
            self.faults.append(Fault("ambiguous_output", detail, pointer="/output", hint=hint))
        return ()

    def _dependencies(self, position: int) -> Iterable[int]:
        for source in self.sources[position]:
            if source >= 0:
                yield source
            elif source in self.columns.projections:
                yield self.columns.projections[source][0]

    def _order(self) -> list[int]:
        """Document order where it is topological; else depth first in document order.

        Cycles are noted as faults with their path.
        """
        order: list[int] = []
        state = bytearray(len(self.spec.ids))  # 0 new, 1 on the path, 2 done
        for start in range(len(self.spec.ids)):
            if state[start]:
                continue
            path = [(start, iter(self._dependencies(start)))]
            state[start] = 1
            while path:
                position, rest = path[-1]
                for source in rest:
                    if state[source] == 0:
                        state[source] = 1
                        path.append((source, iter(self._dependencies(source))))
                        break
                    if state[source] == 1:
                        self._note_cycle([p for p, _ in path], source)
                else:
                    path.pop()
                    state[position] = 2
                    if position not in self.spec.leaves:
                        order.append(position)
        return order

    def _note_cycle(self, path: list[int], back_to: int) -> None:
        members = path[path.index(back_to) :]
        # Each node of the path reads the next one: turned around it is the way data would flow.
        names = tuple(self.spec.ids[p] for p in reversed(members))
        names = (*names, names[0])
        shown = " → ".join(names[:12]) + (" → …" if len(names) > 12 else "")
        position = members[0]
        detail = f"the graph has a cycle: {shown}"
        self.faults.append(
            Fault(
                "cycle",
                detail,
                node=self.spec.ids[position],
                op=self.spec.ops[position][:64],
                pointer=f"/nodes/{position}",
                cycle=names[:100],
            )
        )


_SCALAR_CODES = frozenset(
    code for code, op in enumerate(REGISTRY) if op.elementwise and op.forward and op.outputs == 1
)
_TRUTH_CODES = frozenset(
    code for code, op in enumerate(REGISTRY) if op.group in ("comparison", "logic")
)


def _runs_on_floats(graph: Graph) -> bool:
    """Whether every node is an elementwise operator of plain numbers.

    Truth values are not numbers: a graph with comparisons qualifies only where they feed
    conditions.
    """
    used = set(graph.codes)
    if not used <= _SCALAR_CODES or graph.projections:
        return False
    for leaf in graph.leaves.values():
        if leaf.shape not in (None, ()) or leaf.dtype not in (None, "float64"):
            return False
        if leaf.value is not None and type(leaf.value) is not float:
            return False
    if bool in map(type, graph.literals):
        return False
    truths = used & _TRUTH_CODES
    if not truths and REGISTRY.codes["where"] not in used:
        return True
    return _truths_feed_conditions(graph)


def _truths_feed_conditions(graph: Graph) -> bool:
    truth = {
        position
        for position, code in zip(graph.order, graph.codes, strict=True)
        if code in _TRUTH_CODES
    }
    for position, code in zip(graph.order, graph.codes, strict=True):
        op = REGISTRY.by_code(code)
        for place, source in enumerate(graph.sources(position)):
            wants_truth = op.group == "logic" or (op.name == "where" and place == 0)
            if (source in truth) != wants_truth:
                return False
    return True
