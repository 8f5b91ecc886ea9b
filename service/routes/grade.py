"""`/v1/grade` and `/v1/grade/batch`: grading submitted gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from service.codes import Refusal
from service.engine.control import Control
from service.engine.errors import Cancelled, LimitExceeded
from service.errors import problem, responses
from service.grading.formats import FORMATS, Format
from service.http.execution import Execution
from service.http.operation import Handler, Operation
from service.http.prepared import Answer, Cost, PreparedRequest
from service.http.routing import Router
from service.routes._describe import query_parameter, request_body
from service.routes._grading import (
    DEFAULT_PROBLEM,
    check_members,
    failure,
    find_format,
    find_truth,
    graded,
    graded_line,
    rendered,
    written,
)
from service.wire.context import Context, WouldBlock
from service.wire.grading import (
    BatchRequest,
    GradeRequest,
    GradeResponse,
    parse_grading,
    parse_submission,
)

NDJSON = "application/x-ndjson"
_NOMINAL_FLOPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Grading:
    """How `POST /v1/grade` grades: in one format, where a refusal is a failing document.

    With `task`, the body is the submission and nothing else.
    """

    format: Format = FORMATS["native"]
    problem: str = DEFAULT_PROBLEM
    task: str | None = None

    def refuse(self, error: Exception) -> Answer | None:
        """A failing document of the format; None where the format has none of its own."""
        if self.format.failed is None or isinstance(error, Cancelled):
            return None
        document = self.format.failed(failure(error), self.problem)
        return Answer(written(document), self.format.media, problem(error).status)

    def parse(self, body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
        """The request in `body`. Everything but its form is looked at when it runs."""
        if not may_block:
            raise WouldBlock
        if self.task is not None:
            submission = parse_submission(body, context.max_depth)
            document: dict[str, Any] = {"task": self.task, "submission": submission}
        else:
            document = parse_grading(body, context.max_depth)
            check_members(document, "submission")

        def execute(control: Control | None) -> Any:
            truth, reveal = find_truth(document, context, control)
            result = graded(truth, reveal, document["submission"], context)
            answer = rendered(result, self.format, self.problem)
            if self.format.media == "application/json":
                return answer
            return Answer(answer, self.format.media)

        return PreparedRequest(Cost(_NOMINAL_FLOPS, 4 * len(body)), execute)


def _grading_for(scope: Mapping[str, Any]) -> Handler:
    """The handler for `?format=…&problem=…&task=…`."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    name = query.get("format", ["native"])[-1]
    problem_name = query.get("problem", [DEFAULT_PROBLEM])[-1][:200]
    grading = Grading(
        format=find_format(name),
        problem=problem_name or DEFAULT_PROBLEM,
        task=query.get("task", [None])[-1],
    )
    return Handler(grading.parse, grading.refuse)


_FORMAT_TEXT = "Which grader's format: " + ", ".join(FORMATS) + "."
_TASK_TEXT = (
    "The id of a task that the service holds. The body is then the submission itself, "
    "whatever it is: curl can send a student's file as it is."
)
_PROBLEM_TEXT = "The problem's name, for formats that have one (autolab)."


def _body(model: type[GradeRequest] | type[BatchRequest], member: str, value: Any) -> Any:
    example = {
        "graph": {"expression": "q = x + y\nf = q * z"},
        "inputs": {"x": -2, "y": 5, "z": -4},
        member: value,
    }
    return {"requestBody": request_body(model, example=example)}


_SUBMISSION = {"id": "ada", "gradients": {"q": -4, "x": 3, "y": -4, "z": 3}}


router = Router(
    Operation(
        "/v1/grade",
        Grading().parse,
        summary="Grade a submission",
        description=(
            "Score the gradients that a student submitted, and say which is wrong, and why.\n\n"
            "Each gradient is held against the truth, and against what follows from the student's "
            "own\ngradients further down: a mistake is found where it was made, and what follows "
            "from it\ncorrectly earns the rubric's share. Where a gradient is wrong, `diagnoses` "
            "names the\nmistakes that give exactly these numbers, the likeliest first; those that "
            "nothing could\ntell apart stand together. A submission is always graded, whatever it "
            "holds; what is wrong\nwith the task is an error. In a grader's format errors too are "
            "documents of that format."
        ),
        media=("application/json", "text/plain"),
        refuse=Grading().refuse,
        handler_for=_grading_for,
        name="grade_one",
        response_model=GradeResponse,
        responses=responses(404, 503, 504),
        openapi_extra={
            **_body(GradeRequest, "submission", _SUBMISSION),
            "parameters": [
                query_parameter("format", _FORMAT_TEXT, "native"),
                query_parameter("problem", _PROBLEM_TEXT, DEFAULT_PROBLEM),
                query_parameter("task", _TASK_TEXT),
            ],
        },
    ),
    access="grade",
    tags=["grading"],
)


@router.post(
    "/v1/grade/batch",
    summary="Grade many submissions for one task",
    response_class=StreamingResponse,
    responses={
        200: {"description": "One line of JSON per submission.", "content": {NDJSON: {}}},
        **responses(404, 503, 504),
    },
    openapi_extra=_body(BatchRequest, "submissions", [_SUBMISSION]),
)
async def grade_batch(
    request: Request,
    format: Annotated[str, Query(description=_FORMAT_TEXT)] = "native",
    problem: Annotated[str, Query(description=_PROBLEM_TEXT)] = DEFAULT_PROBLEM,
) -> Response:
    """Grade submissions in order: a line of JSON for each, sent as soon as it is ready.

    The truth is computed once. What is wrong with the task is an error of the request; what
    happens to one submission stands in its own line.
    """
    execution: Execution = request.app.state.execution
    context: Context = request.app.state.context
    body = await request.body()
    chosen = find_format(format)

    def lines(control: Control) -> Iterator[bytes]:
        document = parse_grading(body, context.max_depth)
        check_members(document, "submissions")
        submissions = document["submissions"]
        if not isinstance(submissions, list):
            raise Refusal("invalid_request", "submissions is a list")
        truth, reveal = find_truth(document, context, control)
        for submission in submissions:
            yield graded_line(truth, reveal, submission, chosen, problem, context, control)[1]

    def within(control: Control) -> Iterator[bytes]:
        return _within(lines(control), context.max_output_bytes, chosen, problem)

    return StreamingResponse(await execution.stream(request.receive, within), media_type=NDJSON)


def _within(
    lines: Iterable[bytes], allowed: int, chosen: Format, problem_name: str
) -> Iterator[bytes]:
    """The lines until they are too many bytes together: then a last one that says so."""
    size = 0
    for line in lines:
        size += len(line) + 1
        if size > allowed:
            error = LimitExceeded("output_bytes", allowed, size)
            last: Any = {"error": problem(error).document()}
            if chosen.failed is not None:
                last = chosen.failed(failure(error), problem_name)
            yield written(last) + b"\n"
            return
        yield line + b"\n"
