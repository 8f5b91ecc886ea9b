"""What happened at a gate on the way back, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.diagrams.numbers import number, tensor
from service.engine.registry import Operator


@dataclass(frozen=True, slots=True)
class Branch:
    """One input of a gate: its name, its value, and what was sent back to it, if anything."""

    name: str
    value: Any
    local: Any = None
    contribution: Any = None
    literal: bool = False


def backward_sentence(
    op: Operator, node: str, upstream: Any, branches: Sequence[Branch], output: Any
) -> str:
    """What the gate did with the upstream gradient. `upstream` is None for several outputs."""
    if upstream is None:
        return f"{op.name} sent the gradients on its outputs back to {_names(branches)}."
    g = tensor(upstream)
    scalar = np.ndim(upstream) == 0 and all(np.ndim(b.value) == 0 for b in branches)
    match op.name:
        case "add":
            return f"add passed the gradient {g} on, unchanged, to {_names(branches)}."
        case "subtract" | "negative":
            parts = [f"{tensor(b.contribution)} to {b.name}" for b in _reached(branches)]
            turned = (
                "with its sign turned"
                if op.name == "negative"
                else ("unchanged to what is added and with its sign turned to what is taken away")
            )
            return f"{op.name} passed the gradient {g} on {turned}: {_joined(parts)}."
        case "multiply" if scalar:
            parts = [_times(b, g) for b in _reached(branches)]
            return f"multiply gave each input the other's value times {g}: {_joined(parts)}."
        case "multiply":
            return (
                f"multiply gave each input the upstream gradient times the other input, "
                f"element by element: {_joined(_sent(branches))}."
            )
        case "matmul":
            return (
                f"matmul gave each operand the product of the upstream gradient with the other "
                f"one, transposed: {_joined(_sent(branches))}."
            )
        case "maximum" | "minimum" if scalar:
            return _routed(op, g, branches)
        case "relu" if scalar:
            (x,) = branches
            if float(x.value) > 0:
                return f"relu let the gradient {g} through, since {x.name} = {number(x.value)} > 0."
            value = number(x.value)
            return f"relu stopped the gradient {g}, since {x.name} = {value} is not positive."
        case "relu" | "maximum" | "minimum" | "max" | "min" | "clip" | "where":
            return _let_through(op, branches, upstream)
        case "sum" | "mean":
            (x,) = branches
            size, count = np.size(x.value), max(np.size(upstream), 1)
            each = "" if op.name == "sum" else f", divided by {size // count},"
            return f"{op.name} gave the gradient {g}{each} to every one of the {size} elements."
    reached = _reached(branches)
    if scalar and reached and all(b.local is not None for b in reached):
        parts = [_times(b, g) for b in reached]
        return f"{op.name} chained local gradient and upstream gradient: {_joined(parts)}."
    if op.gradient_formula and reached:
        return f"{op.name} sent back {_joined(_sent(branches))}, by {op.gradient_formula}."
    return (
        f"{op.name} sent back {_joined(_sent(branches))}."
        if reached
        else (f"{op.name} has no gradient: nothing flows back through it.")
    )


def _times(branch: Branch, g: str) -> str:
    """Local gradient times upstream, as an equation."""
    return f"{branch.name} gets {tensor(branch.local)} × {g} = {tensor(branch.contribution)}"


def _routed(op: Operator, g: str, branches: Sequence[Branch]) -> str:
    """A scalar maximum or minimum."""
    word = "larger" if op.name == "maximum" else "smaller"
    if len(branches) > 2:
        word = "largest" if op.name == "maximum" else "smallest"
    short = "max" if op.name == "maximum" else "min"
    winners = [b for b in _reached(branches) if b.contribution != 0]
    if len(winners) == 1 and not winners[0].literal:
        losers = [b.name for b in branches if b is not winners[0] and not b.literal]
        rest = f"; {_joined(losers)} got 0" if losers else ""
        return f"{short} routed the gradient {g} to {winners[0].name}, which was {word}{rest}."
    if len(winners) > 1:
        return (
            f"{short} met equal inputs, {_names(winners)}, and gave each "
            f"{tensor(winners[0].contribution)} of the gradient {g}."
        )
    constants = [b for b in branches if b.literal]
    if constants and not winners:
        return f"{short} stopped the gradient {g}: the constant was {word}."
    return f"{short} passed on nothing: the gradient was {g}."


def _let_through(op: Operator, branches: Sequence[Branch], upstream: Any) -> str:
    parts = []
    for branch in _reached(branches):
        passed = int(np.count_nonzero(branch.contribution))
        parts.append(f"{passed} of {np.size(branch.contribution)} elements of {branch.name}")
    return f"{op.name} routed the gradient to {_joined(parts)}; the others got 0."


def _reached(branches: Sequence[Branch]) -> list[Branch]:
    return [b for b in branches if b.contribution is not None]


def _sent(branches: Sequence[Branch]) -> list[str]:
    return [f"{tensor(b.contribution)} to {b.name}" for b in _reached(branches)]


def _names(branches: Sequence[Branch]) -> str:
    return _joined([b.name for b in _reached(branches)])


def _joined(parts: Sequence[str]) -> str:
    if len(parts) <= 1:
        return "".join(parts) or "no input"
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def accumulation_sentence(name: str, before: Any, term: Any, total: Any, place: int) -> str:
    """What adding up did at a wire that branches."""
    if place == 0:
        return ""
    return (
        f"{name} is used more than once, so its gradients add up: "
        f"{tensor(before)} + {tensor(term)} = {tensor(total)}."
    )
