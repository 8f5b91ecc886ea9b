"""Large circuits, summarised: gates of one kind and depth become one group."""

from __future__ import annotations

from collections import Counter, defaultdict

from service.diagrams.circuit import Circuit, Edge, Node, Wire

MOST_GROUPS = 80
"""A summary has about as many boxes at the most."""


def summarised(circuit: Circuit, limit: int) -> Circuit:
    """`circuit` with its nodes grouped and counted.

    Gates of one operator at one depth are one group; where that leaves too many, layers
    of neighbouring depths are merged, whatever their operators. Leaves are grouped by
    the layer that first reads them. Edges are bundled.
    """
    depth = _depths(circuit)
    deepest = max(depth.values(), default=0)
    most = min(MOST_GROUPS, max(limit, 3))
    gates = [node for node in circuit.nodes if node.kind == "gate"]
    by_kind = len({(depth[node.id], node.op) for node in gates}) <= most
    band = 1 if by_kind else max(1, -(-deepest // max(1, most // 2)))
    group: dict[str, tuple[int, str]] = {}
    for node in gates:
        group[node.id] = (-(-depth[node.id] // band), node.op if by_kind else "")
    first_reader: dict[str, int] = {}
    for edge in circuit.edges:
        if edge.source not in group:
            layer = group[edge.target][0]
            first_reader[edge.source] = min(first_reader.get(edge.source, layer), layer)
    for node in circuit.nodes:
        if node.id not in group:
            group[node.id] = (-first_reader.get(node.id, 1), node.kind)
    members: defaultdict[tuple[int, str], list[Node]] = defaultdict(list)
    for node in circuit.nodes:
        members[group[node.id]].append(node)
    nodes = tuple(_group(key, nodes) for key, nodes in members.items())
    bundles = Counter(
        (group[edge.source], group[edge.target])
        for edge in circuit.edges
        if group[edge.source] != group[edge.target]
    )
    into: Counter[str] = Counter()
    edges = []
    for (source, target), count in bundles.items():
        edges.append(Edge(_id(source), _id(target), into[_id(target)], count=count))
        into[_id(target)] += 1
    ends = dict.fromkeys((_id(group[name]), 0) for name, _ in circuit.outputs)
    count = len(circuit.nodes)
    note = f"{count:,} nodes in {len(nodes)} groups; a number of wires stands on each bundle"
    return Circuit(nodes, tuple(edges), tuple(ends), circuit.title, note)


def _depths(circuit: Circuit) -> dict[str, int]:
    """The length of the longest path from a leaf; nodes come in evaluation order."""
    into: defaultdict[str, list[str]] = defaultdict(list)
    for edge in circuit.edges:
        into[edge.target].append(edge.source)
    depth: dict[str, int] = {}
    for node in circuit.nodes:
        depth[node.id] = 1 + max((depth[s] for s in into[node.id]), default=-1)
    return depth


def _id(key: tuple[int, str]) -> str:
    return f"{key[1] or 'layer'}@{abs(key[0])}"


def _group(key: tuple[int, str], nodes: list[Node]) -> Node:
    first = nodes[0]
    shapes = {wire.shape for node in nodes for wire in node.wires}
    shape = shapes.pop() if len(shapes) == 1 else ()
    counts = Counter(node.label for node in nodes)
    if len(nodes) == 1:
        return Node(
            _id(key),
            first.label,
            first.kind,
            first.op,
            first.caption,
            first.id,
            (Wire(shape=shape),),
        )
    listed = ", ".join(f"{count:,} {label}" for label, count in counts.most_common(2))
    if first.kind in ("input", "constant"):
        listed = f"{len(nodes):,} {first.kind}s"
    elif len(counts) > 2:
        listed += ", …"
    names = ", ".join(node.id for node in nodes[:8]) + (", …" if len(nodes) > 8 else "")
    return Node(_id(key), listed, "group", first.op, "", names, (Wire(shape=shape),), len(nodes))
