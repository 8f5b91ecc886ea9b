"""Derivatives of functions of one number: at the right place, and all of their factors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.grading.mistakes._facts import EdgeFacts, WireFacts, Wrong
from service.grading.mistakes.blocks import FUNCTIONS, blocks

TEXTS = {
    "pre_vs_post_activation": "The derivative of {op} at '{gate}' isn't right. Many are written "
    "with the *output* of the gate (sigmoid: s * (1 - s), tanh: 1 - t**2, exp: e), others with "
    "its *input* (log: 1/x): check which is used where, and that no factor is missing.",
}
WEIGHTS = {"pre_vs_post_activation": 9.3}
_OWN_FAMILY = {
    "square",
    "sqrt",
    "reciprocal",
    "negative",
    "relu",
    "abs",
    "identity",
    "leaky_relu",
    "clip",
}
"""Functions of one number that other families know better."""


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """The input for the output and the other way round; factors that are left out."""
    op = facts.gate.op
    if op.elementwise and op.arity == (1, 1) and op.group in ("unary", "activation"):
        if facts.op not in _OWN_FAMILY:
            yield from _misplaced(facts)
        for variant, value, text in _slips(facts.op, facts.g, facts.x, facts.y):
            yield Wrong("pre_vs_post_activation", variant, value, text)


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """The same for a function that is written out in steps."""
    for block in blocks(facts.done, facts.wire):
        g = facts.done.held.get(block.end)
        if block.kind not in FUNCTIONS or g is None:
            continue
        x, y = facts.x, facts.done.values[block.end]
        rest = facts.total - g * (y * (1 - y) if block.kind == "sigmoid" else 1 - y * y)
        for variant, value, text in _slips(block.kind, g, x, y):
            yield Wrong("pre_vs_post_activation", variant, rest + value, text)
        yield Wrong("pre_vs_post_activation", "none", rest + g, "g")


def _misplaced(facts: EdgeFacts) -> Iterator[Wrong]:
    """The gate's own rule, with the output put where the input belongs, and vice versa."""
    x, y = facts.x, facts.y
    at_output = facts.pull(inputs=[y], outputs=facts.gate.evaluate([y]))
    if at_output is not None:
        yield Wrong("pre_vs_post_activation", "at output", at_output, "the slope at y, not at x")
    from_input = facts.pull(outputs=[x])
    if from_input is not None:
        yield Wrong("pre_vs_post_activation", "from input", from_input, "x in place of y")


def _slips(op: str, g: Any, x: Any, y: Any) -> list[tuple[str, Any, str]]:
    match op:
        case "sigmoid":
            return [
                ("z(1-z)", g * x * (1 - x), "g * x * (1 - x)"),
                ("s alone", g * y, "g * s"),
                ("1-s alone", g * (1 - y), "g * (1 - s)"),
                ("1+s", g * y * (1 + y), "g * s * (1 + s)"),
                ("s-1", g * y * (y - 1), "g * s * (s - 1)"),
                ("s squared", g * (1 - y * y), "g * (1 - s**2)"),
            ]
        case "tanh":
            return [
                ("1-x^2", g * (1 - x * x), "g * (1 - x**2)"),
                ("1-t", g * (1 - y), "g * (1 - t)"),
                ("t^2", g * y * y, "g * t**2"),
                ("1+t^2", g * (1 + y * y), "g * (1 + t**2)"),
                ("as sigmoid", g * y * (1 - y), "g * t * (1 - t)"),
            ]
        case "exp":
            return [("x", g * x, "g * x"), ("power", g * x * np.exp(x - 1), "g * x * e**(x-1)")]
        case "log":
            return [
                ("itself", g * y, "g * log(x)"),
                ("y", g / y, "g / y"),
                ("x", g * x, "g * x"),
                ("-1/x^2", -g / (x * x), ""),
            ]
        case "sin":
            return [("minus", -g * np.cos(x), "-g * cos(x)"), ("same", g * y, "g * sin(x)")]
        case "cos":
            return [("minus", g * np.sin(x), "g * sin(x)"), ("same", g * y, "g * cos(x)")]
        case "softplus":
            return [("y", g * y, "g * y")]
        case "silu":
            s = 1 / (1 + np.exp(-x))
            return [("s", g * s, "g * s"), ("s'", g * x * s * (1 - s), "g * x * s * (1 - s)")]
    return []
