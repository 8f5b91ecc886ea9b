"""What a task asks, what a student sent, and what comes out: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from service.engine.graph import Graph
from service.grading.tolerance import Tolerance

Tensor = Any

Reveal = Literal["score", "verdict", "diagnosis", "full"]
Verdict = Literal[
    "correct",
    "carried_forward",
    "wrong",
    "inconsistent",
    "missing",
    "wrong_shape",
    "not_finite",
]


@dataclass(frozen=True, slots=True)
class Rubric:
    """Points per wire for its gradient (`points`) and its forward value (`value_points`).

    Without `points`, every input is worth 1. `carry_forward` is the share of a wire's points
    for a gradient that follows from wrong gradients further down; `inconsistent` is the share
    for one that is right although it does not follow from the student's own. `by_entry` gives
    a wrong tensor the share of its points that its right entries make.
    """

    points: Mapping[str, float] | None = None
    value_points: Mapping[str, float] = field(default_factory=dict)
    carry_forward: float = 1.0
    inconsistent: float = 0.0
    by_entry: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """A graph at one or more points, and how work on it is judged.

    `inputs` has the values at the point, `more` those at further points: a mistake that a
    coincidence hides at one point shows at another.
    """

    graph: Graph
    inputs: Mapping[str, Tensor]
    more: tuple[Mapping[str, Tensor], ...] = ()
    output: str | None = None
    cotangent: Tensor | None = None
    rubric: Rubric = field(default_factory=Rubric)
    tolerance: Tolerance = field(default_factory=Tolerance)
    reveal: Reveal = "diagnosis"
    seed: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one entry of a submission can't be used: its verdict, and the reason in words."""

    verdict: Verdict
    reason: str


@dataclass(slots=True)
class Answer:
    """What was sent for one point: usable tensors, and what is wrong with the others.

    `misshapen` keeps tensors of a wrong shape, which often tell which mistake was made.
    """

    gradients: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    value_faults: dict[str, Fault] = field(default_factory=dict)
    misshapen: dict[str, Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class Submission:
    """A student's work, checked entry by entry. `reason` says why none of it can be used."""

    id: str | None = None
    answers: list[Answer] = field(default_factory=list)
    expression: str | None = None
    notes: list[str] = field(default_factory=list)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A mistake that explains what was submitted.

    `at` is the wire whose gradient was formed wrongly, `shown` the name people know it by.
    `detail` may allow the expected gradient to be worked out, and is shown with everything
    else only.
    """

    code: str
    message: str
    at: str
    detail: str = ""
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Mistakes that can't be told apart, the likeliest first, and how sure that is (0 to 1)."""

    first: Hypothesis
    confidence: float
    equivalent: tuple[Hypothesis, ...] = ()


class Entries(NamedTuple):
    """How many entries of a tensor are wrong, of how many, and the index of the first."""

    wrong: int
    of: int
    first: tuple[int, ...]


@dataclass(slots=True)
class WireResult:
    """The verdict on one wire's gradient, or on its forward value (`kind`)."""

    wire: str
    verdict: Verdict
    points: float
    max_points: float
    kind: Literal["gradient", "value"] = "gradient"
    reason: str = ""
    diagnoses: list[Diagnosis] = field(default_factory=list)
    expected: Tensor | None = None
    submitted: Tensor | None = None
    error: float | None = None
    entries: Entries | None = None


@dataclass(slots=True)
class Result:
    """A graded submission, with everything in it: `report.shown` filters by `reveal`."""

    submission: str | None
    score: float
    max_score: float
    wires: list[WireResult]
    message: str
    reveal: Reveal
    notes: list[str] = field(default_factory=list)
    reason: str | None = None
    faulty: list[str] = field(default_factory=list)
    complete: bool = True
