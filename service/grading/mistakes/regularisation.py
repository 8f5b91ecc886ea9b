"""Weight penalties: λ W² gives 2 λ W, and ½ λ W² gives λ W."""

from __future__ import annotations

from collections.abc import Iterator

from service.grading.mistakes._facts import WireFacts, Wrong

TEXTS = {
    "regularisation": "The gradient of '{wire}' is off by a multiple of '{wire}' itself: the "
    "weight penalty is missing, counted twice, or off by the factor 2 (λ W² gives 2 λ W, "
    "½ λ W² gives λ W).",
}
WEIGHTS = {"regularisation": 9.2}


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """Off by ±λW or ±2λW, where the graph has a penalty and λ is a number that stands in it."""
    if not facts.circuit.penalised or facts.wire not in facts.circuit.inputs:
        return
    strengths = {abs(one) for one in facts.circuit.constants if abs(one) < 10.0}
    halves = {one / 2 for one in strengths}
    for strength in sorted(strengths | halves):
        for factor in (-2.0, -1.0, 1.0, 2.0):
            amount = factor * strength
            yield Wrong(
                "regularisation",
                f"{amount:+.6g}",
                facts.total + amount * facts.x,
                f"off by {amount:+.6g} W",
            )
