"""A sign, or a constant factor."""

from __future__ import annotations

from collections.abc import Iterator

from service.grading.mistakes._facts import EdgeFacts, WireFacts, Wrong

TEXTS = {
    "sign": "The gradient of '{wire}' has a sign turned, in all of it or in one of its terms: "
    "look for a minus that was lost, or is there once too often.",
    "scale": "The gradient of '{wire}' is off by one constant factor, as when a factor 2 or 1/2 "
    "is forgotten, or a division by the size of the batch.",
}
WEIGHTS = {"sign": 8.0, "scale": 5.0}


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


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """The whole gradient negated, or times a factor."""
    yield Wrong("sign", "", -facts.total, "negated")
    for name, factor in factors(facts.circuit.sizes):
        yield Wrong("scale", name, facts.total * factor, f"times {name}")
