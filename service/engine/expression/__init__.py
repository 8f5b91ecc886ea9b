"""Source text as a graph: Python's syntax, parsed and never executed.

Assignments make named nodes, the last one is the output; a bare expression is a graph of
its own. `x = 3` makes an input with a default, as the note's example values do; names
that are never assigned are inputs without one. What NumPy spells means what NumPy means.
Loops are unrolled, and shapes are known while the graph is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.engine.collector import CollectorHeldBack
from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.errors import GraphError
from service.engine.expression.reader import Reader
from service.engine.expression.syntax import MAX_LENGTH, MAX_NESTING, refused, tree
from service.engine.graph_spec import Columns, GraphSpec
from service.engine.operators import REGISTRY
from service.engine.registry import TensorSpec

_LONG = 1_000_000
"""A text with a loop may come to this many bytes of nodes."""
__all__ = ["MAX_LENGTH", "MAX_NESTING", "parse_expression"]


@dataclass(frozen=True, slots=True)
class SourceText:
    """A text whose graph may depend on the shapes and dtypes of its inputs.

    `needs_shapes`: it does, whatever they are; otherwise only inputs that aren't floating
    make a difference. `unrolls`: it has loops, so that it is read in more time than its
    length tells.
    """

    source: str
    limits: Limits
    needs_shapes: bool
    unrolls: bool
    output: str | None

    @property
    def slow(self) -> bool:
        """Whether it is read anew, with its loops, for every other shape."""
        return self.needs_shapes and self.unrolls

    def read(self, specs: Mapping[str, TensorSpec]) -> GraphSpec:
        """The graph for inputs of these shapes and dtypes."""
        return parse_expression(self.source, self.limits, specs)


def parse_expression(
    source: str, limits: Limits = DEFAULT_LIMITS, specs: Mapping[str, TensorSpec] | None = None
) -> GraphSpec:
    """The graph that `source` describes.

    Raises GraphError with the faults found: `syntax` with line and column,
    `unknown_operator` with a suggestion, `arity`, `attribute`; LimitExceeded for a text
    that unrolls to too many nodes.
    """
    with CollectorHeldBack(_LONG if "for" in source else 16 * len(source)):
        return _parsed(source, limits, specs)


def _parsed(source: str, limits: Limits, specs: Mapping[str, TensorSpec] | None) -> GraphSpec:
    parsed = tree(source)
    reader = Reader(source, limits, specs)
    try:
        output = reader.read(parsed)
        reader.finish_displays()
        output = reader.output() if not reader.faults else output
    except RecursionError:
        raise refused(
            "an expression nested too deeply", "break long or deep expressions into stages"
        ) from None
    if reader.faults:
        raise GraphError(reader.faults)
    text = SourceText(source, limits, reader.needs_shapes, reader.unrolls, output)
    if reader.needs_shapes:
        return _outline(reader, output, text)
    ids, labels = reader.names()
    spec = reader.tape.finish(output, ids)
    spec.labels = labels
    if specs is None:
        spec.text = text
    if reader.lines is not None:
        spec.places = {
            at: reader.place(line, column - 1) for at, (line, column) in reader.tape.places.items()
        }
    return spec


def _outline(reader: Reader, output: str | None, text: SourceText) -> GraphSpec:
    """The inputs and names of a text that is read once the shapes of its inputs are known."""
    tape = reader.tape
    leaves = sorted((node.position, name) for name, node in tape.inputs.items())
    names = [name for name in dict.fromkeys((*reader.versions, output)) if name is not None]
    ids = [name for _, name in leaves]
    nodes = [name for name in names if name not in tape.inputs]
    spec = GraphSpec(
        [*ids, *nodes],
        [],
        [],
        leaves={place: tape.leaves[position] for place, (position, _) in enumerate(leaves)},
        output=output,
        places={place: tape.places[position] for place, (position, _) in enumerate(leaves)},
    )
    columns = spec.columns = Columns()
    spec.order = list(range(len(ids), len(spec.ids)))
    columns.codes = [REGISTRY.codes["concat"]] * len(nodes)
    columns.first, columns.second = [0] * len(nodes), [0] * len(nodes)
    columns.many = dict.fromkeys(spec.order, (0,))
    spec.text = text
    return spec
