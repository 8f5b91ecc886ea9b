"""A sign, or a constant factor."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from service.grading.mistakes._facts import EdgeFacts, WireFacts, Wrong

TEXTS = {
    "sign": "The gradient of '{wire}' has a sign turned, in all of it or in one of its terms: "
    "look for a minus that was lost, or is there once too often.",
    "scale": "The gradient of '{wire}' is off by one constant factor, as when a factor 2 or 1/2 "
    "is forgotten, or a division by the size of the batch.",
}
_MOST_TERMS = 5
WEIGHTS = {"sign": 8.5, "scale": 5.0}


def factors(sizes: tuple[int, ...]) -> list[tuple[str, float]]:
    """Factors that people forget or add: 2, 4, and the lengths of axes, both ways."""
    found: dict[float, str] = {}
    for number in (2, 4, *sizes):
        found.setdefault(float(number), str(number))
        found.setdefault(1.0 / number, f"1/{number}")
    return [(name, factor) for factor, name in found.items()]


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """One term negated."""
    yield Wrong("sign", "term", -facts.part, "one term negated")
    if facts.op in ("multiply", "divide") and facts.gate.sources[1 - facts.index] is None:
        once = facts.fit(facts.g)
        if once is not None:
            yield Wrong("scale", "left out", once, "without the constant factor")
            yield Wrong("scale", "upside down", once * once / facts.part, "by its reciprocal")
    if facts.op == "mean":
        count = np.size(facts.x) / max(1, np.size(facts.y))
        yield Wrong("scale", "left out", facts.part * count, "the sum for the mean")
        for size in (count - 1, *facts.circuit.sizes):
            if size not in (count, 0):
                yield Wrong("scale", f"1/{size:g}", facts.part * count / size, f"over {size:g}")


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """The whole gradient negated, or times a factor."""
    yield Wrong("sign", "", -facts.total, "negated")
    edges = sorted(facts.parts)
    if 2 < len(edges) <= _MOST_TERMS:
        for size in range(2, len(edges)):
            for some in combinations(edges, size):
                turned = facts.total - 2.0 * facts.sum(some)
                yield Wrong("sign", f"terms {some}", turned, "some terms negated")
    for name, factor in factors(facts.circuit.sizes):
        yield Wrong("scale", name, facts.total * factor, f"times {name}")
