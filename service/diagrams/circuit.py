"""A circuit to draw: gates and leaves, and the wires between them. Knows no engine.

A node drives one wire per output. Where a wire branches, each branch carries its own
part of the gradient; the parts add up to the wire's gradient.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from service.diagrams.cells import Cells

Shape = tuple[int, ...]
Kind = Literal["input", "constant", "gate", "group"]


@dataclass(frozen=True, slots=True)
class Wire:
    """What is written at a node's output: value, gradient and shape as text.

    `gradient` is None where there is none to show; `shape` is () for a scalar. The cells
    are drawn in place of the text where they are given.
    """

    value: str | None = None
    gradient: str | None = None
    shape: Shape = ()
    value_cells: Cells | None = None
    gradient_cells: Cells | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A leaf (`input`, `constant`), a gate, or a `group` of `count` gates.

    `label` is the text of the picture (a leaf's name, a gate's symbol); `caption` stands
    below the gate (its name, where it has one of its own); `tip` is its longer
    description.
    """

    id: str
    label: str
    kind: Kind = "gate"
    op: str = ""
    caption: str = ""
    tip: str = ""
    wires: tuple[Wire, ...] = (Wire(),)
    count: int = 1


@dataclass(frozen=True, slots=True)
class Edge:
    """Output `output` of `source` read as input `input_index` of `target`.

    `gradient` is what flows back along this edge alone. `count` is how many edges of the
    original graph this one stands for.
    """

    source: str
    target: str
    input_index: int
    output: int = 0
    gradient: str | None = None
    tip: str = ""
    count: int = 1
    gradient_cells: Cells | None = None


@dataclass(frozen=True, slots=True)
class Circuit:
    """Nodes in evaluation order and all edges, parallel ones included.

    `outputs` are the (node, output) pairs whose wires leave the circuit to the right.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    outputs: tuple[tuple[str, int], ...] = ()
    title: str = "Computation graph"
    note: str = ""
    _readers: dict[tuple[str, int], list[Edge]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    _by_id: dict[str, Node] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        readers: defaultdict[tuple[str, int], list[Edge]] = defaultdict(list)
        for edge in self.edges:
            readers[edge.source, edge.output].append(edge)
        object.__setattr__(self, "_readers", dict(readers))
        object.__setattr__(self, "_by_id", {node.id: node for node in self.nodes})

    def readers(self, node: str, output: int = 0) -> list[Edge]:
        """The edges that branch off a wire, in the order in which they were given."""
        return self._readers.get((node, output), [])

    def node(self, name: str) -> Node:
        """The node of that id."""
        return self._by_id[name]

    @property
    def description(self) -> str:
        """The circuit in a few sentences, for those who don't see it."""
        leaves = [n for n in self.nodes if n.kind == "input"]
        gates = sum(n.count for n in self.nodes if n.kind in ("gate", "group"))
        parts = [f"A circuit of {gates} gates and {sum(n.count for n in leaves)} inputs."]
        if len(self.nodes) <= 30:
            for node in self.nodes:
                said = _said(node)
                if said:
                    parts.append(said)
        if self.note:
            parts.append(self.note)
        return " ".join(parts)


def _said(node: Node) -> str:
    name = node.caption or node.label if node.kind == "gate" else node.id
    wire = node.wires[0]
    if wire.value is None:
        return ""
    said = f"{name} is {wire.value}"
    return f"{said}, its gradient {wire.gradient}." if wire.gradient is not None else f"{said}."
