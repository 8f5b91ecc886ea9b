"""From a grading request's JSON to its truth, and from a result to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from service.codes import Refusal
from service.engine.control import Control
from service.engine.errors import Cancelled, Fault, GraphError, LimitExceeded
from service.engine.lru_cache import Recent
from service.errors import Problem, problem
from service.grading.formats import FORMATS, Failure, Format
from service.grading.grade import grade
from service.grading.report import shown
from service.grading.task import Result, Reveal
from service.grading.truth import Truth
from service.http import logs
from service.wire.answers import encode
from service.wire.context import Context
from service.wire.grading import lower, parse_grading, read_task, task_part
from service.wire.json_text import encoded

TRUTHS: Recent[bytes, Truth] = Recent(64, 256 * 1024 * 1024)
"""The same task is graded hundreds of times: truths by their task's text, sized in bytes."""
DEFAULT_PROBLEM = "gradients"
_ELEMENT_BYTES = 22
"""Of a number as JSON has it."""


def task_text(document: Mapping[str, Any], context: Context) -> tuple[bytes, object]:
    """The text of the task that a request means, and the reveal that it asks for. Blocks.

    Raises Refusal (task_not_found, invalid_request).
    """
    part = task_part(document)
    task = document.get("task")
    if task is None:
        return encoded(part), None
    if not isinstance(task, str):
        raise _invalid("a task is the id of one that the service holds", "#/task")
    for member in part:
        if member != "reveal":
            raise _invalid(f"'{member}' comes from the task, and can't be given", f"#/{member}")
    found = None if context.find_task is None else context.find_task(task)
    if found is None:
        raise Refusal("task_not_found", "no task is held under this id")
    return found, part.get("reveal")


def check_members(document: Mapping[str, Any], needed: str) -> None:
    """Raise GraphError for members that a request doesn't have, and for the one it lacks."""
    faults = [
        Fault("invalid_request", "there is no member of this name", pointer=f"#/{member[:64]}")
        for member in document
        if member not in task_part(document) and member not in (needed, "task")
    ]
    if needed not in document:
        faults.append(Fault("invalid_request", "this member is required", pointer=f"#/{needed}"))
    if faults:
        raise GraphError(faults)


def find_truth(
    document: Mapping[str, Any], context: Context, control: Control | None = None
) -> tuple[Truth, Reveal]:
    """The truth of the task that a request means, and how much may be shown. Blocks.

    Raises what is wrong with the task.
    """
    text, asked = task_text(document, context)
    truth = TRUTHS.get(text)
    if truth is None:
        task = parse_grading(text, context.max_depth)
        task.pop("id", None)
        truth = Truth(read_task(task, context), context.limits, control)
        program = truth.circuit.program
        points = 24 * program.cost.elements * len(truth.points)
        TRUTHS.put(text, truth, 10 * len(text) + program.nbytes + points)
    return truth, lower(truth.task.reveal, asked)


def graded(truth: Truth, reveal: Reveal, submission: object, context: Context) -> Result:
    """One graded submission, to be shown as far as `reveal`.

    Raises LimitExceeded where that is too much to write.
    """
    result = grade(truth, submission, context.max_diagnosis_runs)
    if reveal == "full":
        tensors = [t for wire in result.wires for t in (wire.expected, wire.submitted)]
        size = _ELEMENT_BYTES * sum(np.size(tensor) for tensor in tensors if tensor is not None)
        if size > context.max_output_bytes:
            raise LimitExceeded("output_bytes", context.max_output_bytes, size)
    return result if result.reveal == reveal else replace(result, reveal=reveal)


def graded_line(
    truth: Truth,
    reveal: Reveal,
    submission: object,
    format: Format,
    problem_name: str,
    context: Context,
    control: Control | None = None,
) -> tuple[Result | None, bytes]:
    """One of many submissions, graded, and its document; whatever fails stays in the latter.

    The result is None where there is none. A fault of the service is logged, and blames the
    service. Raises Cancelled.
    """
    try:
        if control is not None:
            control.check()
        result = graded(truth, reveal, submission, context)
        return result, rendered(result, format, problem_name)
    except Cancelled:
        raise
    except Exception as error:
        found = problem(error)
        if found.status == 500:
            logs.failure(error, request_id="", path="grading")
        if format.failed is not None:
            return None, written(format.failed(failure(error), problem_name))
        line: dict[str, Any] = {"error": found.document()}
        if isinstance(submission, dict) and isinstance(submission.get("id"), str | int):
            line = {"submission": str(submission["id"])[:200], **line}
        return None, encode(line)


def rendered(result: Result, format: Format, problem_name: str) -> bytes:
    """The result in a format, as it is sent."""
    return written(format.graded(shown(result), problem_name))


def written(document: Any) -> bytes:
    """A format's document as bytes: JSON, or text as it is."""
    if isinstance(document, str):
        return document.encode()
    return encode(document)


def failure(error: BaseException) -> Failure:
    """What went wrong, for a grader's failing document."""
    found: Problem = problem(error)
    if found.status >= 500 or found.status in (408, 429):
        return Failure(found.detail, "service", found.code.name)
    cause = "author" if found.status == 422 else "caller"
    return Failure(found.detail, "author" if cause == "author" else "caller", found.code.name)


def find_format(name: str) -> Format:
    """The format of that name; raises GraphError."""
    if name not in FORMATS:
        raise _invalid(f"format is one of {', '.join(FORMATS)}", "#/format")
    return FORMATS[name]


def _invalid(detail: str, pointer: str) -> GraphError:
    return GraphError([Fault("invalid_request", detail, pointer=pointer)])
