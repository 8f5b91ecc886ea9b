"""The known mistakes: each is a source of wrong gradients made from local facts.

The same table serves twice: to recognise what a student submitted, and to plant mistakes
in correct work. A family is a module with a function `on_edge(facts)` for what one gate
sends back to one of its inputs, or `on_wire(facts)` for a wire's whole gradient; each
yields `Wrong`s. `TEXTS` says what each means, for students.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.grading.mistakes import (
    accumulation,
    activation,
    broadcasting,
    chain,
    matrices,
    normalisation,
    operands,
    powers,
    products,
    regularisation,
    routing,
    scaling,
    softmax,
)
from service.grading.mistakes._facts import EdgeFacts, WireFacts, Wrong

FAMILIES = (
    accumulation,
    products,
    powers,
    routing,
    activation,
    matrices,
    broadcasting,
    normalisation,
    softmax,
    regularisation,
    chain,
    scaling,
    operands,
)

TEXTS: Mapping[str, str] = {
    code: text for family in FAMILIES for code, text in family.TEXTS.items()
}
"""What each code means; `{wire}`, `{gate}`, `{op}` stand for the place."""

WEIGHTS: Mapping[str, float] = {
    code: weight for family in FAMILIES for code, weight in family.WEIGHTS.items()
}
"""How common each mistake is, in arbitrary units: what decides between those that fit."""


_RESORTS = {"value_for_gradient": 3.0, "other_wire": 1.0, "rounded": 12.0}


_SPECIAL = {
    ("scale", "left out"): 9.1,
    ("scale", "upside down"): 8.0,
    ("pre_vs_post_activation", "s-1"): 8.0,
}


def weight_of(code: str, variant: str) -> float:
    """How common a mistake is, in its variant."""
    return _SPECIAL.get((code, variant)) or WEIGHTS.get(code) or _RESORTS.get(code, 1.0)


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """Every wrong term that the table knows for this edge."""
    for family in FAMILIES:
        rule = getattr(family, "on_edge", None)
        if rule is not None:
            yield from rule(facts)


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """Every wrong gradient that the table knows for this wire as a whole."""
    for family in FAMILIES:
        rule = getattr(family, "on_wire", None)
        if rule is not None:
            yield from rule(facts)


__all__ = [
    "FAMILIES",
    "TEXTS",
    "WEIGHTS",
    "EdgeFacts",
    "WireFacts",
    "Wrong",
    "on_edge",
    "on_wire",
    "weight_of",
]
