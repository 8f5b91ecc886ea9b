import json

import msgspec
import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException

from service.codes import CODES, Refusal
from service.engine.errors import DeadlineExceeded, Fault, GraphError, LimitExceeded
from service.errors import MAX_ERRORS, problem, problem_schemas, responses
from service.wire.errors import GraphNotFound, MalformedJson, TooDeep

DOCUMENTED = {
    "malformed_json": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "graph_not_found": 404,
    "body_too_large": 413,
    "limit_exceeded": 413,
    "unknown_operator": 422,
    "unknown_node": 422,
    "duplicate_node": 422,
    "cycle": 422,
    "arity": 422,
    "attribute": 422,
    "missing_input": 422,
    "unused_input": 422,
    "shape_mismatch": 422,
    "dtype": 422,
    "ambiguous_output": 422,
    "not_scalar": 422,
    "not_differentiable": 422,
    "syntax": 422,
    "overloaded": 503,
    "deadline_exceeded": 504,
}


@pytest.mark.parametrize(("code", "status"), DOCUMENTED.items())
def test_the_contracts_codes_keep_their_status(code: str, status: int) -> None:
    assert CODES[code].status == status


def test_a_graphs_faults_are_listed_with_their_places() -> None:
    error = GraphError(
        [
            Fault(
                "shape_mismatch",
                "the inner dimensions differ",
                node="D",
                op="matmul",
                pointer="/nodes/2",
                shapes=((5, 10), (3, 10)),
                hint="transpose the second input?",
            ),
            Fault("missing_input", "input 'x' has no value", pointer="#/inputs/x"),
        ]
    )
    document = json.loads(problem(error).body(base="https://h", request_id="r1"))
    assert document == {
        "type": "https://h/problems/shape-mismatch",
        "title": "Shapes do not fit",
        "status": 422,
        "code": "shape_mismatch",
        "detail": "the inner dimensions differ (and 1 more)",
        "errors": [
            {
                "code": "shape_mismatch",
                "detail": "the inner dimensions differ",
                "node": "D",
                "op": "matmul",
                "pointer": "/graph/nodes/2",
                "shapes": [[5, 10], [3, 10]],
                "hint": "transpose the second input?",
            },
            {
                "code": "missing_input",
                "detail": "input 'x' has no value",
                "pointer": "/inputs/x",
            },
        ],
        "request_id": "r1",
    }


def test_long_lists_of_faults_are_cut_and_counted() -> None:
    document = problem(GraphError([Fault("arity", "x")] * 1000)).document()
    assert len(document["errors"]) == MAX_ERRORS
    assert document["errors_total"] == 1000


def test_a_limit_says_which_its_value_and_what_was_asked() -> None:
    document = problem(LimitExceeded("nodes", 10, 11)).document()
    assert (document["status"], document["code"]) == (413, "limit_exceeded")
    assert (document["limit"], document["allowed"], document["asked"]) == ("nodes", 10, 11)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DeadlineExceeded(), 504, "deadline_exceeded"),
        (MalformedJson("no JSON", 1, 2), 400, "malformed_json"),
        (TooDeep(64), 413, "limit_exceeded"),
        (GraphNotFound(), 404, "graph_not_found"),
        (Refusal("overloaded", "full"), 503, "overloaded"),
        (HTTPException(404), 404, "not_found"),
        (HTTPException(405), 405, "method_not_allowed"),
        (HTTPException(418), 400, "bad_request"),
        (MemoryError(), 413, "limit_exceeded"),
        (RecursionError(), 413, "limit_exceeded"),
        (msgspec.DecodeError("at byte 3"), 400, "malformed_json"),
        (msgspec.ValidationError("Expected int"), 422, "invalid_request"),
    ],
)
def test_exceptions_have_a_status_and_a_code(error: Exception, status: int, code: str) -> None:
    found = problem(error)
    assert (found.status, found.code.name) == (status, code)
    assert found.document()["type"] == "/problems/" + code.replace("_", "-")


def test_an_unforeseen_exception_says_nothing_of_itself() -> None:
    body = problem(KeyError("the submission's own words")).body()
    assert json.loads(body)["code"] == "internal"
    assert b"own words" not in body


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    count: int


def test_validation_errors_do_not_echo_the_input() -> None:
    with pytest.raises(ValidationError) as raised:
        Model.model_validate({"count": "secret words", "k" * 1000: 1})
    for error in (raised.value, RequestValidationError(raised.value.errors())):
        body = problem(error).body()
        assert b"secret" not in body
        assert len(body) < 1000
        assert json.loads(body)["errors"][0]["pointer"] == "/count"


def test_a_name_that_is_no_unicode_can_be_answered() -> None:
    body = problem(GraphError([Fault("unknown_node", "no node '\ud800'")])).body()
    assert json.loads(body)["code"] == "unknown_node"


def test_the_schema_lists_every_code() -> None:
    assert problem_schemas()["ErrorCode"]["enum"] == list(CODES)
    assert "`not_scalar`" in responses(422)[422]["description"]
