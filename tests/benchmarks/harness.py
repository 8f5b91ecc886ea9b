"""Two contenders in turn, each in a process of its own; medians of the ratios."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTENDERS = Path(__file__).parent / "contenders"
TIMEOUT = 900


@dataclass(frozen=True, slots=True)
class Contender:
    """A script of `contenders/` with arguments; it prints one JSON object with `seconds`.

    `reference` scripts run in the references' environment.
    """

    script: str
    args: tuple[str, ...] = ()
    reference: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Ours against theirs: the ratio of seconds (or of `key`) wanted at most `target`.

    With `higher`, more is better (requests per second) and the target is a least ratio.
    `floor` says, for a target that this machine does not allow, what stands in the way.
    """

    name: str
    ours: Contender
    theirs: Contender
    target: float
    key: str = "seconds"
    higher: bool = False
    long: bool = False
    floor: str = ""


@dataclass(slots=True)
class Figure:
    """What was measured for a row; `ratios` is empty when a contender could not run."""

    row: Row
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    missing: str = ""
    notes: set[str] = field(default_factory=set)

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def reached(self) -> bool:
        if not self.ratios:
            return False
        median = statistics.median(self.ratios)
        return median >= self.row.target if self.row.higher else median <= self.row.target

    def line(self) -> str:
        """The row as a line of the table."""
        if self.missing:
            return f"{self.row.name:58} not measured: {self.missing}"
        ratios, notes = self.ratios, set(self.notes)
        if not self.reached and self.row.floor:
            notes.add(self.row.floor)
        sign = ">=" if self.row.higher else "<="
        return (
            f"{self.row.name:58} {statistics.median(ratios):8.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f})  wanted {sign} {self.row.target:g}  "
            f"{'reached' if self.reached else 'NOT reached'}"
            + "".join(f"\n    {note}" for note in sorted(notes))
        )

    def document(self) -> dict[str, Any]:
        """The row as JSON."""
        return {
            "row": self.row.name,
            "target": self.row.target,
            "ratio": statistics.median(self.ratios) if self.ratios else None,
            "ratios": self.ratios,
            "measured": self.row.key,
            "ours": self.ours,
            "theirs": self.theirs,
            "missing": self.missing,
            "notes": sorted(self.notes),
            "reached": self.reached,
        }


class Missing(Exception):
    """A contender could not run; the text says why."""


def run(contender: Contender, reference_python: str | None) -> dict[str, Any]:
    """Start a contender, wait for it, and read what it printed."""
    python = reference_python if contender.reference else sys.executable
    if python is None:
        raise Missing("the references could not be installed")
    done = subprocess.run(
        [python, CONTENDERS / contender.script, *contender.args],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no word"]
        raise Missing(f"{contender.script}: {lines[-1][:120]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(row: Row, reference_python: str | None, rounds: int) -> Figure:
    """Ours and theirs in turn, `rounds` times, each first every other time."""
    figure = Figure(row)
    sides = [(row.ours, figure.ours), (row.theirs, figure.theirs)]
    try:
        answers: list[list[float]] = []
        for _ in range(rounds):
            for contender, figures in sides:
                found = run(contender, reference_python)
                figures.append(float(found[row.key]))
                if "answer" in found:
                    answers.append(found["answer"])
                if found.get("note"):
                    figure.notes.add(f"{contender.script}: {found['note']}")
            sides.reverse()
        for numbers in answers[1:]:
            pairs = zip(answers[0], numbers, strict=True)
            if not all(math.isclose(a, b, rel_tol=1e-9) for a, b in pairs):
                raise Missing(f"the answers differ: {answers[0]} and {numbers}")
    except (Missing, subprocess.TimeoutExpired) as error:
        figure.missing = str(error)[:160]
        figure.ours, figure.theirs = [], []
    return figure
