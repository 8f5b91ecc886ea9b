"""Drawing a layout together from top to bottom, without bending what is straight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

ROUNDS = 12
_ENOUGH = 1.9
"""A layout this much higher than it must be is left as it is."""


def compacted(
    rows: Mapping[int, float],
    rank: Mapping[int, int],
    links: Sequence[tuple[int, int]],
    reach: Mapping[int, tuple[float, float]],
) -> dict[int, float]:
    """New rows for vertices, in the same order within every rank.

    `links` join vertices of neighbouring ranks; `reach` is the room above and below a
    vertex. Linked vertices at one height move as one block. Blocks are packed from above
    and from below, placed half-way between, and then moved towards what they are linked
    to as far as their neighbours let them.
    """
    block = _blocks(rows, links)
    below = _neighbours(rows, rank, reach, block)
    order = sorted(set(block.values()), key=lambda b: (rows[b], b))
    above: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
    for upper, pairs in below.items():
        for lower, distance in pairs.items():
            above[lower].append((upper, distance))
    top: dict[int, float] = {}
    for b in order:
        top[b] = max((top[a] + distance for a, distance in above[b]), default=0.0)
    height = max(top.values())
    if max(rows.values()) - min(rows.values()) <= _ENOUGH * height:
        return dict(rows)
    bottom: dict[int, float] = {}
    for b in reversed(order):
        bottom[b] = min((bottom[c] - d for c, d in below[b].items()), default=height)
    place = {b: (top[b] + bottom[b]) / 2 for b in order}
    pulls: defaultdict[int, list[int]] = defaultdict(list)
    for source, target in links:
        if block[source] != block[target]:
            pulls[block[source]].append(block[target])
            pulls[block[target]].append(block[source])
    for turn in range(ROUNDS):
        for b in order if turn % 2 else reversed(order):
            if not pulls[b]:
                continue
            lowest = max((place[a] + d for a, d in above[b]), default=0.0)
            highest = min((place[c] - d for c, d in below[b].items()), default=height)
            place[b] = min(max(_middle([place[p] for p in pulls[b]]), lowest), highest)
    return {vertex: place[block[vertex]] for vertex in rows}


def _middle(values: list[float]) -> float:
    values.sort()
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def _blocks(rows: Mapping[int, float], links: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Every vertex's block, named by its first vertex."""
    block = {vertex: vertex for vertex in rows}

    def first(vertex: int) -> int:
        while block[vertex] != vertex:
            block[vertex] = block[block[vertex]]
            vertex = block[vertex]
        return vertex

    for source, target in links:
        if rows[source] == rows[target]:
            a, b = sorted((first(source), first(target)))
            block[b] = a
    return {vertex: first(vertex) for vertex in rows}


def _neighbours(
    rows: Mapping[int, float],
    rank: Mapping[int, int],
    reach: Mapping[int, tuple[float, float]],
    block: Mapping[int, int],
) -> defaultdict[int, dict[int, float]]:
    """Per block the blocks right below it, and how far away they must be."""
    layers: defaultdict[int, list[int]] = defaultdict(list)
    for vertex, place in rank.items():
        layers[place].append(vertex)
    below: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for layer in layers.values():
        layer.sort(key=lambda vertex: (rows[vertex], vertex))
        for upper, lower in pairwise(layer):
            a, b = block[upper], block[lower]
            if a != b:
                distance = reach[upper][1] + reach[lower][0]
                below[a][b] = max(below[a].get(b, 0.0), distance)
    return below
