"""What the author of a task should know: which mistakes its inputs hide or leave alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.grading.circuit import Pass
from service.grading.diagnosis import Fault, wrong_gradients
from service.grading.truth import Truth

_LISTED = 12
_INVISIBLE = ("sign", "scale", "zero_gradient")
"""What nobody sees where the gradient is 0."""


@dataclass(slots=True)
class Advice:
    """`tried` mistakes were made at the task's points; `hidden` of them don't show there.

    `alike` give the same gradient as another mistake at the task's points, and another one
    elsewhere. `warnings` are sentences for the author.
    """

    tried: int = 0
    hidden: int = 0
    alike: int = 0
    warnings: list[str] = field(default_factory=list)


def advise(truth: Truth) -> Advice:
    """Every known mistake at every wire, made at the task's points and at extra ones."""
    advice = Advice()
    _look_at_values(truth, advice)
    hidden: list[str] = []
    alike: set[str] = set()
    with np.errstate(all="ignore"):
        for wire in truth.circuit.wires:
            if wire != truth.circuit.output:
                _look_at_wire(truth, wire, advice, hidden, alike)
    if hidden:
        advice.warnings.append(
            f"{advice.hidden} of {advice.tried} known mistakes don't show at these inputs: "
            + _some(hidden)
        )
    if alike:
        advice.warnings.append(
            f"{advice.alike} mistakes can be taken for others at these inputs, at: "
            + _some(sorted(alike))
            + "; other inputs, or further points (more), tell them apart"
        )
    return advice


def _some(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _look_at_values(truth: Truth, advice: Advice) -> None:
    """Square matrices, kinks, gradients that are zero or not finite."""
    point = truth.points[0]
    for gate in truth.circuit.gates:
        if gate.op.name == "matmul":
            square = [s for s in gate.specs if len(s.shape) >= 2 and s.shape[-1] == s.shape[-2]]
            if square:
                advice.warnings.append(
                    f"'{gate.node}' multiplies a square matrix: several wrong products have the "
                    "right shape; let all sizes differ"
                )
        if gate.op.name in ("relu", "abs", "maximum", "minimum"):
            values = [
                literal if source is None else point.values[source]
                for source, literal in zip(gate.sources, gate.literals, strict=True)
            ]
            other = values[1] if len(values) == 2 else 0.0
            if bool(np.any(np.asarray(values[0]) == other)):
                advice.warnings.append(f"'{gate.node}' is at its kink at these inputs")
    vanishing = _always_zero(truth)
    if vanishing:
        hidden = len(_INVISIBLE) * len(vanishing)
        advice.tried += hidden
        advice.hidden += hidden
        advice.warnings.append(
            f"the gradient of {_some(sorted(map(repr, vanishing)))} is 0 whatever the inputs are: "
            "the output doesn't depend on it, and zeros, its negative and twice of it all pass. "
            "Sums of a softmax or of normalised values are constant, and a shift before a softmax "
            "has no effect: use a weighted sum instead (sum(p * c) with a constant c), or a loss"
        )
    for wire, gradient in point.gradients.items():
        if wire in vanishing:
            continue
        if not bool(np.all(np.isfinite(gradient))):
            advice.warnings.append(f"the gradient of '{wire}' is not finite")
        elif wire in truth.points_for and not bool(np.any(gradient)):
            advice.warnings.append(f"the gradient of '{wire}' is zero everywhere")


def _always_zero(truth: Truth) -> set[str]:
    """The wires that earn points and whose gradient is nothing but what cancels: as small as
    rounding beside its terms, at the task's points and at the extra ones."""
    passes = [*truth.sound, *truth.further]
    found = set()
    for wire in truth.points_for:
        tops = []
        for done in passes:
            terms = [_most(part) for part in done.parts.get(wire, {}).values()]
            tops.append((_most(done.held[wire]), max([*_inner(done, wire), *terms], default=0.0)))
        cancels = all(top <= 1e-10 * most for top, most in tops)
        stopped = all(top == 0.0 for top, _ in tops) and _is_routed(truth, wire)
        if cancels and not stopped and any(most > 0 for _, most in tops):
            found.add(wire)
    return found


def _is_routed(truth: Truth, wire: str) -> bool:
    """Whether a gate that chooses by its inputs reads a wire, or what it goes to."""
    circuit = truth.circuit
    queue = {wire}
    for _ in range(len(circuit.gates)):
        gates = [circuit.gates[number] for one in queue for number, _ in circuit.readers[one]]
        if any(gate.op.branch is not None for gate in gates):
            return True
        queue = {out for gate in gates for out in gate.outputs if out in circuit.readers}
        if not queue:
            break
    return False


def _inner(done: Pass, wire: str) -> list[float]:
    """How large the terms are that meet on the way to a wire, a few steps on."""
    circuit = done.circuit
    sizes: list[float] = []
    queue = [wire]
    for _ in range(12):
        outputs = [
            out
            for one in queue
            for number, _ in circuit.readers.get(one, ())
            for out in circuit.gates[number].outputs
        ]
        for out in outputs:
            if out in done.held:
                sizes += [_most(done.held[out]), *map(_most, done.parts.get(out, {}).values())]
        queue = outputs[:8]
    return sizes


def _most(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _look_at_wire(
    truth: Truth, wire: str, advice: Advice, hidden: list[str], alike: set[str]
) -> None:
    here = [_table(done, wire) for done in truth.sound]
    there = [_table(done, wire) for done in truth.further]
    seen: list[Fault] = []
    for key in here[0]:
        shows = _differs(truth, truth.sound, here, key)
        if not shows and not _differs(truth, truth.further, there, key):
            continue
        advice.tried += 1
        if not shows:
            advice.hidden += 1
            hidden.append(f"{key[0]} at '{wire}'")
            continue
        for other in seen:
            if other[0] != key[0] and _same(here, key, other) and not _same(there, key, other):
                advice.alike += 1
                alike.add(f"'{wire}'")
                break
        seen.append(key)


def _table(done: Pass, wire: str) -> dict[Fault, Any]:
    return {fault: gradient for fault, _, gradient in wrong_gradients(done, wire)}


def _differs(truth: Truth, passes: list[Pass], tables: list[dict[Fault, Any]], key: Fault) -> bool:
    """Whether a mistake can be seen at any of the points."""
    for done, table in zip(passes, tables, strict=True):
        right, wrong = done.expected[key[2]], table.get(key)
        if wrong is None or not bool(np.all(np.isfinite(wrong))):
            continue
        noise = truth.points[0].noise
        if np.shape(right) != np.shape(wrong) or truth.task.tolerance.apart(wrong, right, noise):
            return True
    return False


def _same(tables: list[dict[Fault, Any]], one: Fault, other: Fault) -> bool:
    return all(
        one in table
        and other in table
        and np.shape(table[one]) == np.shape(table[other])
        and bool(np.allclose(table[one], table[other], rtol=1e-9, atol=0.0))
        for table in tables
    )
