"""Mistakes planted in correct work, mechanically: every one of the table, wherever it shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.grading.circuit import Pass
from service.grading.diagnosis import Fault, wrong_gradients
from service.grading.grade import grade
from service.grading.truth import Truth
from tests.grading.circuits import CIRCUITS, truth_of


@dataclass(frozen=True)
class Planted:
    """One mistake, and the submission of a student who made it and no other."""

    key: Fault
    wire: str
    shows_in: tuple[str, ...]
    document: dict[str, Any]


def plant(truth: Truth, leaves_only: bool = False) -> Iterator[Planted]:
    """Every mistake of the table at every wire where it changes a submitted gradient.

    One that changes nothing by more than ten times the tolerance can't be seen, and is left out.
    """
    circuit, tolerance = truth.circuit, truth.task.tolerance
    right = [Pass(circuit, point.values, {}) for point in truth.points]
    wires = circuit.inputs if leaves_only else circuit.wires
    for wire in circuit.wires:
        if wire == circuit.output:
            continue
        with np.errstate(all="ignore"):
            tables = [
                {key: gradient for key, _, gradient in wrong_gradients(done, wire)}
                for done in right
            ]
        for key in tables[0]:
            if any(key not in table for table in tables):
                continue
            answers = [
                answer
                for done, table in zip(right, tables, strict=True)
                if (answer := _carried(done, wire, table[key])) is not None
            ]
            if len(answers) < len(right):
                continue
            shows = tuple(
                name
                for name in wires
                if any(
                    np.shape(answer[name]) != np.shape(point.gradients[name])
                    or tolerance.apart(answer[name], point.gradients[name], point.noise)
                    for answer, point in zip(answers, truth.points, strict=True)
                )
            )
            if not shows or (not leaves_only and wire not in shows):
                continue
            yield Planted(key, wire, shows, _document(answers, wires))
    if not leaves_only:
        yield from _second_pass(truth, right[0])


def _carried(done: Pass, wire: str, gradient: Any) -> dict[str, Any] | None:
    """All gradients of a student whose gradient of `wire` is wrong, and nothing else.

    One of a wrong shape can't be carried on: what lies further back is then left right.
    """
    if not np.all(np.isfinite(gradient)):
        return None
    if np.shape(gradient) != done.circuit.shape(wire):
        return {**done.held, wire: gradient} if wire in done.circuit.inputs else None
    return Pass(done.circuit, done.values, {wire: gradient}).held


def _document(answers: list[dict[str, Any]], wires: list[str]) -> dict[str, Any]:
    listed = [
        {"gradients": {wire: np.asarray(answer[wire]).tolist() for wire in wires}}
        for answer in answers
    ]
    return {"id": "s", **listed[0], "points": listed[1:]}


def _second_pass(truth: Truth, done: Pass) -> Iterator[Planted]:
    """A second backward pass on top of the first one's gradients."""
    if len(truth.points) > 1:
        return
    circuit = truth.circuit
    kept: dict[str, Any] = {}
    for wire in reversed([w for w in circuit.wires if w in circuit.maker]):
        if wire == circuit.output:
            kept[wire] = circuit.seed
            continue
        kept[wire] = done.held[wire] + Pass(circuit, done.values, kept).expected[wire]
    for wire in circuit.inputs:
        kept[wire] = done.held[wire] + Pass(circuit, done.values, kept).expected[wire]
    first = next(w for w in reversed(circuit.wires) if w in circuit.maker and w != circuit.output)
    yield Planted(
        Fault("not_zeroed", "all", first), first, (first,), _document([kept], circuit.wires)
    )


@dataclass
class Shares:
    """What became of the planted mistakes."""

    planted: int = 0
    found: int = 0
    first: int = 0
    in_first_group: int = 0
    in_any_group: int = 0
    missed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    by_code: Counter[str] = field(default_factory=Counter)
    first_by_code: Counter[str] = field(default_factory=Counter)

    def add(self, truth: Truth, planted: Planted, leaves_only: bool = False) -> None:
        """Grade one, and note whether its wire and its name were found."""
        code = planted.key[0]
        result = grade(truth, planted.document)
        self.planted += 1
        self.by_code[code] += 1
        verdicts = {wire.wire: wire for wire in result.wires}
        if leaves_only:
            shown = [verdicts[name] for name in planted.shows_in]
            groups = [d for one in shown for d in one.diagnoses[:1]]
            every = [d for one in shown for d in one.diagnoses]
            found = all(one.verdict != "correct" for one in shown) and any(
                h.at == planted.wire for d in every for h in (d.first, *d.equivalent)
            )
        else:
            groups = verdicts[planted.wire].diagnoses[:1]
            every = verdicts[planted.wire].diagnoses
            found = result.faulty[:1] == [planted.wire]
            if planted.key[1] != "all":
                found = found and len(result.faulty) == 1
        self.found += found
        first = any(d.first.code == code for d in groups)
        grouped = any(code in {d.first.code, *(e.code for e in d.equivalent)} for d in groups)
        self.first += first
        self.first_by_code[code] += first
        self.in_first_group += grouped
        self.in_any_group += any(
            code in {d.first.code, *(e.code for e in d.equivalent)} for d in every
        )
        if not grouped or not found:
            named = groups[0].first.code if groups else "nothing"
            self.missed[code, named, planted.wire] += 1

    def __str__(self) -> str:
        def share(count: int) -> str:
            return f"{100 * count / max(1, self.planted):.1f} %"

        return (
            f"{self.planted} planted; wire found {share(self.found)}, named first "
            f"{share(self.first)}, in the first group {share(self.in_first_group)}, in any "
            f"{share(self.in_any_group)}"
        )


def measure(name: str, *, leaves_only: bool = False, more: int = 0, seed: int = 7) -> Shares:
    """The shares for one circuit."""
    truth = truth_of(name, seed, more)
    shares = Shares()
    for planted in plant(truth, leaves_only):
        shares.add(truth, planted, leaves_only)
    return shares


def main() -> None:
    """Print the shares of all circuits: all wires or inputs only, at one point or at three."""
    import time

    for label, options in (
        ("all wires, one point", {}),
        ("all wires, three points", {"more": 2}),
        ("inputs only, one point", {"leaves_only": True}),
        ("inputs only, three points", {"leaves_only": True, "more": 2}),
    ):
        whole = Shares()
        start = time.perf_counter()
        for name in CIRCUITS:
            one = measure(name, **options)
            print(f"{label}: {name}: {one}")
            for member in ("planted", "found", "first", "in_first_group", "in_any_group"):
                setattr(whole, member, getattr(whole, member) + getattr(one, member))
            whole.missed += one.missed
        spent = time.perf_counter() - start
        print(f"{label}: ALL: {whole} ({1000 * spent / whole.planted:.2f} ms each)")
        for (code, named, wire), count in whole.missed.most_common(25):
            print(f"    {count} x {code} taken for {named} at {wire}")


if __name__ == "__main__":
    main()
