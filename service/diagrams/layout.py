"""Where everything goes: layers from left to right, with room for every label.

The labels of the wires are vertices of the layout like the gates, so that the crossing
minimisation keeps them apart; long wires pass through the layers between their ends on
tracks of their own. Inside a layer all wires run level, and between two layers nothing
but wires is drawn. So no label can touch another one, or a wire that isn't its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from service.diagrams import layers, style, text
from service.diagrams.cells import Cells
from service.diagrams.circuit import Circuit, Edge, Node, Wire
from service.diagrams.rows import compacted

Point = tuple[float, float]
Role = Literal["node", "stem", "branch"]


@dataclass(slots=True)
class Box:
    """Something placed: a node, the label of a wire (`stem`) or of one branch of it.

    `x` and `y` are its centre. A wire passes through at height `y`, or for a node starts
    and ends there.
    """

    role: Role
    node: Node
    output: int = 0
    edge: Edge | None = None
    width: float = 0.0
    above: float = 0.0
    below: float = 0.0
    x: float = 0.0
    y: float = 0.0
    rank: int = 0
    left: float = 0.0
    right: float = 0.0

    @property
    def wire(self) -> Wire:
        return self.node.wires[self.output]


@dataclass(slots=True)
class Route:
    """A drawn line from box to box: the points at which it enters and leaves layers."""

    source: Box
    target: Box
    points: list[Point]


@dataclass(slots=True)
class Layout:
    """Boxes and routes in a picture of this width and height."""

    boxes: list[Box] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def room(circuit: Circuit) -> int:
    """How many vertices its layout has, those included at which long wires pass layers."""
    boxes, links = _vertices(circuit)
    layer = layers.longest_paths(len(boxes), links)
    return len(boxes) + sum(layer[target] - layer[source] - 1 for source, target in links)


def place(circuit: Circuit) -> Layout:
    """Lay a circuit out; the same circuit always gets the same layout."""
    boxes, links = _vertices(circuit)
    ranks, rows, chains = _layers(len(boxes), links, _spacing(boxes))
    _straighten_order(circuit, boxes, links, ranks, rows)
    rows = _drawn_together(boxes, links, ranks, rows, chains)
    return _coordinates(boxes, links, ranks, rows, chains)


def _vertices(circuit: Circuit) -> tuple[list[Box], list[tuple[int, int]]]:
    """A box per node, per wire and per branch of a wire, and the links between them."""
    boxes: list[Box] = []
    links: list[tuple[int, int]] = []
    number: dict[str, int] = {}
    for node in circuit.nodes:
        number[node.id] = len(boxes)
        boxes.append(_sized(Box("node", node)))
    outputs = set(circuit.outputs)
    for node in circuit.nodes:
        for output in range(len(node.wires)):
            readers = circuit.readers(node.id, output)
            leaves_here = (node.id, output) in outputs
            if not readers and not leaves_here and len(node.wires) > 1:
                continue
            stem = len(boxes)
            sole = readers[0] if len(readers) == 1 and not leaves_here else None
            boxes.append(_sized(Box("stem", node, output, sole)))
            links.append((number[node.id], stem))
            if sole is not None:
                links.append((stem, number[sole.target]))
                continue
            for edge in readers:
                branch = len(boxes)
                boxes.append(_sized(Box("branch", node, output, edge)))
                links += [(stem, branch), (branch, number[edge.target])]
            if leaves_here and readers:
                links.append((stem, len(boxes)))
                boxes.append(_sized(Box("branch", node, output)))
    return boxes, links


def _sized(box: Box) -> Box:
    """`box` with the room that its text takes."""
    node = box.node
    if box.role == "node":
        half = style.RADIUS
        if node.kind in ("gate", "group"):
            inside = text.width(node.label, style.SYMBOL)
            box.width = max(2 * half, inside + 14) + (
                2 * style.SHADOW if node.kind == "group" else 0
            )
            box.above = box.below = half
            if node.caption:
                box.below += style.LINE
                box.width = max(box.width, text.name_width(node.caption, style.SMALL) + 4)
        else:
            box.width = text.name_width(node.label, style.NAME) + 8
            box.above = box.below = style.NAME * 0.75
        return box
    above, below = label_lines(box)
    blocks = label_cells(box)
    sizes = [text.width(line, style.LABEL) for line in (*above, *below)]
    box.width = max([style.WIRE, *(size + 10 for size in sizes)])
    box.above = style.CLEAR + style.LINE * len(above)
    box.below = style.CLEAR + style.LINE * len(below)
    if blocks[0] is not None:
        box.above += blocks[0].height + style.CLEAR
    if blocks[1] is not None:
        box.below += blocks[1].height + style.CLEAR
    box.width = max([box.width, *(block.width + 10 for block in blocks if block is not None)])
    return box


def label_cells(box: Box) -> tuple[Cells | None, Cells | None]:
    """The cells above and below a wire, nearer to it than its lines of text."""
    if box.role == "branch":
        return None, None if box.edge is None else box.edge.gradient_cells
    return box.wire.value_cells, box.wire.gradient_cells


def label_lines(box: Box) -> tuple[list[str], list[str]]:
    """What is written above and below a wire: (shape, value) and the gradient."""
    wire, edge = box.wire, box.edge
    if box.role == "branch":
        if edge is None:
            return [], []
        count = [f"{edge.count} wires"] if edge.count > 1 else []
        return count, _words(edge.gradient, edge.gradient_cells)
    above = [] if wire.shape == () else [style.shape_text(wire.shape)]
    above += _words(wire.value, wire.value_cells)
    if edge is not None and edge.count > 1:
        above.append(f"{edge.count} wires")
    return above, _words(wire.gradient, wire.gradient_cells)


def _words(text: str | None, block: Cells | None) -> list[str]:
    """The text of a value, or what is said beside its cells."""
    if block is not None:
        return [block.words] if block.words else []
    return [] if text is None else [text]


def _spacing(boxes: Sequence[Box]) -> float:
    above = max(box.above for box in boxes)
    below = max(box.below for box in boxes)
    return above + below + style.ROW_GAP


Chain = list[int]


def _layers(
    count: int, links: Sequence[tuple[int, int]], spacing: float
) -> tuple[list[int], dict[int, float], dict[tuple[int, int], Chain]]:
    """Rank and row of every vertex, and the dummy vertices that each link passes through.

    Parts that don't hang together are stacked one below the other. Dummy vertices have
    numbers from `count` on.
    """
    ranks = [0] * count
    rows: dict[int, float] = {}
    chains: dict[tuple[int, int], Chain] = {}
    offset, fresh = 0.0, count
    for part, inside in _parts(count, links):
        placed, edges = layers.arrange(len(part), inside, spacing)
        rank_of = {y: rank for rank, y in enumerate(sorted({y for _, y in placed.values()}))}
        top = min(x for x, _ in placed.values())
        name = dict(enumerate(part))
        for vertex, (x, y) in sorted(placed.items(), key=lambda item: (item[1][1], item[1][0])):
            if vertex in name:
                ranks[name[vertex]] = rank_of[y]
            else:
                name[vertex] = fresh
                fresh += 1
            rows[name[vertex]] = x - top + offset
        offset += max(x for x, _ in placed.values()) - top + spacing
        following = {source: target for source, target in edges if source >= len(part)}
        for source, target in edges:
            if source < len(part):
                chain = []
                while target >= len(part):
                    chain.append(name[target])
                    target = following[target]
                chains[name[source], name[target]] = chain
    return ranks, rows, chains


def _parts(
    count: int, links: Sequence[tuple[int, int]]
) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """The connected parts: their vertices, and their links by the vertices' places there."""
    parent = list(range(count))

    def root(vertex: int) -> int:
        while parent[vertex] != vertex:
            parent[vertex] = parent[parent[vertex]]
            vertex = parent[vertex]
        return vertex

    for source, target in links:
        a, b = sorted((root(source), root(target)))
        parent[b] = a
    members: defaultdict[int, list[int]] = defaultdict(list)
    for vertex in range(count):
        members[root(vertex)].append(vertex)
    place = {vertex: i for part in members.values() for i, vertex in enumerate(part)}
    inside: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for source, target in sorted(links):
        inside[root(source)].append((place[source], place[target]))
    return [(part, inside[first]) for first, part in members.items()]


def _straighten_order(
    circuit: Circuit,
    boxes: Sequence[Box],
    links: Sequence[tuple[int, int]],
    ranks: Sequence[int],
    rows: dict[int, float],
) -> None:
    """Bring the inputs of gates into their order from top to bottom, where that is free.

    The whole picture is mirrored when most pairs stand upside down; then two leaves of
    the same gate change places.
    """
    into: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for source, target in links:
        edge = boxes[source].edge
        if boxes[source].role != "node" and boxes[target].role == "node" and edge is not None:
            into[target].append((edge.input_index, source))
    ordered = [[source for _, source in sorted(pairs)] for _, pairs in sorted(into.items())]
    pairs = [pair for sources in ordered for pair in pairwise(sources)]
    inverted = sum(rows[a] > rows[b] for a, b in pairs)
    if inverted * 2 > len(pairs):
        bottom = max(rows.values())
        for vertex in rows:
            rows[vertex] = bottom - rows[vertex]
    driver = {target: source for source, target in links if boxes[source].role == "node"}
    for a, b in pairs:
        if rows[a] <= rows[b] or ranks[a] != ranks[b]:
            continue
        first, second = driver.get(a), driver.get(b)
        if first is None or second is None or ranks[first] != ranks[second]:
            continue
        if boxes[first].node.kind in ("gate", "group") or boxes[second].node.kind in (
            "gate",
            "group",
        ):
            continue
        rows[a], rows[b] = rows[b], rows[a]
        rows[first], rows[second] = rows[second], rows[first]


def _drawn_together(
    boxes: Sequence[Box],
    links: Sequence[tuple[int, int]],
    ranks: Sequence[int],
    rows: dict[int, float],
    chains: dict[tuple[int, int], Chain],
) -> dict[int, float]:
    """The rows with empty room taken out; every vertex keeps room for its text."""
    rank = dict(enumerate(ranks))
    half = style.ROW_GAP / 2
    reach = {vertex: (box.above + half, box.below + half) for vertex, box in enumerate(boxes)}
    steps: list[tuple[int, int]] = []
    for source, target in links:
        stops = [source, *chains.get((source, target), ()), target]
        for step, vertex in enumerate(stops[1:-1], 1):
            rank[vertex] = ranks[source] + step
            reach[vertex] = (style.TRACK_REACH, style.TRACK_REACH)
        steps += pairwise(stops)
    return compacted(rows, rank, steps, reach)


def _coordinates(
    boxes: list[Box],
    links: Sequence[tuple[int, int]],
    ranks: Sequence[int],
    rows: dict[int, float],
    chains: dict[tuple[int, int], Chain],
) -> Layout:
    """Columns as wide as their widest box, gaps as wide as their steepest wire needs."""
    columns = max(ranks) + 1
    widths = [0.0] * columns
    climbs = [0.0] * columns
    for box, rank in zip(boxes, ranks, strict=True):
        widths[rank] = max(widths[rank], box.width)
    for source, target in links:
        stops = [source, *chains.get((source, target), ()), target]
        for step, (a, b) in enumerate(pairwise(stops), ranks[source]):
            climbs[step] = max(climbs[step], abs(rows[a] - rows[b]))
    left = [style.MARGIN]
    for rank in range(columns):
        gap = min(max(style.GAP, climbs[rank] * 0.22), style.WIDEST_GAP) if climbs[rank] else 0.0
        left.append(left[-1] + widths[rank] + gap)
    top = min(rows[v] - boxes[v].above for v in range(len(boxes)))
    tracks = [row for v, row in rows.items() if v >= len(boxes)]
    top = min([top, *tracks]) - style.MARGIN
    layout = Layout(boxes)
    for vertex, box in enumerate(boxes):
        box.rank = ranks[vertex]
        box.left, box.right = left[box.rank], left[box.rank] + widths[box.rank]
        box.x = (box.left + box.right) / 2
        if box.role == "node" and box.node.kind in ("input", "constant"):
            box.x = box.right - box.width / 2
        box.y = rows[vertex] - top
    for source, target in links:
        a, b = boxes[source], boxes[target]
        points = [(_exit(a), a.y), (a.right, a.y)]
        for step, track in enumerate(chains.get((source, target), ()), 1):
            y = rows[track] - top
            points += [(left[a.rank + step], y), (left[a.rank + step] + widths[a.rank + step], y)]
        points += [(b.left, b.y), (_entry(b), b.y)]
        layout.routes.append(Route(a, b, points))
    deepest = max([box.y + box.below for box in boxes] + [row - top for row in tracks])
    layout.width = max(box.right for box in boxes) + style.MARGIN
    layout.height = deepest + style.MARGIN
    return layout


def _exit(box: Box) -> float:
    """Where a wire leaves a box: a gate's rim, the far side of a label."""
    if box.role != "node":
        return box.right
    return box.x + _half(box) + (style.SHADOW if box.node.kind == "group" else 0)


def _entry(box: Box) -> float:
    """Where a wire ends at a box: a gate's rim, the far side of a label that it carries."""
    return box.right if box.role != "node" else box.x - _half(box)


def _half(box: Box) -> float:
    if box.node.kind in ("gate", "group"):
        return gate_width(box.node) / 2
    return box.width / 2


def gate_width(node: Node) -> float:
    """The width of a gate's circle, or of the rounded box of a longer symbol."""
    inside = text.width(node.label, style.SYMBOL)
    return max(2 * style.RADIUS, inside + 14)
