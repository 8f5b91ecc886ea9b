"""What a student reads about a mistake."""

from __future__ import annotations

from service.grading.diagnosis.scene import Found, Scene
from service.grading.mistakes import TEXTS
from service.grading.task import Diagnosis, Hypothesis

MORE_TEXTS = {
    "seed": "The backward pass starts at '{wire}' with the gradient of the output by itself, which "
    "is 1 (or the upstream gradient that the task gives).",
    "value_for_gradient": "This is the forward value of '{wire}', not its gradient.",
    "other_wire": "This is the gradient of another wire: have two of them been swapped?",
    "rounded": "The gradient of '{wire}' is right as far as it goes, but rounded: {digits}.",
    "unknown": "The gradient of '{wire}' does not follow from your gradients of what it feeds, and "
    "no common mistake gives these numbers. Look at the local gradient here: {place}.",
    "inconsistent": "The gradient of '{wire}' is right, but it does not follow from your own "
    "gradients of what it feeds, which are not.",
    "forward": "The forward value of '{wire}' is wrong, though the values that it is computed "
    "from are right: look at this step of the forward pass.",
}


def hypothesis(scene: Scene, wire: str, found: Found) -> Hypothesis:
    """A fault in words. `wire` is the gradient that it is to explain."""
    fault, circuit = found.fault, scene.done.circuit
    at = circuit.shown_at.get(fault.at, fault.at) or wire
    gate = circuit.gates[fault.edges[0][0]] if fault.edges else None
    op = gate.op.name if gate else ""
    text = (MORE_TEXTS if fault.code not in TEXTS else TEXTS)[fault.code]
    label = circuit.label
    through = label(gate.node) if gate else ""
    message = text.format(
        wire=label(at) if label(at) != through else f"a step of {through}",
        gate=through,
        op=op,
        digits=_digits(scene),
    )
    if len({circuit.gates[number].op.name for number, _ in fault.edges}) == 1 < len(fault.edges):
        message += f" The same is so in {len(fault.edges)} places."
    return Hypothesis(fault.code, message, at, found.detail, label(at))


def _digits(scene: Scene) -> str:
    tolerance = scene.truth.task.tolerance
    if tolerance.rounding:
        if tolerance.figures is not None:
            return f"{tolerance.figures} significant figures are wanted"
        return f"{2 if tolerance.decimals is None else tolerance.decimals} decimals are wanted"
    return f"about {tolerance.wanted_figures} significant figures are wanted"


def unknown(scene: Scene, wire: str) -> Diagnosis:
    """That nothing is known to give these numbers."""
    circuit = scene.truth.circuit
    label = circuit.label
    gates = [label(circuit.gates[number].node) for number, _ in circuit.readers.get(wire, ())]
    names = ", ".join(f"'{name}'" for name in dict.fromkeys(gates))
    place = f"it feeds {names}" if names else "it feeds nothing that reaches the output"
    return plain("unknown", wire, label(wire), place, 0.0)


def plain(code: str, wire: str, shown: str, place: str = "", confidence: float = 1.0) -> Diagnosis:
    """A diagnosis that needs no search."""
    return Diagnosis(
        Hypothesis(code, MORE_TEXTS[code].format(wire=shown, place=place), wire, shown=shown),
        confidence,
    )
