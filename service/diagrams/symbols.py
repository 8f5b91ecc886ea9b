"""What stands inside a gate: the note's signs where it has one, else the operator's name."""

from __future__ import annotations

from collections.abc import Sequence

from service.diagrams import numbers
from service.engine.operators import REGISTRY

_POWERS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def symbol(name: str, literals: Sequence[float | bool | None]) -> str:
    """The sign of the operator `name`; `literals` holds its literal inputs at their places.

    A literal becomes part of the sign, as in the note's +1 and ×(−1) gates.
    """
    sign = REGISTRY[name].sign or name
    if isinstance(sign, str):
        return sign
    known = [(place, x) for place, x in enumerate(literals) if x is not None]
    if len(literals) != 2 or len(known) != 1:
        return sign[0]
    place, literal = known[0]
    template = sign[1 + place]
    if template == "^{}" and float(literal).is_integer():
        return "x" + str(int(literal)).translate(_POWERS)
    signed = template[0] in "×+" and float(literal) < 0
    return template.format(f"({short(literal)})" if signed else short(literal))


def short(literal: float | bool) -> str:
    """A literal as one writes it: 2 rather than 2.00."""
    if isinstance(literal, bool):
        return str(literal).lower()
    text = f"{literal:.4g}".replace("-", "−")
    return text if float(literal) == float(f"{literal:.4g}") else numbers.number(literal)
