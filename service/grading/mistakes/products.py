"""Products and quotients: a product switches, a quotient divides and turns the sign."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.grading.mistakes._facts import EdgeFacts, Wrong

TEXTS = {
    "mul_not_swapped": "A multiply gate switches its inputs: the gradient of '{wire}' is the "
    "upstream gradient times the value of the *other* input of '{gate}'. Yours is taken times "
    "its own.",
    "reciprocal": "The derivative of a quotient or reciprocal at '{gate}' ({op}) isn't right: "
    "1/x has the derivative -1/x**2, minus and square included.",
}
WEIGHTS = {"mul_not_swapped": 9.0, "reciprocal": 9.0}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """The own value for the other's; what is left of -a/b² when a part of it is lost."""
    g: Any = facts.g
    match facts.op:
        case "multiply":
            yield from _fitted(facts, "mul_not_swapped", "", g * facts.x, "g * own value")
        case "divide" if facts.index == 0:
            b = facts.inputs[1]
            yield from _fitted(facts, "reciprocal", "times", g * b, "g * b")
            yield from _fitted(facts, "reciprocal", "square", g / (b * b), "g / b**2")
        case "divide":
            a, b = facts.inputs
            y = facts.y
            for variant, value, text in (
                ("minus", g * a / (b * b), "g * a / b**2"),
                ("power", -g * a / b, "-g * a / b"),
                ("both", g * a / b, "g * a / b"),
                ("numerator", -g / (b * b), "-g / b**2"),
                ("numerator minus", g / (b * b), "g / b**2"),
                ("numerator power", -g / b, "-g / b"),
                ("one", g / b, "g / b"),
                ("value", g * y, "g * y"),
            ):
                yield from _fitted(facts, "reciprocal", variant, value, text)
        case "reciprocal":
            yield from of_reciprocal(facts, facts.x)
        case "pow" if facts.index == 0 and _exponent(facts) == -1.0:
            yield from of_reciprocal(facts, facts.x)


def of_reciprocal(facts: EdgeFacts, x: Any) -> Iterator[Wrong]:
    """What people write for the derivative of 1/x."""
    g = facts.g
    for variant, value, text in (
        ("minus", g / (x * x), "g / x**2"),
        ("power", -g / x, "-g / x"),
        ("one", g / x, "g / x"),
        ("square", -g * (x * x), "-g * x**2"),
        ("log", g * np.log(np.abs(x)), "g * log(x)"),
    ):
        yield from _fitted(facts, "reciprocal", variant, value, text)


def _exponent(facts: EdgeFacts) -> float | None:
    b = np.asarray(facts.inputs[1])
    return float(b) if b.ndim == 0 else None


def _fitted(facts: EdgeFacts, code: str, variant: str, value: Any, text: str) -> Iterator[Wrong]:
    fitted = facts.fit(value)
    if fitted is not None:
        yield Wrong(code, variant, fitted, text)
