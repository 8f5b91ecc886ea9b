"""Grading as JSON: tasks, requests with submissions, and what they mean.

A task is checked strictly: what is wrong with it is its author's mistake, and raises. A
submission is taken as it comes; `service.grading.submission` makes the best of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, Field

from service.engine.errors import Fault, GraphError, escaped
from service.grading.draw import BadDraw, draw, is_drawn
from service.grading.report import LEVELS
from service.grading.submission import NotJson
from service.grading.task import Reveal, Rubric, Task
from service.grading.tolerance import Metric, Tolerance
from service.wire.context import Context
from service.wire.decode import find_graph
from service.wire.errors import MalformedJson
from service.wire.json_text import encoded, strict_json
from service.wire.models import STRICT, Graph, Tensor, Tensors
from service.wire.tensors import dtype_faults, read_tensor

Points = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(ge=0)]


class RubricModel(BaseModel):
    """What earns points. Without `points` every input of the graph is worth 1."""

    model_config = STRICT

    points: dict[str, Points] | None = Field(
        None, description="Points for the gradient of each of these nodes."
    )
    value_points: dict[str, Points] = Field(
        {}, description="Points for the forward value of each of these nodes."
    )
    carry_forward: Share = Field(
        1.0,
        description="Share of a node's points for a gradient that follows correctly from a "
        "mistake further down.",
    )
    inconsistent: Share = Field(
        0.0,
        description="Share for a gradient that is right but doesn't follow from the student's "
        "own gradients.",
    )

    by_entry: bool = Field(
        False, description="Give a wrong tensor the share of its points that its right entries are."
    )


class ToleranceModel(BaseModel):
    """When gradients count as equal: a metric by name, and its parameters where they differ."""

    model_config = STRICT

    metric: Metric = Field("analytic", description="See the grading guide for all of them.")
    rtol: Positive | None = Field(None, description="Relative tolerance.")
    atol: Positive | None = Field(
        None,
        description="Absolute tolerance; for analytic and float32 in units of the largest element.",
    )
    threshold: Positive | None = Field(
        None, description="Up to which figure cs231n, cs231n_prose and norm pass."
    )
    decimals: Annotated[int, Field(ge=0, le=15)] | None = Field(
        None, description="For rounding: decimal places (2)."
    )
    figures: Annotated[int, Field(ge=1, le=15)] | None = Field(
        None, description="For rounding: significant figures, in place of decimals."
    )


class TaskModel(BaseModel):
    """A graph at a point, and how work on it is judged."""

    model_config = STRICT

    graph: Graph
    inputs: Tensors = Field(
        {},
        description='Values of the inputs: tensors, or drawn: {"dist": "normal", "shape": [4, 3], '
        '"seed": 231} is numpy.random.default_rng(231).normal(0, 1, (4, 3)).',
    )
    more: list[Tensors] = Field(
        [],
        max_length=8,
        description="Inputs of further points, answered by the submission's `points`: they tell "
        "mistakes apart that agree at one point.",
    )
    output: str | None = Field(None, description="The output, where the graph has several.")
    cotangent: Tensor = Field(None, description="The output's upstream gradient, where it isn't 1.")
    rubric: RubricModel = RubricModel()
    tolerance: Metric | ToleranceModel = "analytic"
    reveal: Reveal = Field(
        "diagnosis",
        description="How much the answer tells: the score; and the verdicts; and the diagnoses; "
        "and the expected gradients.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="For inputs drawn without a seed, and for the extra points of a diagnosis."
    )


class _Request(TaskModel):
    graph: Graph | None = Field(None, description="As in a task; or give `task`.")
    task: str | None = Field(
        None,
        description="The id of a task that the service holds, in place of graph, inputs, rubric, "
        "tolerance and seed. `reveal` may then ask for less than the task allows.",
    )


class HeldTask(TaskModel):
    """A task to be held."""

    id: str | None = Field(None, description="The id under which it is held.")


class GradeRequest(_Request):
    """One submission."""

    submission: Any = Field(
        description='{"id", "gradients": {node: tensor}, "values": {node: tensor}, "points": '
        '[{"gradients", "values"}], "expression"}. Whatever it is, it is graded: with 0 and a '
        "reason where it can't be read."
    )


class BatchRequest(_Request):
    """Many submissions for one task."""

    submissions: list[Any] = Field(description="As the `submission` of a single request.")


class HypothesisModel(BaseModel):
    """A mistake that explains what was submitted."""

    code: str = Field(description="Stable; see the grading guide.")
    message: str = Field(description="For the student.")
    at: str = Field(description="The node whose gradient was formed wrongly.")
    detail: str = Field("", description="The mistake as a formula; with reveal full only.")


class DiagnosisModel(HypothesisModel):
    """A mistake, and those that nothing tells apart from it."""

    confidence: float = Field(ge=0, le=1)
    equivalent_hypotheses: list[HypothesisModel]


class NodeResult(BaseModel):
    """The verdict on one node's gradient, or on its value."""

    node: str
    verdict: Literal[
        "correct",
        "carried_forward",
        "wrong",
        "inconsistent",
        "missing",
        "wrong_shape",
        "not_finite",
    ]
    points: float
    max_points: float
    reason: str = Field("", description="Why what was sent can't be used.")
    entries: dict[str, Any] = Field(
        {},
        description="For a wrong tensor: how many entries are `wrong`, `of` how many, and the "
        "index of the `first`.",
    )
    diagnoses: list[DiagnosisModel] = Field([], description="The likeliest first.")
    expected: Any = Field(None, description="With reveal full only; so are the next two.")
    submitted: Any = None
    error: float | None = Field(None, description="The metric's figure.")


class GradeResponse(BaseModel):
    """A graded submission, in the native format. Members that say nothing are left out."""

    submission: str = Field("", description="Its id.")
    score: float
    max_score: float
    message: str
    reason: str = Field("", description="Why nothing could be graded.")
    nodes: list[NodeResult] = []
    values: list[NodeResult] = []
    first_fault: str = Field("", description="The faulty node that is nearest to the output.")
    diagnosis_complete: bool = Field(
        True, description="False when the diagnosis was given up for its cost."
    )
    notes: list[str] = []


_TASK_MEMBERS = frozenset(TaskModel.model_fields)


def parse_grading(body: bytes, max_depth: int) -> dict[str, Any]:
    """The JSON object in a grading request's body.

    Students' tools write NaN and Infinity bare; that is taken here, as the three strings are.
    What is nested too deeply becomes a text, which no tensor is. Raises MalformedJson, and does
    so for a member that is there twice: a script that puts a student's text between its own
    must not have its task replaced by theirs.
    """
    document: Any
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pruned = _without_depths(body, max_depth)
        try:
            document = json.loads(
                pruned.decode("utf-8"),
                parse_constant=_CONSTANTS.__getitem__,
                object_pairs_hook=_once,
            )
        except (ValueError, RecursionError):
            document = strict_json(pruned, max_depth)
    else:
        if isinstance(document, dict) and _has_twins(body):
            raise MalformedJson("a member is there twice")
    if not isinstance(document, dict):
        raise GraphError([Fault("invalid_request", "the body is a JSON object", pointer="#")])
    return document


def parse_submission(body: bytes, max_depth: int) -> object:
    """The submission in a body that is nothing else: a student's file as it is.

    It may begin with a byte order mark, and be in UTF-8, UTF-16 or UTF-32. NotJson, which
    earns 0, where it is no JSON.
    """
    if not body.strip():
        return NotJson("the submission is empty")
    encoding = json.detect_encoding(body)
    if encoding != "utf-8":
        body = body.decode(encoding, "ignore").encode("utf-8")
    try:
        return parse_grading(body, max_depth)
    except GraphError:
        return NotJson("the submission is not a JSON object")
    except MalformedJson as error:
        return NotJson(_why_no_json(body, error))


def _why_no_json(body: bytes, error: MalformedJson) -> str:
    """What is wrong with a text that is no JSON, and where."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as fault:
        before = body[: fault.start]
        return f"the submission is not UTF-8 text: look at line {before.count(10) + 1}"
    try:
        json.loads(text)
    except (json.JSONDecodeError, RecursionError) as fault:
        if isinstance(fault, RecursionError):
            return "the submission is nested too deeply"
        place = f"line {fault.lineno}, column {fault.colno}"
        rest = text[fault.pos :].strip()
        if not rest or fault.msg.startswith("Unterminated string"):
            return f"the submission is cut off: it ends at {place}, before it is complete"
        return f"the submission is no JSON: {place}: {fault.msg}"
    return f"the submission can't be read: {error.detail}"


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _has_twins(body: bytes) -> bool:
    """Whether a member of the outermost object is there twice.

    The last of several wins when it is decoded, and the colons of the others are then
    missing.
    """
    members = _members.decode(body)
    known = sum(bytes(value).count(b":") + name.count(":") + 1 for name, value in members.items())
    return body.count(b":") > known


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MalformedJson("a member is there twice")
    return found


_CONSTANTS = {name: name for name in ("NaN", "Infinity", "-Infinity")}
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def _without_depths(body: bytes, allowed: int) -> bytes:
    """`body` with every list or object below the allowed depth in brackets put aside."""
    if body.count(b"[") + body.count(b"{") <= allowed:
        return body
    depth, start, kept, pieces = 0, 0, 0, []
    for found in _TOKENS.finditer(body):
        token = found[0]
        if token in b"[{":
            depth += 1
            if depth == allowed + 1:
                start = found.start()
        elif token in b"]}":
            if depth == allowed + 1:
                pieces += [body[kept:start], b'"nested too deeply"']
                kept = found.end()
            depth -= 1
    return b"".join([*pieces, body[kept:]]) if pieces else body


def task_part(document: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a request that make its task."""
    return {name: value for name, value in document.items() if name in _TASK_MEMBERS}


def lower(reveal: Reveal, asked: object) -> Reveal:
    """What a request asks to be shown, as far as the task allows it."""
    for level in LEVELS:
        if level == asked and LEVELS.index(level) < LEVELS.index(reveal):
            return level
    return reveal


def read_task(document: Mapping[str, Any], context: Context, name: str = "") -> Task:
    """The task of a JSON document. Blocks where its graph is a registered one.

    Raises what is wrong with it: ValidationError, GraphError, GraphNotFound, LimitExceeded.
    """
    model = TaskModel.model_validate(document)
    graph = find_graph(encoded(model.graph), context)
    points: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for place, given in [
        ("#/inputs", model.inputs),
        *((f"#/more/{n}", one) for n, one in enumerate(model.more)),
    ]:
        points.append(_read_inputs(given, model.seed, place, context))
        faults += dtype_faults(graph.inputs, points[-1], place)
    if faults:
        raise GraphError(faults)
    cotangent = None
    if model.cotangent is not None:
        cotangent = read_tensor(model.cotangent, "#/cotangent", context.limits)
    metric = model.tolerance
    tolerance = Tolerance(metric) if isinstance(metric, str) else Tolerance(**metric.model_dump())
    return Task(
        graph=graph,
        inputs=points[0],
        more=tuple(points[1:]),
        output=model.output,
        cotangent=cotangent,
        rubric=Rubric(**model.rubric.model_dump()),
        tolerance=tolerance,
        reveal=model.reveal,
        seed=model.seed,
        name=name,
    )


def _read_inputs(
    given: Mapping[str, Any], seed: int, place: str, context: Context
) -> dict[str, Any]:
    found, faults = {}, []
    most = min(context.limits.elements_per_tensor, 10_000_000)
    for name, value in given.items():
        pointer = f"{place}/{escaped(name)}"
        try:
            if is_drawn(value):
                tensor = draw(name, value, seed, most)
                found[name] = float(tensor) if tensor.ndim == 0 else tensor
            else:
                found[name] = read_tensor(value, pointer, context.limits)
        except BadDraw as error:
            faults.append(Fault("invalid_request", str(error), node=name[:64], pointer=pointer))
        except GraphError as error:
            faults += error.faults
    if faults:
        raise GraphError(faults)
    return found
