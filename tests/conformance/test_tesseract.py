"""The Tesseract protocol: its forms by hand, and its real clients."""

from __future__ import annotations

import base64
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.routes.calling import Caller
from tests.serving import ROOT, serving

CIRCUIT = {
    "nodes": [
        {"id": "x", "op": "input"},
        {"id": "y", "op": "input"},
        {"id": "z", "op": "input", "value": -4},
        {"id": "q", "op": "add", "inputs": ["x", "y"]},
        {"id": "f", "op": "mul", "inputs": ["q", "z"]},
    ]
}
LAYER = {
    "nodes": [
        {"id": "W", "op": "input", "shape": [4, 3]},
        {"id": "x", "op": "input", "shape": [3]},
        {"id": "b", "op": "input"},
        {"id": "d", "op": "matmul", "inputs": ["W", "x"]},
        {"id": "a", "op": "add", "inputs": ["d", "b"]},
        {"id": "h", "op": "tanh", "inputs": ["a"]},
    ]
}
GRAPHS = {
    "circuit": CIRCUIT,
    "layer": LAYER,
    "both": {"expression": "p = x * y\nq = log(x)", "output": ["p", "q"]},
}


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    caller = Caller()
    for name, graph in GRAPHS.items():
        assert caller("POST", "/v1/graphs", json={"graph": graph, "name": name}).status_code == 201
    yield caller
    caller.close()


def post(call: Caller, path: str, accept: str = "application/json", **body: Any) -> httpx.Response:
    return call("POST", f"/tesseract/{path}", json=body, headers={"accept": accept})


def as_json(value: Any, dtype: str = "float64") -> dict[str, Any]:
    data = {"encoding": "json", "buffer": value}
    return {
        "object_type": "array",
        "shape": list(np.shape(value)),
        "dtype": dtype,
        "data": data,
    }


def as_base64(array: Any) -> dict[str, Any]:
    buffer = base64.b64encode(np.ascontiguousarray(array)).decode()
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "data": {"encoding": "base64", "buffer": buffer},
    }


POINT = {"x": -2.0, "y": 5.0}


def test_apply_takes_plain_numbers_and_both_encodings(call: Caller) -> None:
    for x in (-2, as_json(-2.0), as_base64(np.array(-2.0)), as_json(-2, "int64")):
        answer = post(call, "circuit/apply", inputs={"x": x, "y": 5})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"f": as_json(-12.0)}


def test_arrays_go_out_in_base64_unless_plain_json_is_asked_for(call: Caller) -> None:
    wanted = {"f": {"object_type": "array"} | as_base64(np.array(-12.0))}
    for accept in ("*/*", "application/json+base64", "application/*; gpu_transport=none"):
        assert post(call, "circuit/apply", accept, inputs=POINT).json() == wanted


def test_derivatives(call: Caller) -> None:
    answer = post(
        call,
        "circuit/vector_jacobian_product",
        inputs=POINT,
        vjp_inputs=["x", "z"],
        vjp_outputs=["f"],
        cotangent_vector={"f": 2.0},
    )
    assert answer.json() == {"x": as_json(-8.0), "z": as_json(6.0)}
    answer = post(
        call,
        "circuit/jacobian_vector_product",
        inputs=POINT,
        jvp_inputs=["z"],
        jvp_outputs=["f"],
        tangent_vector={"z": 2.0},
    )
    assert answer.json() == {"f": as_json(6.0)}
    answer = post(call, "circuit/jacobian", inputs=POINT, jac_inputs=["y"], jac_outputs=["f"])
    assert answer.json() == {"f": {"y": as_json(-4.0)}}


def test_shapes_without_computing(call: Caller) -> None:
    for dtype in ("float32", "float64"):
        answer = post(
            call,
            "layer/abstract_eval",
            inputs={
                "W": {"shape": [4, 3], "dtype": dtype},
                "x": {"shape": [3], "dtype": dtype},
                "b": 1.0,
            },
        )
        assert answer.json() == {"h": {"shape": [4], "dtype": dtype}}


def test_float32_in_is_float32_out(call: Caller) -> None:
    inputs = {"W": np.ones((4, 3), "f4"), "x": np.ones(3, "f4"), "b": np.zeros(4, "f4")}
    encoded = {name: as_base64(array) for name, array in inputs.items()}
    answer = post(call, "layer/apply", "*/*", inputs=encoded).json()
    assert answer["h"]["dtype"] == "float32"
    encoded["b"] = as_base64(np.zeros(4))
    assert post(call, "layer/apply", inputs=encoded).json()["h"]["dtype"] == "float64"


def test_what_is_not_finite_is_kept(call: Caller) -> None:
    answer = post(call, "both/apply", inputs={"x": 0, "y": "Infinity"}).json()
    assert answer["p"]["data"]["buffer"] == "NaN"
    assert answer["q"]["data"]["buffer"] == "-Infinity"


def test_the_graphs_own_openapi_document(call: Caller) -> None:
    document = call("GET", "/tesseract/layer/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert list(schemas["Apply_InputSchema"]["properties"]) == ["W", "x", "b"]
    assert schemas["ApplyInputSchema"]["differentiable_arrays"] == {
        "W": {"shape": [4, 3], "dtype": "float64"},
        "x": {"shape": [3], "dtype": "float64"},
        "b": {"shape": None, "dtype": "float64"},
    }
    assert set(document["paths"]) == {
        "/apply",
        "/jacobian",
        "/jacobian_vector_product",
        "/vector_jacobian_product",
        "/health",
        "/abstract_eval",
    }
    circuit = call("GET", "/tesseract/circuit/openapi.json").json()["components"]["schemas"]
    assert circuit["Apply_InputSchema"]["required"] == ["x", "y"]


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("layer/apply", {}, ["body", "inputs"]),
        ("layer/apply", {"inputs": []}, ["body", "inputs"]),
        ("circuit/apply", {"inputs": {"x": 1}}, ["body", "inputs", "y"]),
        ("circuit/apply", {"inputs": POINT | {"w": 1}}, ["body", "inputs", "w"]),
        ("circuit/apply", {"inputs": POINT | {"x": "1"}}, ["body", "inputs", "x"]),
        ("circuit/apply", {"inputs": POINT | {"x": {}}}, ["body", "inputs", "x"]),
        (
            "circuit/apply",
            {"inputs": POINT | {"x": as_json([1.0, 2.0]) | {"shape": [3]}}},
            ["body", "inputs", "x", "data", "buffer"],
        ),
        (
            "circuit/apply",
            {
                "inputs": POINT
                | {"x": as_json(1.0) | {"data": {"encoding": "binref", "buffer": "/etc/hostname"}}}
            },
            ["body", "inputs", "x", "data", "encoding"],
        ),
        (
            "circuit/vector_jacobian_product",
            {"inputs": POINT, "vjp_inputs": ["x"], "vjp_outputs": ["f"], "cotangent_vector": {}},
            ["body", "cotangent_vector"],
        ),
        (
            "circuit/vector_jacobian_product",
            {
                "inputs": POINT,
                "vjp_inputs": ["x"],
                "vjp_outputs": ["f"],
                "cotangent_vector": {"f": [1.0, 2.0]},
            },
            ["body", "cotangent_vector"],
        ),
        (
            "circuit/vector_jacobian_product",
            {
                "inputs": POINT,
                "vjp_inputs": ["q"],
                "vjp_outputs": ["f"],
                "cotangent_vector": {"f": 1.0},
            },
            ["body", "vjp_inputs", 0],
        ),
        (
            "circuit/jacobian",
            {"inputs": POINT, "jac_inputs": "x", "jac_outputs": ["f"]},
            ["body", "jac_inputs"],
        ),
        ("layer/abstract_eval", {"inputs": {}}, ["body", "inputs", "W"]),
        ("layer/abstract_eval", {"inputs": {"W": {"shape": [-1]}}}, ["body", "inputs", "W"]),
    ],
)
def test_what_is_wrong_is_listed_with_its_place(
    call: Caller, path: str, body: dict[str, Any], place: list[Any]
) -> None:
    answer = post(call, path, **body)
    assert answer.status_code == 422, answer.text
    detail = answer.json()["detail"]
    assert all(set(item) == {"type", "loc", "msg"} for item in detail)
    assert detail[0]["loc"] == place


def test_an_unknown_graph_is_a_problem_document(call: Caller) -> None:
    for method, path in (("POST", "apply"), ("GET", "health"), ("GET", "openapi.json")):
        answer = call(method, f"/tesseract/nothing/{path}", json={"inputs": {}})
        assert (answer.status_code, answer.json()["code"]) == (404, "graph_not_found")


def test_malformed_json_is_a_problem_document(call: Caller) -> None:
    answer = call("POST", "/tesseract/circuit/apply", content=b"{")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


def peers_python() -> str | None:
    """A Python that has the real clients; None where there is none."""
    for path in (os.environ.get("PEERS_PYTHON"), ROOT / ".oracles" / "peers" / "bin" / "python"):
        if path is not None and Path(path).exists():
            return str(path)
    return sys.executable if importlib.util.find_spec("tesseract_jax") else None


@pytest.mark.oracle
def test_the_real_clients_drive_it(tmp_path: Path) -> None:
    python = peers_python()
    if python is None:
        pytest.skip("tesseract-core and tesseract-jax are not installed")
    with serving(tmp_path) as server:
        for name, graph in GRAPHS.items():
            body = {"graph": graph, "name": name}
            httpx.post(f"{server.url}/v1/graphs", json=body).raise_for_status()
        script = Path(__file__).with_name("tesseract_clients.py")
        run = subprocess.run(
            [python, str(script), server.url],
            capture_output=True,
            text=True,
            timeout=100,
            cwd=tmp_path,  # the client leaves a folder of logs where it runs
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
        )
    assert run.returncode == 0, run.stderr[-4000:]
    assert "all is well" in run.stdout
