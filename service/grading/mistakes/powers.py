"""Powers: the exponent comes down, and goes down by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.grading.mistakes._facts import EdgeFacts, Wrong

TEXTS = {
    "power_rule": "The power rule at '{gate}' ({op}) isn't right: x**n has the derivative "
    "n * x**(n-1). Is the factor n there, and has the exponent gone down by one?",
}
WEIGHTS = {"power_rule": 9.0}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """x**n with the factor, or the step of the exponent, left out."""
    match facts.op:
        case "square":
            yield from _power(facts, facts.x, np.float64(2.0))
        case "sqrt":
            yield from _power(facts, facts.x, np.float64(0.5))
        case "pow" if facts.index == 0:
            yield from _power(facts, *facts.inputs)
        case "pow":
            g, y, a = facts.g, facts.y, facts.inputs[0]
            b = facts.inputs[1]
            for variant, value, text in (
                ("no log", g * y, "g * a**b"),
                ("log alone", g * np.log(np.abs(a)), "g * log(a)"),
                ("as base", g * b * np.power(a, b - 1.0), "g * b * a**(b-1)"),
            ):
                fitted = facts.fit(value)
                if fitted is not None:
                    yield Wrong("power_rule", variant, fitted, text)
        case "multiply" if facts.gate.sources[0] == facts.gate.sources[1]:
            yield Wrong("power_rule", "cubed", facts.g * facts.x * facts.x, "g * x * x")


def _power(facts: EdgeFacts, x: Any, n: Any) -> Iterator[Wrong]:
    g = facts.g
    for variant, value, text in (
        ("factor", g * np.power(x, n - 1.0), "g * x**(n-1)"),
        ("exponent", g * n * np.power(x, n), "g * n * x**n"),
        ("neither", g * np.power(x, n), "g * x**n"),
        ("n - 1", g * (n - 1.0) * np.power(x, n - 1.0), "g * (n-1) * x**(n-1)"),
        ("n alone", g * n, "g * n"),
        ("up", g * np.power(x, n + 1.0) / (n + 1.0), "g * x**(n+1) / (n+1)"),
    ):
        fitted = facts.fit(value)
        if fitted is not None:
            yield Wrong("power_rule", variant, fitted, text)
