"""Answers: shortest floats that read back, strings for what isn't finite, base64, order."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.engine.control import DEFAULT_LIMITS
from service.engine.graph_spec import GraphSpec, Leaf
from service.wire.answers import array_object, encode
from service.wire.graph_json import graph_document
from service.wire.tensors import read_tensor


@given(hnp.arrays(st.sampled_from(["float64", "float32"]), hnp.array_shapes(max_dims=3)))
def test_a_tensor_reads_back_exactly(array: np.ndarray[Any, Any]) -> None:
    back = read_tensor(json.loads(encode({"x": array}))["x"], "", DEFAULT_LIMITS)
    np.testing.assert_array_equal(np.asarray(back).astype(array.dtype), array)


@given(st.floats())
def test_a_float_reads_back_exactly(value: float) -> None:
    back = read_tensor(json.loads(encode({"x": value}))["x"], "", DEFAULT_LIMITS)
    assert math.isnan(value) if math.isnan(back) else back == value
    assert math.copysign(1, back) == math.copysign(1, value) or math.isnan(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.1, b"0.1"),
        (-12.0, b"-12.0"),
        (-0.0, b"-0.0"),
        (np.float32(0.1), b"0.1"),
        (np.array([0.1, math.nan], np.float32), b'[0.1,"NaN"]'),
        (math.inf, b'"Infinity"'),
        (np.float64(-math.inf), b'"-Infinity"'),
        (np.array(math.nan), b'"NaN"'),
        (np.array(2.0), b"2.0"),
        (np.array([[1.0, math.inf], [math.nan, -math.inf]]),
         b'[[1.0,"Infinity"],["NaN","-Infinity"]]'),
        (np.arange(6.0).reshape(2, 3).T, b"[[0.0,3.0],[1.0,4.0],[2.0,5.0]]"),
        (np.broadcast_to(1.5, (2, 2)), b"[[1.5,1.5],[1.5,1.5]]"),
        (np.zeros((0, 3)), b"[]"),
        (np.array([True, False]), b"[true,false]"),
        (np.array([1, 2]), b"[1,2]"),
        (True, b"true"),
        (np.bool_(False), b"false"),
    ],
)  # fmt: skip
def test_how_a_tensor_is_written(value: Any, written: bytes) -> None:
    assert encode({"x": value}) == b'{"x":' + written + b"}"
    # Beside something that isn't finite it goes another way, to the same text.
    assert encode({"x": value, "y": math.nan}) == b'{"x":' + written + b',"y":"NaN"}'


def test_a_name_of_null_is_no_missing_number() -> None:
    assert encode({"null": 1.0, "x": [1.0]}) == b'{"null":1.0,"x":[1.0]}'


def test_base64_is_asked_for_all_tensors_and_only_those() -> None:
    answer = {"output": "f", "value": 1.0, "gradients": {"x": np.ones((1, 2))}}
    made = json.loads(encode(answer, "base64"))
    assert made["output"] == "f"
    assert made["value"] == {
        "object_type": "array",
        "shape": [],
        "dtype": "float64",
        "data": {"encoding": "base64", "buffer": "AAAAAAAA8D8="},
    }
    assert made["gradients"]["x"]["shape"] == [1, 2]
    assert list(made) == ["output", "value", "gradients"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_an_array_object_names_its_dtype(dtype: str) -> None:
    made = array_object(np.zeros((2, 0), dtype))
    assert (made["dtype"], made["shape"]) == (dtype, (2, 0))


def test_big_endian_arrays_are_turned_round() -> None:
    assert encode({"x": np.array([1.0], ">f8")}, "base64") == encode({"x": np.ones(1)}, "base64")


def test_a_graph_is_written_as_it_is_sent() -> None:
    spec = GraphSpec(
        ids=["x", "inf", "f", "g"],
        ops=["input", "constant", "sum", "multiply"],
        inputs=[(), (), ["x"], ["f", -math.inf]],
        attrs={2: {"axis": (0, 1), "keepdims": False}},
        leaves={0: Leaf("input", None, (2, 2)), 1: Leaf("constant", math.inf)},
        output="g",
    )
    assert json.loads(encode(graph_document(spec))) == {
        "nodes": [
            {"id": "x", "op": "input", "shape": [2, 2]},
            {"id": "inf", "op": "constant", "value": "Infinity"},
            {"id": "f", "op": "sum", "inputs": ["x"], "axis": [0, 1], "keepdims": False},
            {"id": "minus_inf", "op": "constant", "value": "-Infinity"},
            {"id": "g", "op": "multiply", "inputs": ["f", "minus_inf"]},
        ],
        "output": "g",
    }


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_a_long_answer_is_looked_through_too(bad: float | None) -> None:
    array = np.arange(50_000.0)
    if bad is not None:
        array[40_000] = bad
    made = json.loads(encode({"output": "f", "value": 1.0, "gradients": {"x": array}}))
    expected: list[Any] = array.tolist()
    if bad is not None:
        expected[40_000] = "NaN" if math.isnan(bad) else "Infinity"
    assert made["gradients"]["x"] == expected
