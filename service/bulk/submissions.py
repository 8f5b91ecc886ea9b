"""Many submissions for one task, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from service.engine.control import DEFAULT_LIMITS, Control, Limits
from service.grading.formats import FORMATS
from service.grading.task import Result
from service.grading.truth import Truth
from service.routes._grading import find_truth, graded_line
from service.wire.context import Context
from service.wire.grading import parse_grading

LENGTH = 32
"""Submissions of a block."""
WORTH_PROCESSES = 500
"""From so many submissions on it pays to start processes."""

Submission = tuple[str, object]
Graded = tuple[str, Result | None, bytes]


@dataclass(frozen=True, slots=True)
class GradingJob:
    """What all submissions share: the task's JSON, and the format of the results."""

    task: bytes
    format: str = "native"
    problem: str = "gradients"
    limits: Limits = DEFAULT_LIMITS
    max_depth: int = 64
    max_diagnosis_runs: int = 2_000


@lru_cache(maxsize=2)
def _prepared(job: GradingJob) -> tuple[Truth, Context]:
    """The truth of the job's task, once for every process."""
    context = Context(
        limits=job.limits, max_depth=job.max_depth, max_diagnosis_runs=job.max_diagnosis_runs
    )
    document = parse_grading(job.task, job.max_depth)
    document.pop("id", None)
    return find_truth(document, context, Control(None))[0], context


def grade_block(job: GradingJob, block: Sequence[Submission]) -> list[Graded]:
    """Name, result and written result of every submission of a block.

    The result is None where something failed; what is written says so.
    """
    truth, context = _prepared(job)
    made = []
    for name, document in block:
        result, line = graded_line(
            truth, truth.task.reveal, document, FORMATS[job.format], job.problem, context
        )
        made.append((name, result, line))
    return made


@dataclass(frozen=True, slots=True)
class GradedBlock:
    """The results of a numbered block: a row of scores and a document each, as JSON."""

    number: int
    rows: list[dict[str, Any]]
    documents: bytes


def grade_numbered(job: GradingJob, block: tuple[int, Sequence[Submission]]) -> GradedBlock:
    """`grade_block`, in a form that can be kept in a file."""
    number, submissions = block
    made = grade_block(job, submissions)
    rows = [_scores(name, result) for name, result, _ in made]
    return GradedBlock(number, rows, b"\n".join(document for _, _, document in made))


def _scores(name: str, result: Result | None) -> dict[str, Any]:
    """What a table says of a submission; nothing that `reveal` hides.

    A score of None is that of a submission that could not be graded.
    """
    if result is None:
        return {"name": name, "submission": name, "score": None, "max_score": None, "verdicts": {}}
    row: dict[str, Any] = {
        "name": name,
        "submission": result.submission or name,
        "score": result.score,
        "max_score": result.max_score,
        "verdicts": {},
    }
    if result.reason is not None:
        row["unread"] = True
    if result.reveal != "score":
        row["verdicts"] = {
            wire.wire if wire.kind == "gradient" else f"{wire.wire} (value)": wire.verdict
            for wire in result.wires
            if wire.max_points > 0
        }
    if result.reveal in ("diagnosis", "full"):
        row["first_fault"] = result.faulty[0] if result.faulty else ""
    return row


def in_blocks(submissions: Sequence[Submission]) -> Iterator[Sequence[Submission]]:
    """Submissions in blocks of `LENGTH`."""
    for low in range(0, len(submissions), LENGTH):
        yield submissions[low : low + LENGTH]
