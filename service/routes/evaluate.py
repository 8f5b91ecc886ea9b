"""`/evaluate`: grading by the µEd API (0.1.0), as an adapter of `/v1/grade`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from fastapi import Response
from pydantic import BaseModel, Field

from service import __version__
from service.codes import Refusal
from service.engine.control import Control
from service.engine.errors import Cancelled, Fault, GraphError
from service.errors import problem
from service.grading.report import WORDS, explain, label, shown
from service.grading.submission import read_submission
from service.http.operation import Handler, Operation
from service.http.prepared import Answer, Cost, PreparedRequest
from service.http.routing import Router
from service.routes._describe import own_refusals, request_body
from service.routes._grading import find_truth, graded
from service.wire.answers import encode
from service.wire.context import Context, WouldBlock
from service.wire.grading import parse_grading, task_part

_NOMINAL_FLOPS = 1_000_000
_VERSIONS = ("0.1.0",)
_VERSION_HEADER = (("X-Api-Version", _VERSIONS[-1]),)
_STATUSES = {401: 403, 404: 400, 413: 400, 415: 400, 422: 400, 408: 400}
"""The statuses of the µEd API where they are others than the service's own."""
_MEMBERS: tuple[tuple[str, type, str], ...] = (
    ("task", dict, "an object"),
    ("configuration", dict, "an object"),
    ("preSubmissionFeedback", dict, "an object"),
    ("criteria", list, "a list"),
)
_TEXTS = ("value", "text", "code", "expression", "model", "json")


def _refuse(error: Exception) -> Answer | None:
    """The error document; None where nobody waits for one."""
    if isinstance(error, Cancelled):
        return None
    found = problem(error)
    details: dict[str, Any] = {"status": found.status, "errors": list(found.errors)}
    code = found.code.name.upper()
    if isinstance(error, UnknownVersion):
        code = "VERSION_NOT_SUPPORTED"
        details |= {"requestedVersion": error.version, "supportedVersions": list(_VERSIONS)}
    document = {
        "title": found.code.title,
        "message": found.detail,
        "code": code,
        "trace": "",
        "details": details,
    }
    status = _STATUSES.get(found.status, found.status)
    return Answer(encode(document), status=status, headers=_VERSION_HEADER)


class UnknownVersion(Refusal):
    """A version of the API was asked for that is not spoken here."""

    def __init__(self, version: str) -> None:
        super().__init__("not_acceptable", f"X-Api-Version is one of {', '.join(_VERSIONS)}")
        self.version = version[:40]


def _handler(scope: Mapping[str, Any]) -> Handler:
    """The handler for the version that `X-Api-Version` names, the newest where it is absent."""
    for name, value in scope["headers"]:
        version = value.decode("latin-1").strip()
        if name == b"x-api-version" and version not in _VERSIONS:
            return Handler(partial(_refused, version), _refuse)
    return Handler(_parse, _refuse)


def _refused(version: str, *_: Any) -> PreparedRequest:
    raise UnknownVersion(version)


def _parse(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    """The request in `body`."""
    if not may_block:
        raise WouldBlock
    document = parse_grading(body, context.max_depth)
    request = _grading_request(document)

    def execute(control: Control | None) -> Answer:
        truth, reveal = find_truth(request, context, control)
        submission = _submission(document)
        early = document.get("preSubmissionFeedback")
        if isinstance(early, Mapping) and early.get("enabled") is True:
            found = read_submission(submission, truth)
            answer = found.answers[0]
            lines = [] if found.reason is None else [found.reason]
            lines += found.notes
            lines += [f"{w}: {fault.reason}" for w, fault in answer.faults.items()]
            lines += [
                f"{wire}: it is missing"
                for wire in truth.points_for
                if wire not in answer.gradients and wire not in answer.faults
            ]
            return _list([_early(lines)])
        result = graded(truth, reveal, submission, context)
        return _list(_feedback(shown(result), document))

    return PreparedRequest(Cost(_NOMINAL_FLOPS, 4 * len(body)), execute)


def _list(entries: list[dict[str, Any]]) -> Answer:
    body = b"[" + b",".join(encode(entry) for entry in entries) + b"]"
    return Answer(body, headers=_VERSION_HEADER)


def _grading_request(document: Mapping[str, Any]) -> dict[str, Any]:
    """The task that a µEd request means, as `/v1/grade` has it.

    It stands in `configuration.params` (or in `configuration`), or in `task.referenceSolution`,
    which may be anything; or `task.taskId`, or else `submission.taskId`, is the id of a task that
    the service holds.
    """
    if not isinstance(document.get("submission"), Mapping):
        raise _invalid("a submission is an object with type and content", "#/submission")
    for member, kind, name in _MEMBERS:
        if not isinstance(document.get(member), kind | None):
            raise _invalid(f"{member} is {name}", f"#/{member}")
    for place, criterion in enumerate(document.get("criteria") or ()):
        if not isinstance(criterion, dict):
            raise _invalid("a criterion is an object", f"#/criteria/{place}")
    configuration = _mapping(document.get("configuration"))
    task = _mapping(document.get("task"))
    reference = _mapping(_unpacked(task.get("referenceSolution")))
    for given in (_mapping(configuration.get("params")), configuration, reference):
        if "graph" in given or isinstance(given.get("task"), str):
            named = {"task": given["task"]} if isinstance(given.get("task"), str) else {}
            return {**task_part(given), **named}
    for member in ("taskId", "id"):
        if isinstance(task.get(member), str):
            return {"task": task[member]}
    if isinstance(document["submission"].get("taskId"), str):
        return {"task": document["submission"]["taskId"]}
    raise _invalid(
        "which task is it? Give configuration.params with a graph or the id of a held task, or "
        "task.taskId",
        "#/task",
    )


def _submission(document: Mapping[str, Any]) -> object:
    """The submission as `/v1/grade` has it: the content, or the JSON text in it."""
    given = _mapping(document["submission"])
    content = _unpacked(given.get("content"), ("gradients", "values", "points"))
    if isinstance(content, Mapping):
        for member in ("submissionId", "id"):
            if isinstance(given.get(member), str):
                return {"id": given[member], **content}
    return content


def _unpacked(content: object, wanted: tuple[str, ...] = ("graph", "task")) -> Any:
    """The JSON object that has a wanted member: the content itself, or what is in a text of it,
    in its `content`, or in one of its `files`; else what is there."""
    for _ in range(4):
        if isinstance(content, str):
            try:
                content = parse_grading(content.encode("utf-8", "replace"), 64)
            except Exception:
                return None
        if not isinstance(content, Mapping) or set(wanted) & set(content):
            return content
        inside = [content.get(name) for name in ("content", *_TEXTS)]
        files = content.get("files")
        if isinstance(files, Mapping):
            inside += files.values()
        elif isinstance(files, list):
            inside += sorted(files, key=lambda file: not _is_json(file))
        content = next((one for one in inside if isinstance(one, str | Mapping)), content)
    return content


def _is_json(file: object) -> bool:
    named = _mapping(file)
    return any(str(named.get(member)).endswith(".json") for member in ("name", "path", "filename"))


def _feedback(document: Mapping[str, Any], request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry for each node, or one for the score where no more may be shown."""
    if "nodes" not in document or "reason" in document:
        return [
            {
                "feedbackId": "score",
                "title": f"{document['score']:g} of {document['max_score']:g}",
                "message": document["message"],
                "awardedPoints": document["score"],
            }
        ]
    entries = []
    given = _mapping(request["submission"])
    for kind, member in (("gradient", "nodes"), ("value", "values")):
        for node in document.get(member, ()):
            said = explain(node)
            entry: dict[str, Any] = {
                "feedbackId": f"{kind}-{node['node']}",
                "title": f"{label(node, kind)}: {WORDS[node['verdict']]}",
                "message": said or WORDS[node["verdict"]],
                "awardedPoints": node["points"],
                "target": {
                    "artefactType": str(given.get("type", "OTHER")),
                    "format": str(given.get("format", "json")),
                    "locator": {"type": "json-pointer", "pointer": f"/{kind}s/{node['node']}"},
                },
            }
            if node.get("diagnoses"):
                entry["suggestedAction"] = node["diagnoses"][0]["message"]
            criterion = _criterion(request, node["node"])
            if criterion is not None:
                entry["criterion"] = criterion
            entries.append(entry)
    return entries


def _criterion(request: Mapping[str, Any], node: str) -> Mapping[str, Any] | None:
    """The criterion of the request that has the node's name."""
    criteria = request.get("criteria")
    if not isinstance(criteria, list):
        return None
    for one in criteria:
        if isinstance(one, Mapping) and node in (one.get("criterionId"), one.get("name")):
            return {key: value for key, value in one.items() if value is not None}
    return None


def _early(lines: list[str]) -> dict[str, Any]:
    return {
        "feedbackId": "pre-submission",
        "title": "Before you hand it in",
        "message": "\n".join(lines) or "Everything that is asked for is there and can be read.",
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _invalid(detail: str, pointer: str) -> GraphError:
    return GraphError([Fault("invalid_request", detail, pointer=pointer)])


class EvaluateRequest(BaseModel):
    """A submission, and the task that it answers."""

    submission: dict[str, Any] = Field(description="`type`, `format` and `content`.")
    task: dict[str, Any] | None = Field(None, description="With a `taskId`.")
    configuration: dict[str, Any] | None = Field(None, description="With `params`.")
    criteria: list[dict[str, Any]] | None = None
    preSubmissionFeedback: dict[str, Any] | None = None


_EXAMPLE = {
    "submission": {
        "type": "OTHER",
        "format": "json",
        "content": {"gradients": {"x": -4, "y": -4, "z": 3}},
    },
    "configuration": {
        "params": {
            "graph": {"expression": "(x + y) * z"},
            "inputs": {"x": -2, "y": 5, "z": -4},
        }
    },
}


class EvaluateRefusal(BaseModel):
    """A refusal as the µEd API has it."""

    title: str
    message: str
    code: str
    trace: str = ""
    details: dict[str, Any] = {}


router = Router(
    Operation(
        "/evaluate",
        _parse,
        summary="Grade a submission (µEd API)",
        description=(
            "Feedback on each gradient, as the µEd API 0.1.0 has it.\n\nThe task stands in "
            "`configuration.params` as in POST /v1/grade, or `task.taskId` is the id\nof one that"
            " the service holds. The submission's content is that of /v1/grade."
        ),
        refuse=_refuse,
        handler_for=_handler,
        responses=own_refusals(EvaluateRefusal),
        openapi_extra={"requestBody": request_body(EvaluateRequest, example=_EXAMPLE)},
    ),
    access="grade",
    offers=None,
    tags=["grading"],
)


@router.get("/evaluate/health", summary="Whether grading works (µEd API)")
async def health() -> Response:
    """What this service can do, as the µEd API 0.1.0 has it."""
    document = {
        "status": "OK",
        "version": __version__,
        "capabilities": {
            "supportsEvaluate": True,
            "supportsPreSubmissionFeedback": True,
            "supportsFormativeFeedback": True,
            "supportsSummativeFeedback": True,
            "supportsDataPolicy": "NOT_SUPPORTED",
            "supportedAPIVersions": ["0.1.0"],
        },
    }
    return Response(msgspec.json.encode(document), media_type="application/json")
