"""Broken requests: each gets its documented status and code, and the service goes on."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.app import create_app
from service.codes import CODES
from service.errors import Problem, problem
from service.http.application import Application
from service.http.operation import Operation
from service.routes.compute import router
from service.settings import Settings
from service.wire.context import Context

X: dict[str, Any] = {"id": "x", "op": "input", "value": 2}
Y: dict[str, Any] = {"id": "y", "op": "input", "value": 3}
F: dict[str, Any] = {"id": "f", "op": "mul", "inputs": ["x", "y"]}
SECRET = "hunter2-hunter2"


def nodes(*given: Any, **beside: Any) -> dict[str, Any]:
    return {"graph": {"nodes": list(given)}, **beside}


def node(op: str, *inputs: Any, id: Any = "f", **attributes: Any) -> dict[str, Any]:
    return {"id": id, "op": op, "inputs": list(inputs), **attributes}


def text(source: str, **beside: Any) -> dict[str, Any]:
    return {"graph": {"expression": source}, **beside}


def array(**members: Any) -> dict[str, Any]:
    made = {
        "shape": [2],
        "dtype": "float64",
        "data": {"encoding": "base64", "buffer": "AAAAAAAA8D8AAAAAAAAAQA=="},
    }
    return made | members


GOOD = nodes(X, Y, F)
RAW = json.dumps(GOOD).encode()
A = {"id": "a", "op": "input", "value": [[1, 2, 3], [4, 5, 6]]}
MATRIX = {"id": "m", "op": "input", "value": [[1, 2], [3, 4]]}

BROKEN: list[tuple[str, Any, int, str, str | None]] = [
    # name, body, status, code, pointer of the first fault
    ("empty body", b"", 400, "malformed_json", None),
    ("only spaces", b"  \n ", 400, "malformed_json", None),
    ("cut short", RAW[:-5], 400, "malformed_json", None),
    ("trailing comma", b'{"graph": {"nodes": [],}}', 400, "malformed_json", None),
    ("two documents", RAW + RAW, 400, "malformed_json", None),
    ("single quotes", b"{'graph': 1}", 400, "malformed_json", None),
    ("a comment", RAW + b" // why", 400, "malformed_json", None),
    ("not UTF-8", RAW.replace(b'"f"', b'"\xff"'), 400, "malformed_json", None),
    ("UTF-16", RAW.decode().encode("utf-16"), 400, "malformed_json", None),
    ("byte order mark", b"\xef\xbb\xbf" + RAW, 400, "malformed_json", None),
    ("lone surrogate", RAW.replace(b'"f"', b'"\\ud800"'), 400, "malformed_json", None),
    ("bare NaN", RAW.replace(b": 2", b": NaN"), 400, "malformed_json", None),
    ("bare Infinity", RAW.replace(b": 2", b": -Infinity"), 400, "malformed_json", None),
    ("leading zero", RAW.replace(b": 2", b": 02"), 400, "malformed_json", None),
    ("control character", RAW.replace(b'"f"', b'"\x01"'), 400, "malformed_json", None),
    (
        "two members of one name beside the graph",
        RAW[:-1] + b', "dtype": "float64", "dtype": "float32"}',
        400,
        "malformed_json",
        None,
    ),
    (
        "two members of one name in a node",
        RAW.replace(b'"op": "mul"', b'"op": "mul", "op": "add"'),
        400,
        "malformed_json",
        None,
    ),
    (
        "two values for an input",
        RAW[:-1] + b', "inputs": {"x": 1, "x": 2}}',
        400,
        "malformed_json",
        None,
    ),
    ("lists nested 100,000 deep", b"[" * 100_000, 413, "limit_exceeded", None),
    (
        "objects nested deep",
        b'{"graph":' * 1000 + b"1" + b"}" * 1000,
        413,
        "limit_exceeded",
        None,
    ),
    ("a list", b"[]", 422, "invalid_request", ""),
    ("a string", b'"graph"', 422, "invalid_request", ""),
    ("no graph", {}, 422, "invalid_request", "/graph"),
    ("graph is a number", {"graph": 1}, 422, "invalid_request", "/graph"),
    ("graph is null", {"graph": None}, 422, "invalid_request", "/graph"),
    ("graph has no form", {"graph": {}}, 422, "invalid_request", "/graph"),
    (
        "graph has both forms",
        {"graph": {"nodes": [X], "expression": "x"}},
        422,
        "invalid_request",
        "/graph",
    ),
    ("nodes is an object", {"graph": {"nodes": {}}}, 422, "invalid_request", "/graph/nodes"),
    ("unknown graph id", {"graph": "sha256:" + "0" * 64}, 404, "graph_not_found", None),
    ("unknown graph name", {"graph": SECRET}, 404, "graph_not_found", None),
    ("unknown member", GOOD | {"imputs": {}}, 422, "invalid_request", "/imputs"),
    (
        "unknown member of the graph",
        {"graph": {"nodes": [X], "outputs": "x"}},
        422,
        "invalid_request",
        "/graph/outputs",
    ),
    ("dtype of no kind", GOOD | {"dtype": "float16"}, 422, "invalid_request", "/dtype"),
    ("values misspelt", GOOD | {"values": "none"}, 422, "invalid_request", "/values"),
    ("wrt is a string", GOOD | {"wrt": "x"}, 422, "invalid_request", "/wrt"),
    ("flag as a number", GOOD | {"node_gradients": 1}, 422, "invalid_request", "/node_gradients"),
    ("empty graph", nodes(), 422, "empty_graph", "/graph/nodes"),
    ("node is a number", nodes(X, 1), 422, "invalid_request", "/graph/nodes/1"),
    ("node without id", nodes(X, {"op": "exp", "inputs": ["x"]}), 422, "invalid_request", None),
    ("id is a number", nodes(X, node("exp", "x", id=7)), 422, "invalid_request", None),
    ("id is empty", nodes(X, node("exp", "x", id="")), 422, "invalid_request", "/graph/nodes/1/id"),
    (
        "id with a control character",
        nodes(X, node("exp", "x", id="a\x00b")),
        422,
        "invalid_request",
        "/graph/nodes/1/id",
    ),
    ("node without op", nodes(X, {"id": "f", "inputs": ["x"]}), 422, "invalid_request", None),
    ("node without inputs", nodes(X, {"id": "f", "op": "exp"}), 422, "invalid_request", None),
    (
        "inputs is a string",
        nodes(X, {"id": "f", "op": "exp", "inputs": "x"}),
        422,
        "invalid_request",
        "/graph/nodes/1/inputs",
    ),
    (
        "an input is null",
        nodes(X, node("add", "x", None)),
        422,
        "invalid_request",
        "/graph/nodes/1/inputs/1",
    ),
    (
        "an input is an object",
        nodes(X, node("add", "x", {})),
        422,
        "invalid_request",
        "/graph/nodes/1/inputs/1",
    ),
    (
        "a literal out of range",
        RAW.replace(b'["x", "y"]', b'["x", 1e999]'),
        422,
        "invalid_request",
        "/graph/nodes/2/inputs/1",
    ),
    ("unknown operator", nodes(X, node("sigmod", "x")), 422, "unknown_operator", None),
    ("internal operator", nodes(X, node("output_of", "x", index=0)), 422, "unknown_operator", None),
    ("operator in capitals", nodes(X, node("EXP", "x")), 422, "unknown_operator", None),
    ("unknown node", nodes(X, node("exp", "xx")), 422, "unknown_node", "/graph/nodes/1/inputs/0"),
    ("unknown second output", nodes(X, node("exp", "x.1")), 422, "unknown_node", None),
    ("duplicate id", nodes(X, X, node("exp", "x")), 422, "duplicate_node", "/graph/nodes/1/id"),
    ("self-reference", nodes(X, node("add", "x", "f")), 422, "cycle", None),
    ("cycle", nodes(X, node("add", "x", "g"), node("exp", "f", id="g")), 422, "cycle", None),
    ("too few inputs", nodes(X, node("mul", "x")), 422, "arity", "/graph/nodes/1/inputs"),
    ("too many inputs", nodes(X, node("exp", "x", "x")), 422, "arity", "/graph/nodes/1/inputs"),
    ("no inputs", nodes(X, node("add")), 422, "arity", None),
    (
        "unknown attribute",
        nodes(A, node("sum", "a", axes=0)),
        422,
        "attribute",
        "/graph/nodes/1/axes",
    ),
    (
        "attribute of the wrong type",
        nodes(A, node("sum", "a", axis="rows")),
        422,
        "attribute",
        "/graph/nodes/1/axis",
    ),
    ("truth value for an axis", nodes(A, node("sum", "a", axis=True)), 422, "attribute", None),
    ("attribute missing", nodes(A, node("reshape", "a")), 422, "attribute", None),
    ("ties misspelt", nodes(X, Y, node("maximum", "x", "y", ties="all")), 422, "attribute", None),
    ("inputs of a leaf", nodes({**X, "inputs": []}), 422, "attribute", "/graph/nodes/0/inputs"),
    ("constant without value", nodes({"id": "c", "op": "constant"}), 422, "attribute", None),
    ("constant of null", nodes({"id": "c", "op": "constant", "value": None}), 422, "attribute",
     None),
    ("negative size", nodes({**X, "shape": [-1]}), 422, "invalid_request",
     "/graph/nodes/0/shape/0"),
    ("leaf of strange dtype", nodes({**X, "dtype": "complex"}), 422, "invalid_request", None),
    (
        "fraction as an integer",
        nodes({"id": "x", "op": "input", "value": [0.5], "dtype": "int64"}),
        422,
        "dtype",
        "/graph/nodes/0/value",
    ),
    ("axis out of range", nodes(A, node("sum", "a", axis=2)), 422, "shape_mismatch", None),
    ("shapes that do not broadcast", nodes(A, MATRIX, node("add", "a", "m")), 422,
     "shape_mismatch", "/graph/nodes/2"),
    ("matmul of wrong shapes", nodes(A, MATRIX, node("matmul", "a", "m")), 422,
     "shape_mismatch", "/graph/nodes/2"),
    ("reshape that loses elements", nodes(A, node("reshape", "a", shape=[5])), 422,
     "shape_mismatch", None),
    ("value of another shape than declared", nodes({**X, "shape": [3]}), 422,
     "shape_mismatch", None),
    ("condition of numbers", nodes(X, Y, node("where", "x", "x", "y")), 422, "dtype", None),
    ("missing input", nodes({"id": "x", "op": "input"}, node("exp", "x")), 422,
     "missing_input", "/inputs/x"),
    ("missing input of text", text("x + y", inputs={"x": 1}), 422, "missing_input", "/inputs/y"),
    ("unused input", GOOD | {"inputs": {"z": 1}}, 422, "unused_input", "/inputs/z"),
    ("value for a node", GOOD | {"inputs": {"f": 1}}, 422, "unused_input", "/inputs/f"),
    ("two candidates for the output", nodes(X, Y, node("exp", "x"), node("sin", "y", id="g")),
     422, "ambiguous_output", "/graph/output"),
    ("output of no name", {"graph": {"nodes": [X, Y, F], "output": "ff"}}, 422,
     "unknown_node", "/graph/output"),
    ("empty list of outputs", {"graph": {"nodes": [X, Y, F], "output": []}}, 422,
     "ambiguous_output", "/graph/output"),
    ("output asked for is none", GOOD | {"output": "ff"}, 422, "unknown_node", "/output"),
    ("non-scalar output", nodes(A, node("exp", "a")), 422, "not_scalar", "/output"),
    ("cotangent of wrong shape", nodes(A, node("exp", "a"), cotangent=[1, 2]), 422,
     "shape_mismatch", "/cotangent"),
    ("gradient of a comparison", nodes(X, Y, node("less", "x", "y")), 422,
     "not_differentiable", None),
    ("wrt an unknown name", GOOD | {"wrt": ["q"]}, 422, "unknown_node", "/wrt/0"),
    ("wrt integers", nodes({"id": "x", "op": "input", "value": 1, "dtype": "int64"},
                           node("mul", "x", 2.5), wrt=["x"]), 422, "not_differentiable", "/wrt/0"),
    ("ragged list", GOOD | {"inputs": {"x": [[1, 2], [3]]}}, 422, "invalid_tensor", "/inputs/x/1"),
    ("ragged depth", GOOD | {"inputs": {"x": [1, [2]]}}, 422, "invalid_tensor", "/inputs/x/1"),
    ("null in a tensor", GOOD | {"inputs": {"x": [1, None]}}, 422, "invalid_tensor", "/inputs/x/1"),
    ("tensor is null", GOOD | {"inputs": {"x": None}}, 422, "invalid_tensor", "/inputs/x"),
    ("number as a string", GOOD | {"inputs": {"x": "2"}}, 422, "invalid_tensor", "/inputs/x"),
    ("nan in small letters", GOOD | {"inputs": {"x": "nan"}}, 422, "invalid_tensor", "/inputs/x"),
    ("strange string in a list", GOOD | {"inputs": {"x": [SECRET]}}, 422, "invalid_tensor",
     "/inputs/x/0"),
    ("truth values among numbers", GOOD | {"inputs": {"x": [1, True]}}, 422, "invalid_tensor",
     "/inputs/x"),
    ("object in a list", GOOD | {"inputs": {"x": [{}]}}, 422, "invalid_tensor", "/inputs/x/0"),
    ("number out of range", RAW[:-1] + b', "inputs": {"x": 1e999}}', 422, "invalid_tensor",
     "/inputs/x"),
    ("integer of 400 digits", RAW[:-1] + b', "inputs": {"x": [1, -1' + b"0" * 400 + b"]}}", 422,
     "invalid_tensor", "/inputs/x/1"),
    ("integer of 5000 digits", RAW[:-1] + b', "inputs": {"x": 1' + b"0" * 5000 + b"}}", 422,
     "invalid_tensor", "/inputs/x"),
    ("list nested 40 deep", RAW[:-1] + b', "inputs": {"x": ' + b"[" * 40 + b"1" + b"]" * 40 + b"}}",
     422, "invalid_tensor", "/inputs/x"),
    ("array object without shape", GOOD | {"inputs": {"x": {"dtype": "float64"}}}, 422,
     "invalid_tensor", "/inputs/x"),
    ("array object of strange dtype", GOOD | {"inputs": {"x": array(dtype=SECRET)}}, 422,
     "invalid_tensor", "/inputs/x/dtype"),
    ("array object with too few bytes", GOOD | {"inputs": {"x": array(shape=[3])}}, 422,
     "invalid_tensor", "/inputs/x/data/buffer"),
    ("array object of negative size", GOOD | {"inputs": {"x": array(shape=[-2])}}, 422,
     "invalid_tensor", "/inputs/x/shape/0"),
    ("array object too large to exist", GOOD | {"inputs": {"x": array(shape=[10**6, 10**6])}},
     413, "limit_exceeded", None),
    ("array object that is not base64",
     GOOD | {"inputs": {"x": array(data={"encoding": "base64", "buffer": "*" * 24})}}, 422,
     "invalid_tensor", "/inputs/x/data/buffer"),
    ("array object in another encoding",
     GOOD | {"inputs": {"x": array(data={"encoding": "raw", "buffer": "AA"})}}, 422,
     "invalid_tensor", "/inputs/x/data/encoding"),
    ("array object with more members", GOOD | {"inputs": {"x": array(order="F")}}, 422,
     "invalid_tensor", "/inputs/x"),
    ("too large to compute", nodes(X, node("broadcast_to", "x", shape=[10**5, 10**5])), 413,
     "limit_exceeded", None),
    ("batch without axis", GOOD | {"inputs": {"x": 1}, "batch": ["x"]}, 422, "shape_mismatch",
     "/inputs/x"),
    ("batch of two lengths", GOOD | {"inputs": {"x": [1, 2], "y": [1, 2, 3]}, "batch": True}, 422,
     "shape_mismatch", "/inputs"),
    ("batch of nothing", GOOD | {"batch": True}, 422, "missing_input", "/batch"),
    ("text that is no Python", text("x +* y"), 422, "syntax", "/graph/expression"),
    ("text that imports", text("import os"), 422, "syntax", "/graph/expression"),
    ("text that calls a stranger", text("__import__('os').system('ls')"), 422,
     "unknown_operator", "/graph/expression"),
    ("text with a loop", text("while True: pass"), 422, "syntax", None),
    ("empty text", text(""), 422, "syntax", "/graph/expression"),
    ("text is a number", {"graph": {"expression": 5}}, 422, "invalid_request",
     "/graph/expression"),
    ("brackets 100,000 deep in text", text("(" * 100_000 + "x" + ")" * 100_000), 422, "syntax",
     None),
]  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("store")
    app = create_app(Settings.model_validate({"database_url": f"sqlite:///{folder}/graphs.db"}))
    yield app
    app.close()


def post(service: Application, path: str, body: bytes) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(service)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            headers = {"content-type": "application/json"}
            return await asyncio.wait_for(client.post(path, content=body, headers=headers), 30)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [pytest.param(*case[1:], id=case[0]) for case in BROKEN],
)
def test_a_broken_request_gets_its_documented_status_and_code(
    service: Application, body: Any, status: int, code: str, pointer: str | None
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = post(service, "/v1/gradient", raw)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert CODES[code].status == status
    assert SECRET not in answer.text
    assert len(answer.content) < 5_000
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer
    after = post(service, "/v1/gradient", RAW)
    assert after.json()["gradients"] == {"x": 3.0, "y": 2.0}


def test_there_are_at_least_forty_of_them() -> None:
    assert len({case[0] for case in BROKEN}) == len(BROKEN) >= 40


def test_all_faults_of_a_graph_are_listed_in_one_answer(service: Application) -> None:
    body = nodes(
        X,
        node("sigmod", "x", id="a"),
        node("sum", "x", id="b", axes=1),
        node("add", "x", "nowhere", id="c"),
        node("exp", "x", "x", id="d"),
        {"id": "e", "op": "constant", "value": [[1], [2, 3]]},
        node("add", "h", "x", id="g"),
        node("exp", "g", id="h"),
        dtype="half",
    )
    problem = post(service, "/v1/gradient", json.dumps(body).encode()).json()
    found = {(error["code"], error["pointer"]) for error in problem["errors"]}
    assert found == {
        ("invalid_request", "/dtype"),
        ("unknown_operator", "/graph/nodes/1/op"),
        ("attribute", "/graph/nodes/2/axes"),
        ("unknown_node", "/graph/nodes/3/inputs/1"),
        ("arity", "/graph/nodes/4/inputs"),
        ("invalid_tensor", "/graph/nodes/5/value/1"),
        ("cycle", "/graph/nodes/6"),
    }


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (nodes(X, node("sigmod", "x")), "did you mean 'sigmoid'?"),
        (nodes(X, node("ad", "x", 1)), "did you mean 'add'?"),
        (nodes({"id": "x", "op": "inptu"}, node("exp", "x")), "did you mean 'input'?"),
        (nodes({**X, "id": "width"}, node("exp", "widht")), "did you mean 'width'?"),
        (nodes(A, node("sum", "a", axes=0)), "did you mean 'axis'?"),
        (GOOD | {"imputs": {}}, "did you mean 'inputs'?"),
        ({"graph": {"nodes": [X], "outptu": "x"}}, "did you mean 'output'?"),
    ],
)
def test_what_is_misspelt_gets_a_suggestion(service: Application, body: Any, hint: str) -> None:
    problem = post(service, "/v1/gradient", json.dumps(body).encode()).json()
    assert problem["errors"][0]["hint"] == hint


FRAGMENTS = st.sampled_from(
    [
        *[bytes([byte]) for byte in b'{}[]":,\\\x00\xff'],
        *[b"", b"null", b"true", b"-1", b"1e999", b"NaN", b'"x"', b'"x.1"', b'"op"', b'"inputs"'],
        *[b"[[1],[2,3]]", b"\\ud800", b"0" * 400],
    ]
)
BODIES = st.sampled_from(
    [
        RAW,
        json.dumps(
            nodes(A, node("sum", "a", axis=[0, 1], keepdims=True), values="output")
        ).encode(),
        json.dumps(GOOD | {"inputs": {"x": array(), "y": "NaN"}, "batch": ["x"]}).encode(),
        json.dumps(text("a = x @ y\nf = sum(a[0, 1:])", inputs={"x": [[1]], "y": [[2]]})).encode(),
    ]
)


@settings(max_examples=200, deadline=None)
@given(BODIES, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), FRAGMENTS), max_size=3))
def test_no_body_makes_the_service_fail(body: bytes, cuts: list[tuple[float, int, bytes]]) -> None:
    for where, length, fragment in cuts:
        at = int(where * len(body))
        body = body[:at] + fragment + body[at + length :]
    for operation in router.operations:
        refused = refusal(operation, body)
        if refused is not None:
            assert refused.status < 500
            assert len(refused.body()) < 10_000


def refusal(operation: Operation, body: bytes) -> Problem | None:
    """The problem that an operation answers a body with, if it does."""
    try:
        json.loads(operation.compute(body, Context()))
    except Exception as error:
        return problem(error)
    return None


def test_a_flood_of_faults_is_answered_quickly_and_shortly(service: Application) -> None:
    flood = [node("addd", "nope", 1, id=f"n{i}", axxis=1) for i in range(5_000)]
    answer = post(service, "/v1/gradient", json.dumps(nodes(*flood)).encode())
    assert answer.status_code == 422
    assert len(answer.content) < 30_000


def test_where_the_json_breaks_is_told_by_line_and_column(service: Application) -> None:
    problem = post(service, "/v1/gradient", b'{\n  "graph": nope\n}').json()
    assert (problem["line"], problem["column"]) == (2, 12)


def test_which_limit_was_passed_is_told(service: Application) -> None:
    body = nodes(X, node("broadcast_to", "x", shape=[10**6, 10**6]))
    problem = post(service, "/v1/forward", json.dumps(body).encode()).json()
    assert problem["limit"] in {"elements_per_tensor", "elements_total"}
    assert problem["asked"] >= 10**12 > problem["allowed"]
