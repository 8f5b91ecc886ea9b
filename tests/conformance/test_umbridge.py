"""UM-Bridge 1.0: the protocol's own conformance cases, written anew, and its Python client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest

from tests.routes.calling import Caller
from tests.serving import Server, serving

CIRCUIT = {"expression": "(x + y) * z"}
TENSORS = {
    "nodes": [
        {"id": "W", "op": "input", "shape": [2, 3]},
        {"id": "v", "op": "input", "shape": [3]},
        {"id": "s", "op": "input", "value": 0.5},
        {"id": "d", "op": "matmul", "inputs": ["W", "v"]},
        {"id": "e", "op": "exp", "inputs": ["s"]},
        {"id": "f", "op": "mul", "inputs": ["d", "e"]},
        {"id": "g", "op": "sum", "inputs": ["v"]},
        {"id": "h", "op": "square", "inputs": ["g"]},
    ],
    "output": ["f", "h"],
}
LABELLED = {
    "nodes": [
        {"id": "scores", "op": "input", "shape": [2, 3]},
        {"id": "labels", "op": "input", "shape": [2], "dtype": "int64"},
        {"id": "loss", "op": "cross_entropy", "inputs": ["scores", "labels"]},
    ]
}


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    caller = Caller()
    for name, graph in (("circuit", CIRCUIT), ("tensors", TENSORS), ("labelled", LABELLED)):
        assert caller("POST", "/v1/graphs", json={"graph": graph, "name": name}).status_code == 201
    graph = {"expression": "x > 0"}
    assert caller("POST", "/v1/graphs", json={"graph": graph, "name": "truth"}).status_code == 201
    yield caller
    caller.close()


def post(call: Caller, path: str, **members: Any) -> httpx.Response:
    """As the protocol's suite posts: JSON without a Content-Type."""
    return call("POST", f"/umbridge/{path}", content=json.dumps(members))


def error_type(answer: httpx.Response, status: int = 400) -> str:
    """The type of an error in the protocol's form."""
    assert answer.status_code == status, answer.text
    schema = {
        "type": "object",
        "required": ["error"],
        "additionalProperties": False,
        "properties": {
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "additionalProperties": False,
                "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
            }
        },
    }
    jsonschema.validate(answer.json(), schema)
    kind: str = answer.json()["error"]["type"]
    return kind


def sizes(call: Caller, name: str) -> tuple[list[int], list[int]]:
    inputs = post(call, "InputSizes", name=name).json()
    outputs = post(call, "OutputSizes", name=name).json()
    assert (set(inputs), set(outputs)) == ({"inputSizes"}, {"outputSizes"})
    return inputs["inputSizes"], outputs["outputSizes"]


MODELS = ["circuit", "tensors"]


def test_info_lists_registered_graphs_first(call: Caller) -> None:
    info = call("GET", "/umbridge/Info").json()
    assert info == {
        "protocolVersion": 1.0,
        "models": ["circuit", "tensors", "labelled", "truth", "graph"],
    }


@pytest.mark.parametrize("name", MODELS)
def test_sizes_are_those_of_the_flattened_tensors(call: Caller, name: str) -> None:
    wanted = {"circuit": ([1, 1, 1], [1]), "tensors": ([6, 3, 1], [2, 1])}
    assert sizes(call, name) == wanted[name]


@pytest.mark.parametrize("name", MODELS)
def test_evaluate_gives_one_vector_for_every_output(call: Caller, name: str) -> None:
    inputs, outputs = sizes(call, name)
    answer = post(call, "Evaluate", name=name, config={}, input=[[1.5] * n for n in inputs])
    assert answer.status_code == 200
    assert set(answer.json()) == {"output"}
    assert [len(vector) for vector in answer.json()["output"]] == outputs


@pytest.mark.parametrize("path", ["Evaluate", "Gradient", "ApplyJacobian", "ApplyHessian"])
def test_an_unknown_model_is_found_out_before_anything_else(call: Caller, path: str) -> None:
    assert error_type(post(call, path, name="wrong_model_name")) == "ModelNotFound"


@pytest.mark.parametrize("path", ["InputSizes", "OutputSizes", "ModelInfo"])
def test_an_unknown_model_has_no_sizes(call: Caller, path: str) -> None:
    assert error_type(post(call, path, name="wrong_model_name")) == "ModelNotFound"


@pytest.mark.parametrize("path", ["Gradient", "ApplyJacobian", "ApplyHessian"])
def test_what_a_model_can_not_do_is_unsupported_whatever_else_is_missing(
    call: Caller, path: str
) -> None:
    support = post(call, "ModelInfo", name="truth").json()["support"]
    assert support["Evaluate"]
    assert not support[path]
    assert error_type(post(call, path, name="truth")) == "UnsupportedFeature"


def members(call: Caller, name: str, **changed: Any) -> dict[str, Any]:
    """A request that every call would take, with some members changed."""
    inputs, outputs = sizes(call, name)
    request: dict[str, Any] = {
        "name": name,
        "config": {},
        "input": [[1.5] * n for n in inputs],
        "outWrt": 0,
        "inWrt": 0,
        "inWrt1": 0,
        "inWrt2": 0,
        "sens": [0] * outputs[0],
        "vec": [1.5] * inputs[0],
    }
    return {key: value for key, value in (request | changed).items() if value is not None}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("path", "result"),
    [("Gradient", "input"), ("ApplyJacobian", "output"), ("ApplyHessian", "input")],
)
def test_derivatives_have_the_length_of_what_they_are_of(
    call: Caller, name: str, path: str, result: str
) -> None:
    inputs, outputs = sizes(call, name)
    answer = post(call, path, **members(call, name))
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"output"}
    assert len(answer.json()["output"]) == (inputs if result == "input" else outputs)[0]


@pytest.mark.parametrize("path", ["Evaluate", "Gradient", "ApplyJacobian", "ApplyHessian"])
@pytest.mark.parametrize(
    "changed",
    [
        {"input": [[1.0, 1.0]] * 3},
        {"input": [[1.0]]},
        {"input": [1.0, 1.0, 1.0]},
        {"input": [["1"], [1], [1]]},
        {"input": [[True], [1], [1]]},
        {"input": {"x": 1}},
        {"input": None},
        {"config": {"what": 1}},
        {"config": []},
        {"config": {"graph": {"expression": "x"}}},
    ],
)
def test_wrong_inputs_are_invalid(call: Caller, path: str, changed: dict[str, Any]) -> None:
    assert error_type(post(call, path, **members(call, "circuit", **changed))) == "InvalidInput"


@pytest.mark.parametrize(
    ("path", "member", "value"),
    [
        ("Gradient", "outWrt", 1),
        ("Gradient", "outWrt", -1),
        ("Gradient", "outWrt", None),
        ("Gradient", "inWrt", 3),
        ("Gradient", "inWrt", "0"),
        ("Gradient", "inWrt", True),
        ("Gradient", "sens", [0, 0]),
        ("Gradient", "sens", None),
        ("ApplyJacobian", "outWrt", 1),
        ("ApplyJacobian", "inWrt", 3),
        ("ApplyJacobian", "vec", []),
        ("ApplyHessian", "outWrt", 1),
        ("ApplyHessian", "inWrt1", 3),
        ("ApplyHessian", "inWrt2", 3),
        ("ApplyHessian", "sens", [0, 0]),
        ("ApplyHessian", "vec", [0, 0]),
    ],
)
def test_wrong_directions_are_invalid(call: Caller, path: str, member: str, value: Any) -> None:
    request = members(call, "circuit", **{member: value})
    assert error_type(post(call, path, **request)) == "InvalidInput"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name":3}', b'"circuit"', b'{"name":NaN}'])
def test_what_is_no_request_is_invalid(call: Caller, body: bytes) -> None:
    assert error_type(call("POST", "/umbridge/Evaluate", content=body)) == "InvalidInput"


def test_a_result_that_json_numbers_can_not_hold_is_an_invalid_output(call: Caller) -> None:
    config = {"graph": {"expression": "log(x)"}}
    answer = post(call, "Evaluate", name="graph", input=[[0]], config=config)
    assert error_type(answer, 500) == "InvalidOutput"
    assert "not finite" in answer.json()["error"]["message"]


def test_a_graph_may_come_with_the_configuration(call: Caller) -> None:
    config = {"graph": {"expression": "sum(A @ x)"}, "shapes": {"A": [2, 3], "x": [3]}}
    assert post(call, "InputSizes", name="graph", config=config).json() == {"inputSizes": [6, 3]}
    answer = post(call, "Evaluate", name="graph", input=[[1] * 6, [1, 2, 3]], config=config)
    assert answer.json() == {"output": [[12.0]]}
    named = {"graph": "circuit"}
    answer = post(call, "Evaluate", name="graph", input=[[1], [2], [3]], config=named)
    assert answer.json() == {"output": [[9.0]]}
    assert error_type(post(call, "Evaluate", name="graph", input=[])) == "InvalidInput"
    wrong = {"graph": {"expression": "sum(A @"}}
    assert error_type(post(call, "InputSizes", name="graph", config=wrong)) == "InvalidInput"


def test_inputs_may_be_fixed_and_outputs_chosen(call: Caller) -> None:
    config = {"inputs": {"labels": [0, 2]}}
    assert post(call, "InputSizes", name="labelled", config=config).json() == {"inputSizes": [6]}
    answer = post(call, "Evaluate", name="labelled", input=[[0] * 6], config=config)
    np.testing.assert_allclose(answer.json()["output"], [[np.log(3)]])
    config = {"inputs": {"z": -4}, "outputs": ["_1"]}
    answer = post(call, "Evaluate", name="circuit", input=[[-2], [5]], config=config)
    assert answer.json() == {"output": [[3.0]]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("umbridge")) as running:
        for name, graph in (("circuit", CIRCUIT), ("tensors", TENSORS)):
            body = {"graph": graph, "name": name}
            httpx.post(f"{running.url}/v1/graphs", json=body).raise_for_status()
        yield running


def test_the_real_client_drives_it(server: Server) -> None:
    umbridge = pytest.importorskip("umbridge")
    model = umbridge.HTTPModel(f"{server.url}/umbridge", "circuit")
    assert model.get_input_sizes() == [1, 1, 1]
    point = [[-2.0], [5.0], [-4.0]]
    assert model(point) == [[-12.0]]
    gradients = [model.gradient(0, i, point, [1.0]) for i in range(3)]
    assert gradients == [[-4.0], [-4.0], [3.0]]
    assert model.apply_jacobian(0, 2, point, [2.0]) == [6.0]
    assert model.apply_hessian(0, 0, 2, point, [1.0], [1.0]) == [1.0]
    assert model.apply_hessian(0, 0, 1, point, [1.0], [1.0]) == [0.0]
    with pytest.raises(Exception, match="InvalidInput"):
        model([[1.0]])


def test_the_real_client_gets_the_derivatives_of_tensors(server: Server) -> None:
    umbridge = pytest.importorskip("umbridge")
    model = umbridge.HTTPModel(f"{server.url}/umbridge", "tensors")
    rng = np.random.default_rng(1)
    W, v, s = rng.normal(size=(2, 3)), rng.normal(size=3), 0.5
    point = [W.ravel().tolist(), v.tolist(), [s]]
    f = np.exp(s) * (W @ v)
    np.testing.assert_allclose(model(point)[0], f, rtol=1e-14)
    sens, vec = rng.normal(size=2), rng.normal(size=3)
    np.testing.assert_allclose(
        model.gradient(0, 1, point, sens.tolist()), np.exp(s) * sens @ W, rtol=1e-13
    )
    np.testing.assert_allclose(
        model.apply_jacobian(0, 1, point, vec.tolist()), np.exp(s) * W @ vec, rtol=1e-13
    )
    np.testing.assert_allclose(
        model.apply_hessian(0, 0, 1, point, sens.tolist(), vec.tolist()),
        (np.exp(s) * np.outer(sens, vec)).ravel(),
        rtol=1e-13,
    )
    np.testing.assert_allclose(
        model.apply_hessian(0, 2, 2, point, sens.tolist(), [2.0]), [2 * sens @ f], rtol=1e-13
    )
    np.testing.assert_allclose(
        model.apply_hessian(1, 1, 1, point, [1.0], vec.tolist()), [2 * vec.sum()] * 3, rtol=1e-13
    )
