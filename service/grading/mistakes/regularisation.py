"""Weight penalties: λ W² gives 2 λ W, and ½ λ W² gives λ W."""

from __future__ import annotations

from collections.abc import Iterator

from service.grading.mistakes._facts import WireFacts, Wrong

TEXTS = {
    "regularisation": "The gradient of '{wire}' is off by a multiple of '{wire}' itself: the "
    "weight penalty is missing, counted twice, or off by the factor 2 (λ W² gives 2 λ W, "
    "½ λ W² gives λ W).",
}
WEIGHTS = {"regularisation": 12.5}


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """Off by ±λW or ±2λW, where the graph has a penalty and λ is a number that stands in it."""
    if not facts.circuit.penalised or facts.wire not in facts.circuit.inputs:
        return
    strengths = {abs(one) for one in facts.circuit.constants if abs(one) < 10.0}
    halves = {one / 2 for one in strengths}
    amounts = {
        factor * one for one in strengths | halves for factor in (-4.0, -2.0, -1.0, 1.0, 2.0)
    }
    averaged = {2 * one * (1 / n - 1) for one in strengths for n in facts.circuit.sizes}
    for amount in sorted(amounts | averaged):
        if abs(amount) > 0.0:
            yield Wrong(
                "regularisation",
                f"{amount:+.6g}",
                facts.total + amount * facts.x,
                f"off by {amount:+.6g} W",
            )
