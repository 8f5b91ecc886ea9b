"""Which known mistakes give exactly what was submitted.

At every faulty wire, and at the wires between it and the nearest submitted ones downstream,
each mistake of the table is made in turn, its effect followed to the submitted wires, and
compared with what they hold. What fits is a hypothesis. Hypotheses that give the same
gradients at seeded extra points too are one group: nothing that a student submits could tell
them apart. Groups are ranked by how common their mistakes are, and by how much they explain.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.grading.circuit import Circuit, Edge, Pass
from service.grading.mistakes import TEXTS, WEIGHTS, Wrong, on_edge, on_wire
from service.grading.mistakes._facts import edge_facts, wire_facts
from service.grading.task import Diagnosis, Hypothesis
from service.grading.tolerance import MATCHING, Near, Tolerance
from service.grading.truth import Truth
from service.grading.verdicts import Judged

Tensor = Any
Key = tuple[str, str, str, Edge | None]
"""Code, variant, the wire where the mistake was made, and the edge if it was made at one."""

MORE_TEXTS = {
    "seed": "The backward pass starts at '{wire}' with the gradient of the output by itself, which "
    "is 1 (or the upstream gradient that the task gives).",
    "value_for_gradient": "This is the forward value of '{wire}', not its gradient.",
    "other_wire": "This is the gradient of another wire: have two of them been swapped?",
    "scale": TEXTS["scale"],
    "regularisation": TEXTS["regularisation"],
    "unknown": "The gradient of '{wire}' does not follow from your gradients of what it feeds, and "
    "no common mistake gives these numbers. Look at the local gradient here: {place}.",
    "inconsistent": "The gradient of '{wire}' is right, but it does not follow from your own "
    "gradients of what it feeds, which are not.",
    "forward": "The forward value of '{wire}' is wrong, though the values that it is computed "
    "from are right: look at this step of the forward pass.",
}
_MORE_WEIGHTS = {
    "seed": 20.0,
    "value_for_gradient": 3.0,
    "other_wire": 1.0,
    "scale": 5.0,
    "regularisation": 9.2,
}
_UNKNOWN_WEIGHT = 1.0
_MAX_GROUPS = 5
_MAX_EQUIVALENT = 8


class Budget:
    """How many mistakes may still be tried. `spent` says that it ran out."""

    def __init__(self, runs: int) -> None:
        self.left = runs

    def take(self) -> bool:
        """Count one more; False when there is none left."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True

    @property
    def spent(self) -> bool:
        return self.left <= 0


@dataclass(slots=True)
class _Found:
    """A hypothesis while it is weighed."""

    key: Key
    wrong: Wrong
    explained: frozenset[str]
    contradicted: int
    weight: float


@dataclass(slots=True)
class _Scene:
    """One submission at one point: what is held, and what is to be explained."""

    judged: Judged
    done: Pass
    given: Mapping[str, Tensor]
    faulty: Sequence[str]
    stops: frozenset[str]
    found: dict[str, list[_Found]] = field(default_factory=dict)
    near: dict[str, Near] = field(default_factory=dict)

    def holds(self, tolerance: Tolerance, wire: str, predicted: Tensor) -> bool:
        """Whether what was submitted for `wire` is `predicted`."""
        given = self.given[wire]
        if np.shape(predicted) != np.shape(given):
            return False
        test = self.near.get(wire)
        if test is None:
            test = self.near[wire] = Near(tolerance, given, self.judged.point.noise)
        return test(predicted)


def diagnose(
    truth: Truth, points: Sequence[Judged], faulty: Sequence[str], budget: Budget
) -> dict[str, list[Diagnosis]]:
    """Ranked groups of mistakes for every wire of `faulty`, which come from the output on.

    `points` are the judged points of one submission; each faulty wire is wrong at one of
    them at least, and a mistake has to explain it at all of them.
    """
    with np.errstate(all="ignore"):
        scenes = [_scene(judged, faulty) for judged in points if judged.done is not None]
        main = scenes[0] if scenes else None
        if main is None:
            return {}
        main = next((scene for scene in scenes if scene.faulty), main)
        others = [scene for scene in scenes if scene is not main]
        _search(truth, main, budget)
        for wire in main.faulty:
            if wire not in main.found:
                main.found[wire] = _last_resorts(truth, main, wire)
            main.found[wire] = _holding_elsewhere(truth, main.found[wire], others, wire, budget)
        _prefer_common_cause(main)
        return {
            wire: _ranked(truth, main, wire, main.found.get(wire, []), budget)
            for wire in main.faulty
        }


def _scene(judged: Judged, faulty: Sequence[str]) -> _Scene:
    done = judged.done
    assert done is not None
    answer = judged.answer
    given = {**answer.gradients, **answer.misshapen}
    here = [
        wire
        for wire in faulty
        if wire in given and judged.verdicts.get(wire) in ("wrong", "wrong_shape")
    ]
    return _Scene(judged, done, given, here, frozenset(answer.gradients))


def _matching(truth: Truth) -> Tolerance:
    return truth.task.tolerance if truth.task.tolerance.metric != "allclose" else MATCHING


def _search(truth: Truth, scene: _Scene, budget: Budget) -> None:
    """Try every mistake at every wire that a faulty one depends on."""
    circuit = truth.circuit
    faulty = set(scene.faulty)
    for wire in _places(circuit, scene):
        if wire == circuit.output and wire in faulty:
            scene.found.setdefault(wire, []).append(
                _Found(
                    ("seed", "", wire, None),
                    Wrong("seed", "", scene.given[wire]),
                    frozenset([wire]),
                    0,
                    _MORE_WEIGHTS["seed"],
                )
            )
            continue
        if _can_be_at_fault(truth, scene, wire, faulty):
            reference = scene.judged.point.gradients[wire]
            for key, wrong, gradient in wrong_gradients(scene.done, wire, reference):
                if not budget.take():
                    return
                effect = _effect(scene, wire, gradient)
                _weigh(truth, scene, key, wrong, effect, faulty)
        _search_gate(truth, scene, wire, faulty, budget)


def _can_be_at_fault(truth: Truth, scene: _Scene, wire: str, faulty: set[str]) -> bool:
    """Whether a wire's gradient may be wrong, given that others are consistent.

    The way back is linear: where any change of a single number changes a wire that is
    consistent as it stands, every mistake there would show in that one too.
    """
    if wire in scene.given or truth.circuit.shape(wire) != ():
        return True
    changed = np.float64(1.5 * scene.done.held[wire] + 1.0)
    effect = follow(scene.done, {wire: changed}, scene.stops)
    return all(
        other in faulty or scene.holds(_matching(truth), other, predicted)
        for other, predicted in effect.items()
    )


def _places(circuit: Circuit, scene: _Scene) -> list[str]:
    """Faulty wires, and those between them and what was submitted, from the output on."""
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


def wrong_gradients(
    done: Pass, wire: str, reference: Tensor | None = None
) -> Iterator[tuple[Key, Wrong, Tensor]]:
    """Every gradient of `wire` that one known mistake there gives, in a pass otherwise kept.

    `reference` is its true gradient: what follows in the pass, where it is left out.
    """
    if reference is None:
        reference = done.expected[wire]
    parts = done.parts.get(wire, {})
    for wrong in on_wire(wire_facts(done, wire, reference)):
        yield (wrong.code, wrong.variant, wire, None), wrong, wrong.value
    for edge, part in parts.items():
        rest: Tensor | None = None
        for other, term in parts.items():
            if other != edge:
                rest = term if rest is None else rest + term
        for wrong in on_edge(edge_facts(done, edge, part)):
            gradient = wrong.value
            if rest is not None:
                try:
                    gradient = rest + wrong.value
                except ValueError:
                    continue
            yield (wrong.code, wrong.variant, wire, edge), wrong, gradient


def _effect(scene: _Scene, wire: str, gradient: Tensor) -> dict[str, Tensor]:
    """What submitted wires would hold, had `gradient` been the gradient of `wire`."""
    if wire in scene.given:
        return {wire: gradient}
    if np.shape(gradient) != scene.done.circuit.shape(wire):
        return {}
    return follow(scene.done, {wire: gradient}, scene.stops)


def follow(done: Pass, changed: Mapping[str, Tensor], stops: frozenset[str]) -> dict[str, Tensor]:
    """The gradients of the `stops` that change when those of other wires do."""
    circuit = done.circuit
    held = dict(changed)
    parts: dict[str, dict[Edge, Tensor]] = {}
    waiting: list[int] = []
    queued: set[int] = set()
    effect: dict[str, Tensor] = {}

    def enqueue(wire: str) -> None:
        number = circuit.maker.get(wire)
        if number is not None and number not in queued and circuit.carrying[number]:
            queued.add(number)
            heapq.heappush(waiting, -number)

    def settle(wire: str) -> None:
        """All edges that read `wire` are done: its gradient is known."""
        if wire in changed or wire not in parts:
            return
        total = done.total(wire, {**done.parts[wire], **parts.pop(wire)}.values())
        if wire in stops:
            effect[wire] = total
        else:
            held[wire] = total

    for wire in changed:
        if wire in stops:
            effect[wire] = changed[wire]
        else:
            enqueue(wire)
    while waiting:
        number = -heapq.heappop(waiting)
        gate = circuit.gates[number]
        for wire in gate.outputs:
            settle(wire)
        if not any(wire in held for wire in gate.outputs):
            continue
        upstream = [held.get(wire, done.held.get(wire)) for wire in gate.outputs]
        found = gate.pull(
            upstream, done.inputs_of(gate), done.outputs_of(gate), circuit.carrying[number]
        )
        for index, part in found.items():
            source = gate.sources[index]
            if source is not None and source in circuit.readers:
                parts.setdefault(source, {})[number, index] = part
                enqueue(source)
    for wire in list(parts):
        settle(wire)
    return {**effect, **{w: g for w, g in held.items() if w in stops}}


def _weigh(
    truth: Truth,
    scene: _Scene,
    key: Key,
    wrong: Wrong,
    effect: Mapping[str, Tensor],
    faulty: set[str],
) -> None:
    """Keep a mistake whose effect is what was submitted."""
    explained, contradicted = [], 0
    tolerance = _matching(truth)
    for wire, predicted in effect.items():
        if wire not in scene.given:
            continue
        if scene.holds(tolerance, wire, predicted):
            if wire in faulty and _differs(truth, scene, wire, predicted):
                explained.append(wire)
        elif wire in faulty:
            contradicted += 1
        else:
            return
    if not explained:
        return
    weight = WEIGHTS.get(wrong.code, 1.0)
    share = len(explained) / (len(explained) + contradicted)
    weight *= 0.1 if contradicted else 1.0
    weight *= share
    found = _Found(key, wrong, frozenset(explained), contradicted, weight)
    for wire in explained:
        scene.found.setdefault(wire, []).append(found)


def _same(truth: Truth, predicted: Tensor, given: Tensor, noise: float) -> bool:
    if np.shape(predicted) != np.shape(given):
        return False
    return _matching(truth).equal(given, predicted, noise)


def _differs(truth: Truth, scene: _Scene, wire: str, predicted: Tensor) -> bool:
    """Whether a mistake shows: by more than ten times the tolerance."""
    right = scene.done.expected[wire]
    if np.shape(predicted) != np.shape(right):
        return True
    tolerance = truth.task.tolerance
    factor = 2.0 if tolerance.rounding else 10.0
    return tolerance.apart(predicted, right, scene.judged.point.noise, factor)


def _search_gate(truth: Truth, scene: _Scene, wire: str, faulty: set[str], budget: Budget) -> None:
    """The same mistake at all inputs of a gate, where not all of them were submitted."""
    circuit, done = truth.circuit, scene.done
    number = circuit.maker.get(wire)
    if number is None or wire in scene.stops or len(circuit.carrying[number]) < 2:
        return
    gate = circuit.gates[number]
    sources = {gate.sources[index] for index in circuit.carrying[number]}
    if len(sources) < 2 or sources <= scene.stops or (sources & scene.stops) - faulty:
        return
    terms: dict[tuple[str, str], dict[Edge, Wrong]] = {}
    for index in circuit.carrying[number]:
        source = gate.sources[index]
        part = done.parts.get(source or "", {}).get((number, index))
        if part is None:
            continue
        for wrong in on_edge(edge_facts(done, (number, index), part)):
            if np.shape(wrong.value) == np.shape(part):
                terms.setdefault((wrong.code, wrong.variant), {})[number, index] = wrong
    for (code, variant), wrongs in terms.items():
        if len(wrongs) < 2:
            continue
        if not budget.take():
            return
        changed: dict[str, Tensor] = {}
        for source in sorted(s for s in sources if s is not None):
            own = {e: w.value for e, w in wrongs.items() if gate.sources[e[1]] == source}
            if own:
                changed[source] = done.total(source, {**done.parts[source], **own}.values())
        effect = follow(done, changed, scene.stops)
        first = next(iter(wrongs.values()))
        key: Key = (code, f"{variant} (all inputs)", wire, (number, -1))
        _weigh(truth, scene, key, first, effect, faulty)


def _last_resorts(truth: Truth, scene: _Scene, wire: str) -> list[_Found]:
    """What can still be said when no mistake of the table fits."""
    given = scene.given[wire]
    noise = scene.judged.point.noise
    found: list[_Found] = []

    def add(code: str, detail: str = "") -> None:
        key: Key = (code, "any", wire, None)
        wrong = Wrong(code, "any", given, detail)
        found.append(_Found(key, wrong, frozenset([wire]), 0, _MORE_WEIGHTS[code]))

    expected = scene.done.expected[wire]
    if np.shape(given) == np.shape(expected) and np.size(given) >= 3:
        ratio = _one_ratio(given, expected)
        if ratio is not None:
            add("scale", f"times {ratio:.6g}")
        x = scene.done.values[wire]
        if truth.circuit.penalised and wire in truth.circuit.inputs:
            ratio = _one_ratio(given - expected, x)
            if ratio is not None:
                add("regularisation", f"off by {ratio:+.6g} W")
    if _same(truth, scene.done.values[wire], given, 0.0) and bool(np.any(given)):
        add("value_for_gradient")
    for other, gradient in scene.judged.point.gradients.items():
        if (
            other in (wire, truth.circuit.output)
            or not np.any(gradient)
            or not _same(truth, gradient, given, noise)
        ):
            continue
        if _differs(truth, scene, wire, gradient):
            add("other_wire")
            break
    return found


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


def _holding_elsewhere(
    truth: Truth, found: list[_Found], others: Sequence[_Scene], wire: str, budget: Budget
) -> list[_Found]:
    """Those that explain the wire at the further submitted points too."""
    for scene in others:
        if wire not in scene.given or not found:
            continue
        kept = []
        for one in found:
            fits = _untraceable(one.key)
            if not fits:
                predicted = _predicted(truth, scene, one.key, wire, budget)
                fits = predicted is not None and scene.holds(_matching(truth), wire, predicted)
            if fits:
                kept.append(one)
        found = kept
    return found


def _untraceable(key: Key) -> bool:
    """Whether a mistake was made at all inputs of a gate at once."""
    return key[3] is not None and key[3][1] < 0


def _predicted(truth: Truth, scene: _Scene, key: Key, wire: str, budget: Budget) -> Tensor | None:
    """The gradient of `wire` when the mistake `key` is made at another point."""
    at = key[2]
    reference = scene.judged.point.gradients[at]
    for other, _, gradient in wrong_gradients(scene.done, at, reference):
        if other != key:
            continue
        if not budget.take():
            return None
        if at == wire:
            return gradient
        if np.shape(gradient) != truth.circuit.shape(at):
            return None
        return follow(scene.done, {at: gradient}, scene.stops | {wire}).get(wire)
    return None


def _prefer_common_cause(scene: _Scene) -> None:
    """One cause for everything is likelier than one for each: gradients that were kept."""
    faulty = [wire for wire in scene.faulty if scene.found.get(wire)]
    if len(faulty) < 2:
        return
    every = [{one.wrong.code for one in scene.found[wire]} for wire in faulty]
    if all("not_zeroed" in codes for codes in every):
        for wire in faulty:
            for one in scene.found[wire]:
                if one.wrong.code == "not_zeroed":
                    one.weight = 30.0


def _ranked(
    truth: Truth, scene: _Scene, wire: str, found: list[_Found], budget: Budget
) -> list[Diagnosis]:
    """Groups of what can't be told apart, the likeliest first."""
    if not found:
        misshapen = wire in scene.judged.answer.misshapen
        return [] if misshapen else [_unknown(truth, scene, wire)]
    order = {id(one): place for place, one in enumerate(found)}
    found = sorted(found, key=lambda one: (-one.weight, order[id(one)]))[:24]
    groups = _grouped(truth, scene, wire, found, budget)
    size = max(1, min(np.size(scene.given[wire]), 50))
    weights = [max(one.weight for one in group) for group in groups]
    total = sum(weights) + _UNKNOWN_WEIGHT / size
    return [
        Diagnosis(
            _hypothesis(truth, group[0]),
            round(weight / total, 3),
            tuple(_distinct([_hypothesis(truth, one) for one in group]))[:_MAX_EQUIVALENT],
        )
        for group, weight in list(zip(groups, weights, strict=True))[:_MAX_GROUPS]
    ]


def _distinct(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """All but the first and those that say the same."""
    seen = {(hypotheses[0].code, hypotheses[0].at)}
    kept = []
    for one in hypotheses[1:]:
        if (one.code, one.at) not in seen:
            seen.add((one.code, one.at))
            kept.append(one)
    return kept


def _grouped(
    truth: Truth, scene: _Scene, wire: str, found: list[_Found], budget: Budget
) -> list[list[_Found]]:
    """Mistakes that agree at the extra points as well stand together."""
    if len(found) == 1:
        return [found]
    tables = [
        _signatures(truth, done, [one.key for one in found], wire, scene.stops, budget)
        for done in truth.extra
    ]
    groups: list[list[_Found]] = []
    for one in found:
        for group in groups:
            if group[0].wrong.code == one.wrong.code and group[0].key[2] == one.key[2]:
                group.append(one)
                break
            if all(_agree(table.get(group[0].key), table.get(one.key)) for table in tables):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _signatures(
    truth: Truth,
    done: Pass,
    keys: Sequence[Key],
    wire: str,
    stops: frozenset[str],
    budget: Budget,
) -> dict[Key, Tensor]:
    """What each mistake would make of `wire` at an extra point."""
    wanted = set(keys)
    found: dict[Key, Tensor] = {}
    for at in sorted({key[2] for key in keys}):
        for key, _, gradient in wrong_gradients(done, at):
            if key not in wanted:
                continue
            if not budget.take():
                return found
            if at == wire:
                found[key] = gradient
            elif np.shape(gradient) == truth.circuit.shape(at):
                predicted = follow(done, {at: gradient}, stops | {wire}).get(wire)
                if predicted is not None:
                    found[key] = predicted
    return found


def _agree(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None or np.shape(one) != np.shape(other):
        return False
    top = float(np.max(np.abs(one), initial=0.0))
    return MATCHING.equal(one, other, 1e-12 * top)


def _hypothesis(truth: Truth, found: _Found) -> Hypothesis:
    code, _, at, edge = found.key
    gate = truth.circuit.gates[edge[0]] if edge is not None else None
    text = MORE_TEXTS[code] if code not in TEXTS else TEXTS[code]
    message = text.format(wire=at, gate=gate.node if gate else "", op=gate.op.name if gate else "")
    return Hypothesis(code, message, at, found.wrong.detail)


def _unknown(truth: Truth, scene: _Scene, wire: str) -> Diagnosis:
    circuit = truth.circuit
    gates = [circuit.gates[number].node for number, _ in circuit.readers.get(wire, ())]
    names = ", ".join(f"'{name}'" for name in dict.fromkeys(gates))
    place = f"it feeds {names}" if names else "it feeds nothing that reaches the output"
    message = MORE_TEXTS["unknown"].format(wire=wire, place=place)
    return Diagnosis(Hypothesis("unknown", message, wire), 0.0)
