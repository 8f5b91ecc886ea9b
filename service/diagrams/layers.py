"""Layers and rows for the vertices of a drawing that hang together.

Where fast-sugiyama is installed it does this. `plain` is for where it has no wheel: longest
paths for layers, medians against crossings, and least squares for the rows; its pictures have
a few more crossings and bends.

Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical
system structures", 1981.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise

from service.diagrams import style

Point = tuple[float, float]
Link = tuple[int, int]
Placed = tuple[dict[int, Point], list[Link]]
"""(row, layer) of vertices and of dummies, numbered behind them; and links between all."""

_SWEEPS = 8


LIBRARY_VERTICES = 1_000
"""fast-sugiyama lets no other thread run, 30 ms long for so many; more take far longer."""


def arrange(count: int, links: list[Link], spacing: float) -> Placed:
    """Rows and layers of connected vertices 0 to count - 1, and of dummies where links pass.

    Layers count from the vertices that read nothing; neighbours in a layer are `spacing`
    apart, dummies less.
    """
    if not links:
        return {0: (0.0, 0.0)}, []
    layer = longest_paths(count, links)
    passed = sum(layer[target] - layer[source] - 1 for source, target in links)
    return (_arranged if count + passed <= LIBRARY_VERTICES else plain)(count, links, spacing)


def plain(count: int, links: list[Link], spacing: float) -> Placed:
    """`arrange` by this module alone."""
    layer = longest_paths(count, links)
    short: list[Link] = []
    for source, target in links:
        stops = [source]
        for between in range(layer[source] + 1, layer[target]):
            stops.append(len(layer))
            layer.append(between)
        short += pairwise([*stops, target])
    above: defaultdict[int, list[int]] = defaultdict(list)
    below: defaultdict[int, list[int]] = defaultdict(list)
    for source, target in short:
        below[source].append(target)
        above[target].append(source)
    rows = _ordered(layer, above, below)
    heights = [spacing if vertex < count else spacing * style.TRACK for vertex in range(len(layer))]
    places = _balanced(rows, above, below, heights)
    return {vertex: (places[vertex], float(rank)) for vertex, rank in enumerate(layer)}, short


def longest_paths(count: int, links: Sequence[Link]) -> list[int]:
    """A layer for every vertex: by its longest path from what reads nothing.

    Then a tree of vertices that are read once each moves down to its reader, so that no long
    link leads there.
    """
    readers: list[list[int]] = [[] for _ in range(count)]
    sources: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        readers[source].append(target)
        sources[target].append(source)
    waiting = [len(found) for found in sources]
    order = [vertex for vertex in range(count) if not waiting[vertex]]
    layer = [0] * count
    follows = [True] * count
    for vertex in order:
        follows[vertex] = all(follows[one] and len(readers[one]) == 1 for one in sources[vertex])
        for reader in readers[vertex]:
            layer[reader] = max(layer[reader], layer[vertex] + 1)
            waiting[reader] -= 1
            if not waiting[reader]:
                order.append(reader)
    for vertex in reversed(order):
        if follows[vertex] and readers[vertex]:
            layer[vertex] = min(layer[reader] for reader in readers[vertex]) - 1
    lowest = min(layer)
    return [rank - lowest for rank in layer]


Neighbours = dict[int, list[int]]


def _ordered(layer: Sequence[int], above: Neighbours, below: Neighbours) -> list[list[int]]:
    """The vertices of every layer in an order with few crossings."""
    rows: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    for vertex, rank in enumerate(layer):
        rows[rank].append(vertex)
    place = {vertex: i for row in rows for i, vertex in enumerate(row)}

    def median(vertex: int, neighbours: Neighbours) -> float:
        found = sorted(place[other] for other in neighbours.get(vertex, ()))
        if not found:
            return float(place[vertex])
        return (found[(len(found) - 1) // 2] + found[len(found) // 2]) / 2

    best, fewest = rows, _crossings(rows, below, place)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        rows = [list(row) for row in rows]
        for row in rows[1:] if down else rows[-2::-1]:
            neighbours = above if down else below
            key = {vertex: median(vertex, neighbours) for vertex in row}
            row.sort(key=key.__getitem__)
            place.update((vertex, i) for i, vertex in enumerate(row))
        crossings = _crossings(rows, below, place)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _crossings(rows: Sequence[Sequence[int]], below: Neighbours, place: dict[int, int]) -> int:
    """How often links cross: inversions between neighbouring layers, by a Fenwick tree."""
    total = 0
    for row, following in pairwise(rows):
        tree = [0] * (len(following) + 1)
        seen = 0
        for vertex in row:
            ends = sorted(place[other] for other in below.get(vertex, ()))
            for end in ends:
                at, before = end + 1, 0
                while at:
                    before += tree[at]
                    at &= at - 1
                total += seen - before
            for end in ends:
                at = end + 1
                while at <= len(following):
                    tree[at] += 1
                    at += at & -at
            seen += len(ends)
    return total


def _balanced(
    rows: Sequence[Sequence[int]], above: Neighbours, below: Neighbours, heights: Sequence[float]
) -> dict[int, float]:
    """A height for every vertex, near those of its neighbours, in the order of its layer."""
    places: dict[int, float] = {}
    for row in rows:
        at = 0.0
        for before, vertex in zip([None, *row], row, strict=False):
            at += 0.0 if before is None else (heights[before] + heights[vertex]) / 2
            places[vertex] = at
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            wanted = []
            for vertex in row:
                near = (above if down else below).get(vertex) or [vertex]
                wanted.append(sum(places[other] for other in near) / len(near))
            places.update(zip(row, _apart(row, wanted, heights), strict=True))
    return places


def _apart(row: Sequence[int], wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """The heights closest to `wanted` by least squares that keep the row's distances.

    Pools adjacent violators: with the distances taken off it is isotonic regression.
    """
    offsets = [0.0]
    for a, b in pairwise(row):
        offsets.append(offsets[-1] + (heights[a] + heights[b]) / 2)
    pools: list[tuple[float, int]] = []
    for goal, offset in zip(wanted, offsets, strict=True):
        mean, size = goal - offset, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    level = [mean for mean, size in pools for _ in range(size)]
    return [mean + offset for mean, offset in zip(level, offsets, strict=True)]


def _by_library(from_edges: Callable[..., object]) -> Callable[[int, list[Link], float], Placed]:
    def arranged(count: int, links: list[Link], spacing: float) -> Placed:
        # The library may give a dummy the highest number in use: an unrelated pair holds it.
        layouts = from_edges(
            [*links, (count, count + 1)],
            vertex_spacing=spacing,
            dummy_vertices=True,
            dummy_size=spacing * style.TRACK,
            ranking_type="minimize",
        )
        for positions, _, _, edges in layouts:  # type: ignore[attr-defined]
            placed = {int(vertex): (float(x), -float(y)) for vertex, (x, y) in positions}
            if 0 in placed:
                return placed, [(int(source), int(target)) for source, target in edges or ()]
        raise AssertionError("the layout lost its vertices")

    return arranged


_arranged: Callable[[int, list[Link], float], Placed] = plain
with suppress(ImportError):
    from fast_sugiyama import from_edges

    _arranged = _by_library(from_edges)
