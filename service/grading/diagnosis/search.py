"""Faults that explain what was submitted: one for everything, or one for each wrong gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.grading.diagnosis.catalogue import JOINT, WHOLE, catalogue_of
from service.grading.diagnosis.faults import Fault, carried, follow
from service.grading.diagnosis.scene import Budget, Found, Scene
from service.grading.mistakes import weight_of
from service.grading.tolerance import MATCHING

Tensor = Any
_MOST = 24
_OUTPUT = 1.3
"""What one weighs that was made at the output itself, before anything else."""
_JOINT = 0.6
"""What a mistake made in several places weighs, of one made once."""


def places(scene: Scene) -> list[str]:
    """Faulty wires, and those between them and what was submitted, from the output on."""
    circuit = scene.done.circuit
    found: set[str] = set()
    queue = list(scene.faulty)
    while queue:
        wire = queue.pop()
        if wire in found:
            continue
        found.add(wire)
        for number, _ in circuit.readers.get(wire, ()):
            queue.extend(
                out
                for out in circuit.gates[number].outputs
                if out not in scene.stops and out in circuit.readers and out != circuit.output
            )
    order = {wire: place for place, wire in enumerate(circuit.wires)}
    inner = [wire for wire in found if wire in circuit.maker]
    leaves = [wire for wire in found if wire not in circuit.maker]
    return sorted(inner, key=lambda w: -order[w]) + sorted(leaves, key=lambda w: order[w])


def common_causes(scenes: Sequence[Scene], at: Sequence[str], budget: Budget) -> list[Found]:
    """The single faults in a correct pass that give all that was submitted, at every point.

    They are looked for at the wires `at`, then in several places at a time.
    """
    main = scenes[0]
    catalogue = catalogue_of(main.truth)
    wrong = [wire for wire in main.faulty if wire not in main.stops]
    if wrong:
        wire, gradient = wrong[0], main.given[wrong[0]]
        offered = [f for f, g in catalogue.misshapen(wire, gradient) if main.holds(wire, g)]
        return _fitting(scenes, offered)
    noise = main.judged.point.noise
    allowed = {wire: _slack(main, main.given[wire], noise) for wire in main.stops}
    given = {wire: main.given[wire] for wire in main.stops}
    for places in ((*at, WHOLE), (JOINT,)):
        offered, count = catalogue.matching(given, allowed, places, budget.left)
        budget.left = max(0, budget.left - count)
        found = _fitting(scenes, offered)
        if found or budget.spent:
            return found
    return []


def _fitting(scenes: Sequence[Scene], faults: Sequence[Fault]) -> list[Found]:
    """Those that give all that was submitted, at every point."""
    found = []
    for fault in faults:
        if all(_gives(scene, fault) for scene in scenes):
            found.append(_found(scenes[0], fault, frozenset(scenes[0].faulty)))
        if len(found) == _MOST:
            break
    return found


def _slack(scene: Scene, given: Tensor, noise: float) -> Tensor:
    """By how much more than enough each element of a mistake's gradient may be off."""
    tolerance = scene.matching
    bound = tolerance.bound(float(given) if isinstance(given, float) else given)
    if bound is not None and isinstance(given, float):
        return 1.01 * max(bound, noise) + 1e-15 * abs(given)
    if bound is None:
        bound = 3.0 * tolerance.limit * (np.abs(given) + np.linalg.norm(given) + 1e-8)
    return 1.01 * np.maximum(bound, noise) + 1e-15 * np.abs(given)


def _gives(scene: Scene, fault: Fault) -> bool:
    """Whether a fault in a correct pass gives all that was submitted at a point."""
    changed = catalogue_of(scene.truth).effects(scene.truth.sound, scene.number, fault)
    return all(
        scene.holds(wire, changed.get(wire, scene.sound.held[wire]))
        for wire in scene.given
        if wire in changed or wire in scene.stops
    ) and all(wire in changed for wire in scene.faulty)


def _found(scene: Scene, fault: Fault, explained: frozenset[str]) -> Found:
    joint = len(fault.edges) > 1
    weight = weight_of(fault.code, fault.variant) * (_JOINT if joint else 1.0)
    weight *= _OUTPUT if fault.at == scene.done.circuit.output else 1.0
    entry = scene.table(fault.at).get(fault) if fault.at else None
    return Found(fault, entry[0] if entry else "", weight, explained)


def single_causes(scenes: Sequence[Scene], budget: Budget) -> dict[str, list[Found]]:
    """For each faulty wire the faults that give it from the student's own gradients."""
    main, others = scenes[0], scenes[1:]
    found: dict[str, list[Found]] = {}
    for wire in places(main):
        if wire == main.done.circuit.output:
            if wire in main.faulty:
                seed = Fault("seed", "", wire)
                found[wire] = [Found(seed, "", 20.0, frozenset([wire]))]
            continue
        if not _can_be_at_fault(main, wire):
            continue
        for fault, (detail, gradient) in main.table(wire).items():
            if not budget.take():
                return found
            for one in _weighed(main, fault, detail, gradient):
                for explained in one.explained:
                    found.setdefault(explained, []).append(one)
    for wire in main.faulty:
        if wire not in found:
            found[wire] = _last_resorts(main, wire)
        for scene in others:
            if wire in scene.given:
                found[wire] = [one for one in found[wire] if _again(scene, one, wire, budget)]
    return found


def _can_be_at_fault(scene: Scene, wire: str) -> bool:
    """Whether a wire's gradient may be wrong, given that others are consistent.

    The way back is linear: where any change of a single number changes a wire that is
    consistent as it stands, every mistake there would show in that one too.
    """
    if wire in scene.given or scene.done.circuit.shape(wire) != ():
        return True
    changed = np.float64(1.5 * scene.done.held[wire] + 1.0)
    effect = follow(scene.done, {wire: changed}, scene.stops) or {}
    return all(
        other in scene.faulty or scene.holds(other, predicted)
        for other, predicted in effect.items()
        if other in scene.stops
    )


def _weighed(scene: Scene, fault: Fault, detail: str, gradient: Tensor) -> list[Found]:
    """The fault with its weight, where it gives something that was submitted."""
    wire = fault.at
    effect = {wire: gradient}
    if wire not in scene.given:
        effect = carried(scene.done, wire, gradient, scene.stops) or {}
    explained, contradicted = [], 0
    for other, predicted in effect.items():
        if other not in scene.given:
            continue
        if scene.holds(other, predicted):
            if other in scene.faulty and scene.shows(other, predicted):
                explained.append(other)
        elif other in scene.faulty:
            contradicted += 1
        else:
            return []
    if not explained:
        return []
    found = _found(scene, fault, frozenset(explained))
    found.detail = detail
    found.weight *= len(explained) / (len(explained) + contradicted)
    found.weight *= 0.1 if contradicted else 1.0
    return [found]


def _again(scene: Scene, found: Found, wire: str, budget: Budget) -> bool:
    """Whether a fault gives the wire at a further point too."""
    fault = found.fault
    entry = scene.table(fault.at).get(fault)
    if entry is None or not budget.take():
        return False
    if fault.at == wire:
        return scene.holds(wire, entry[1])
    effect = carried(scene.done, fault.at, entry[1], scene.stops) or {}
    return wire in effect and scene.holds(wire, effect[wire])


def _last_resorts(scene: Scene, wire: str) -> list[Found]:
    """What can still be said when no mistake of the table fits."""
    given, expected = scene.given[wire], scene.done.expected[wire]
    circuit = scene.done.circuit
    found: list[Found] = []

    def add(code: str, detail: str = "") -> None:
        fault = Fault(code, "any", wire)
        found.append(Found(fault, detail, weight_of(code, "any"), frozenset([wire])))

    if np.shape(given) != np.shape(expected):
        return found
    if _is_rounded(scene, given, expected):
        add("rounded")
    if np.size(given) >= 3:
        ratio = _one_ratio(given, expected)
        if ratio is not None:
            add("scale", f"times {ratio:.6g}")
        if wire in circuit.penalised:
            ratio = _one_ratio(given - expected, scene.done.values[wire])
            if ratio is not None:
                add("regularisation", f"off by {ratio:+.6g} W")
    if bool(np.any(given)) and scene.holds(wire, scene.done.values[wire]):
        add("value_for_gradient")
    for other in circuit.named:
        gradient = scene.sound.held[other]
        if other in (wire, circuit.output) or not np.any(gradient):
            continue
        if scene.holds(wire, gradient) and scene.shows(wire, gradient):
            add("other_wire", other)
            break
    return found


def _is_rounded(scene: Scene, given: Tensor, expected: Tensor) -> bool:
    """Whether a gradient is right to two significant figures or more, and written with few."""
    numbers, right = np.ravel(given), np.ravel(expected)
    for figures in range(2, 8):
        with np.errstate(all="ignore"):
            size = 10.0 ** (np.floor(np.log10(np.abs(numbers[numbers != 0.0]))) + 1 - figures)
        unit = float(np.max(size, initial=0.0))
        if unit == 0.0:
            return False
        written = bool(np.all(np.abs(numbers / unit - np.round(numbers / unit)) < 1e-6))
        if written and bool(np.all(np.abs(numbers - right) <= 0.51 * unit)):
            return True
    return False


def _one_ratio(given: Tensor, base: Tensor) -> float | None:
    """The factor that is the same everywhere, where there is one."""
    given, base = np.asarray(given), np.asarray(base)
    top = float(np.max(np.abs(base), initial=0.0))
    if top == 0.0:
        return None
    place = np.unravel_index(int(np.argmax(np.abs(base))), base.shape)
    ratio = float(given[place] / base[place])
    if not np.isfinite(ratio) or ratio == 0.0:
        return None
    return ratio if MATCHING.equal(given, ratio * base, 1e-12 * top * abs(ratio)) else None
