"""Every single fault of a task with what it makes of the gradients, worked out once.

A submission is held against all faults of a place at a time, by one number for each gradient:
its sum with drawn weights. Those that agree are then compared in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.engine.lru_cache import Recent
from service.grading.circuit import Pass
from service.grading.diagnosis.faults import (
    Fault,
    carried,
    effect,
    joint_faults,
    table,
    whole_faults,
)
from service.grading.truth import Truth

Tensor = Any
WHOLE, JOINT = "whole", "joint"
"""What stands for a place where faults are made in the whole pass, or in several places."""
_KEPT_ELEMENTS = 250_000


@dataclass(slots=True)
class _Place:
    """The faults of one place: a row of sums each, or a gradient of a wrong shape."""

    faults: list[Fault] = field(default_factory=list)
    sums: Tensor = None
    misshapen: list[tuple[Fault, Tensor]] = field(default_factory=list)


def catalogue_of(truth: Truth) -> Catalogue:
    """Every single fault at the task's first point."""
    found: Catalogue | None = truth.derived.get("catalogue")
    if found is None:
        found = truth.derived.setdefault("catalogue", Catalogue(truth.sound[0]))
    return found


class Catalogue:
    """The single faults of a correct pass, place by place as they are asked for."""

    def __init__(self, done: Pass) -> None:
        self.done = done
        rng = np.random.default_rng(20_107)
        circuit = done.circuit
        self._weights = {
            wire: rng.choice((-1.0, 1.0), shape) * rng.uniform(0.5, 1.5, shape) if shape else 1.0
            for wire in circuit.named
            for shape in [circuit.shape(wire)]
        }
        self._sizes = {wire: abs(weights) for wire, weights in self._weights.items()}
        self._column = {wire: place for place, wire in enumerate(circuit.named)}
        self._right = np.array([self._sum(w, done.held[w]) for w in circuit.named])
        self._places: dict[str, _Place] = {}
        self._effects: Recent[tuple[int, Fault], Any] = Recent(4_096, _KEPT_ELEMENTS)

    def _sum(self, wire: str, gradient: Tensor) -> float:
        weights = self._weights[wire]
        return float(
            weights * gradient if isinstance(weights, float) else (weights * gradient).sum()
        )

    def _place(self, name: str) -> _Place:
        """The faults of a wire, or those of WHOLE or JOINT."""
        found = self._places.get(name)
        if found is None:
            with np.errstate(all="ignore"):
                if name == WHOLE:
                    found = self._of_faults(whole_faults(self.done))
                elif name == JOINT:
                    singles = [f for w in self.done.circuit.wires for f in table(self.done, w)]
                    found = self._of_faults(joint_faults(self.done.circuit, singles))
                else:
                    found = self._of_wire(name)
            self._places[name] = found
        return found

    def _of_faults(self, faults: Iterable[Fault]) -> _Place:
        place, rows = _Place(), []
        for fault in faults:
            changed = effect(self.done, fault)
            if changed:
                rows.append(self._row(changed))
                place.faults.append(fault)
        place.sums = np.array(rows).reshape(-1, len(self._right))
        return place

    def _row(self, changed: Mapping[str, Tensor]) -> Tensor:
        row = self._right.copy()
        for wire, gradient in changed.items():
            if wire in self._column:
                row[self._column[wire]] = self._sum(wire, gradient)
        return row

    def _of_wire(self, wire: str) -> _Place:
        done, place, rows = self.done, _Place(), []
        held, shape = done.held[wire], done.circuit.shape(wire)
        slope: Tensor = None
        if shape == ():
            # The way back is linear: one number's effect is a multiple of one more's.
            slope = self._row(carried(done, wire, held + 1.0) or {}) - self._right
        for fault, (_, gradient) in table(done, wire).items():
            if wire == done.circuit.output and (fault.edges or fault.code == "zero_gradient"):
                continue
            if np.shape(gradient) != shape:
                place.misshapen.append((fault, gradient))
            else:
                if slope is not None:
                    row = self._right + float(gradient - held) * slope
                else:
                    row = self._row(carried(done, wire, gradient) or {})
                place.faults.append(fault)
                rows.append(row)
        place.sums = np.array(rows).reshape(-1, len(self._right))
        return place

    def matching(
        self,
        given: Mapping[str, Tensor],
        allowed: Mapping[str, Tensor],
        places: Iterable[str],
        count: int,
    ) -> tuple[list[Fault], int]:
        """The faults whose gradients may be the given ones, among `count` at the most, and how
        many were looked at. `allowed` is by how much each element may be off."""
        wires = [wire for wire in given if wire in self._column]
        columns = [self._column[wire] for wire in wires]
        found: list[Fault] = []
        looked_at = 0
        with np.errstate(all="ignore"):
            seen = np.array([self._sum(wire, given[wire]) for wire in wires])
            off = np.array([np.sum(self._sizes[wire] * allowed[wire]) for wire in wires])
            for name in places:
                place = self._place(name)
                sums = place.sums[: max(0, count - looked_at)]
                looked_at += len(place.faults)
                fits = (np.abs(sums[:, columns] - seen) <= off).all(axis=1)
                found += [place.faults[row] for row in np.flatnonzero(fits)]
        return found, looked_at

    def misshapen(self, wire: str, gradient: Tensor) -> list[tuple[Fault, Tensor]]:
        """The faults that give a gradient of this wrong shape, with theirs."""
        return [
            (fault, wrong)
            for fault, wrong in self._place(wire).misshapen
            if np.shape(wrong) == np.shape(gradient)
        ]

    def effects(self, passes: Sequence[Pass], number: int, fault: Fault) -> Mapping[str, Tensor]:
        """All named gradients that a fault changes in one of several correct passes, kept."""
        found = self._effects.get((number, fault))
        if found is None:
            changed = effect(passes[number], fault)
            found = {w: g for w, g in (changed or {}).items() if w in self._column}
            self._effects.put((number, fault), found, sum(map(np.size, found.values())) + 1)
        return found
