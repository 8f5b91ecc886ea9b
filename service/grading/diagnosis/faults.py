"""What one mistake is, and what it makes of a backward pass."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from service.grading.circuit import Circuit, Edge, Pass
from service.grading.mistakes import on_edge, on_wire
from service.grading.mistakes._facts import edge_facts, wire_facts

Tensor = Any
Nothing: frozenset[str] = frozenset()


class Fault(NamedTuple):
    """One mistake: made at the edges, all in the same way, or at the wire as a whole.

    `at` is the wire whose gradient was formed wrongly (the one nearest to the output); it is
    "" for a backward pass that is wrong as a whole.
    """

    code: str
    variant: str
    at: str
    edges: tuple[Edge, ...] = ()


Table = dict[Fault, tuple[str, Tensor]]
"""By fault: what was done, as a formula, and the gradient that it gives."""
_KEPT = 4_096


def wrong_gradients(
    done: Pass, wire: str, reference: Tensor | None = None
) -> Iterator[tuple[Fault, str, Tensor]]:
    """Every gradient of `wire` that one known mistake there gives, in a pass otherwise kept.

    `reference` is its true gradient: what follows in the pass, where it is left out.
    """
    if reference is None:
        reference = done.expected[wire]
    parts = done.parts.get(wire, {})
    for wrong in on_wire(wire_facts(done, wire, reference)):
        yield Fault(wrong.code, wrong.variant, wire), wrong.detail, wrong.value
    several: dict[tuple[str, str], dict[Edge, Tensor]] = {}
    for edge, part in parts.items():
        rest: Tensor | None = None
        for other, term in parts.items():
            if other != edge:
                rest = term if rest is None else rest + term
        for wrong in on_edge(edge_facts(done, edge, part)):
            gradient = wrong.value
            if rest is not None:
                several.setdefault((wrong.code, wrong.variant), {})[edge] = gradient
                try:
                    gradient = rest + wrong.value
                except ValueError:
                    continue
            yield Fault(wrong.code, wrong.variant, wire, (edge,)), wrong.detail, gradient
    for (code, variant), terms in several.items():
        if 1 < len(terms) == len(parts):
            try:
                total = done.total(wire, terms.values())
            except ValueError:
                continue
            yield Fault(code, variant, wire, tuple(terms)), "in every term", total


def table(done: Pass, wire: str) -> Table:
    """`wrong_gradients` by fault; kept with the pass where they are small."""
    found = done.tables.get(wire)
    if found is None:
        found = {fault: (detail, g) for fault, detail, g in wrong_gradients(done, wire)}
        if sum(getattr(g, "size", 1) for _, g in found.values()) <= 64 * _KEPT:
            done.tables[wire] = found
    return found


def follow(
    done: Pass,
    changed: Mapping[str, Tensor],
    stops: frozenset[str] = Nothing,
    slips: Mapping[Edge, tuple[str, str]] | None = None,
) -> dict[str, Tensor] | None:
    """All gradients that change when those of some wires do; those of `stops` go no further.

    `slips` are mistakes (code and variant) that are made at edges, whatever flows there; None
    where one of them can't be made.
    """
    circuit, slips = done.circuit, slips or {}
    held = dict(changed)
    parts: dict[str, dict[Edge, Tensor]] = {}
    waiting: list[int] = []
    queued: set[int] = set()

    def enqueue(number: int | None) -> None:
        if number is not None and number not in queued and circuit.carrying[number]:
            queued.add(number)
            heapq.heappush(waiting, -number)

    def settle(wire: str) -> None:
        """All edges that read `wire` are done: its gradient is known."""
        if wire not in changed and wire in parts:
            held[wire] = done.total(wire, {**done.parts[wire], **parts.pop(wire)}.values())

    for wire in changed:
        if wire not in stops:
            enqueue(circuit.maker.get(wire))
    for number, _ in slips:
        enqueue(number)
    while waiting:
        number = -heapq.heappop(waiting)
        gate = circuit.gates[number]
        for wire in gate.outputs:
            settle(wire)
        moved = any(wire in held and wire not in stops for wire in gate.outputs)
        wanted = [i for i in circuit.carrying[number] if moved or (number, i) in slips]
        upstream = [
            done.held.get(wire) if wire in stops else held.get(wire, done.held.get(wire))
            for wire in gate.outputs
        ]
        found = gate.pull(upstream, done.inputs_of(gate), done.outputs_of(gate), wanted)
        for index, part in found.items():
            source = gate.sources[index]
            if source is None or source not in circuit.readers:
                continue
            if (number, index) in slips:
                facts = edge_facts(done, (number, index), part, upstream)
                wrongs = (w for w in on_edge(facts) if (w.code, w.variant) == slips[number, index])
                wrong = next(wrongs, None)
                if wrong is None or getattr(wrong.value, "shape", ()) != circuit.shape(source):
                    return None
                part = wrong.value
            parts.setdefault(source, {})[number, index] = part
            enqueue(circuit.maker.get(source))
    for wire in list(parts):
        settle(wire)
    return held


def effect(done: Pass, fault: Fault) -> dict[str, Tensor] | None:
    """All gradients that a fault changes in a correct pass; None where it can't be made there.

    One of a wrong shape can't be carried on: what lies further back is then left as it was.
    """
    if fault.code == "regularisation" and not fault.at:
        return {
            wire: table(done, wire)[alike][1]
            for wire in done.circuit.penalised
            if (alike := fault._replace(at=wire)) in table(done, wire)
        }
    if not fault.at:
        return _kept_gradients(done).get(fault.variant)
    if len({done.circuit.gates[n].sources[i] for n, i in fault.edges}) > 1:
        return follow(done, {}, slips=dict.fromkeys(fault.edges, fault[:2]))
    found = table(done, fault.at).get(fault)
    if found is None:
        return None
    return carried(done, fault.at, found[1])


def carried(
    done: Pass, wire: str, gradient: Tensor, stops: frozenset[str] = Nothing
) -> dict[str, Tensor] | None:
    """What a wrong gradient of a wire changes, with itself."""
    if getattr(gradient, "shape", ()) != done.circuit.shape(wire):
        return {wire: gradient}
    return follow(done, {wire: gradient}, stops)


def whole_faults(done: Pass) -> list[Fault]:
    """Backward passes that are wrong as a whole: begun with what an earlier one left."""
    penalised = done.circuit.penalised
    several = len(penalised) > 1
    amounts = {
        f.variant
        for w in penalised
        for f in table(done, w)
        if several and f.code == "regularisation"
    }
    return [
        *(Fault("not_zeroed", variant, "") for variant in _kept_gradients(done)),
        *(Fault("regularisation", amount, "") for amount in sorted(amounts)),
    ]


def _kept_gradients(done: Pass) -> dict[str, dict[str, Tensor]]:
    """Every gradient, had two or three passes been made without setting gradients to zero."""
    circuit = done.circuit
    inner = [w for w in circuit.named if w in circuit.maker and w != circuit.output]
    found = {f"{n} times": {w: n * done.held[w] for w in circuit.inputs} for n in (2, 3)}
    again = done
    for count in (2, 3):
        kept = {wire: again.held[wire] for wire in inner}
        fresh = Pass(circuit, done.values, {}, plus=kept)
        again = Pass(circuit, done.values, {}, plus={**kept, **_some(again, circuit.inputs)})
        found[f"{count} passes"] = _some(again, circuit.named)
        found[f"{count} passes, inputs set to zero"] = _some(fresh, circuit.named)
    return found


def _some(done: Pass, wires: list[str]) -> dict[str, Tensor]:
    return {wire: done.held[wire] for wire in wires}


def joint_faults(circuit: Circuit, singles: list[Fault]) -> Iterator[Fault]:
    """The same mistake made at all inputs of a gate, or wherever an operator stands."""
    order = {wire: place for place, wire in enumerate(circuit.wires)}
    made: dict[tuple[Any, ...], set[Edge]] = {}
    for fault in singles:
        for number, index in fault.edges:
            op = circuit.gates[number].op.name
            for group in (("gate", number), ("input", op, index), ("operator", op)):
                made.setdefault((*fault[:2], *group), set()).add((number, index))
    seen = set()
    for (code, variant, *_), several in made.items():
        edges = tuple(sorted(several, reverse=True))
        sources = [str(circuit.gates[n].sources[i]) for n, i in edges]
        if len(set(sources)) > 1 and (code, variant, edges) not in seen:
            seen.add((code, variant, edges))
            yield Fault(code, variant, max(sources, key=lambda w: order.get(w, 0)), edges)
