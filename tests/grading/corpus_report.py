"""What becomes of the corpus of public mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from service.grading.grade import grade
from service.grading.task import Diagnosis
from service.grading.truth import Truth
from tests.grading.corpus import Case, Circuit, cases, document, truth_of


@dataclass(frozen=True)
class Told:
    """What is said first about a submission."""

    case: Case
    wire: str
    diagnosis: Diagnosis | None

    @property
    def code(self) -> str:
        return "unknown" if self.diagnosis is None else self.diagnosis.first.code

    @property
    def accepted(self) -> bool:
        return self.code in self.case.accepted

    @property
    def confidence(self) -> float:
        return 0.0 if self.diagnosis is None else self.diagnosis.confidence


@cache
def _truth(name: str, spelling: str, scope: str) -> Truth:
    return truth_of(_circuits()[name], spelling, scope)


@cache
def _circuits() -> dict[str, Circuit]:
    return {case.circuit.name: case.circuit for case in cases()}


def told(case: Case) -> Told | None:
    """The first diagnosis at the first fault; None where the slip doesn't show."""
    truth = _truth(case.circuit.name, case.spelling, case.scope)
    result = grade(truth, document(case, truth))
    wrong = [w for w in result.wires if w.verdict in ("wrong", "wrong_shape", "inconsistent")]
    if not wrong:
        return None
    first = result.faulty[0] if result.faulty else wrong[0].wire
    entry = next(w for w in result.wires if w.wire == first)
    return Told(case, first, entry.diagnoses[0] if entry.diagnoses else None)


@cache
def report() -> tuple[Told, ...]:
    """All that shows."""
    return tuple(one for case in cases() if (one := told(case)) is not None)


def main() -> None:
    """Print the shares, and what was missed."""
    every = report()
    for one in every:
        if not one.accepted:
            where = one.diagnosis.first.at if one.diagnosis else ""
            print(f"  {one.case}: {one.code} {one.confidence} at {one.wire} (from {where})")
    right = sum(one.accepted for one in every)
    unknown = sum(one.code == "unknown" and not one.accepted for one in every)
    false = sum(not one.accepted and one.confidence > 0.9 for one in every)
    sure = [one for one in every if one.confidence >= 0.9]
    print(
        f"{len(every)} submissions over {len(_circuits())} circuits: {right / len(every):.1%} "
        f"accepted, {unknown / len(every):.1%} unknown, {false} false above 0.9; of {len(sure)} "
        f"at 0.9 {sum(o.accepted for o in sure)} right"
    )


if __name__ == "__main__":
    main()
