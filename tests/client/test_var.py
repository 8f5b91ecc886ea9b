"""Graphs built by writing Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradient_client import Var, constant, graph, ops


def test_the_notes_circuit_is_written_as_the_api_has_it() -> None:
    x, y, z = Var("x", -2), Var("y", 5), Var("z")
    q = (x + y).named("q")
    assert graph((q * z).named("f")) == {
        "nodes": [
            {"id": "x", "op": "input", "value": -2},
            {"id": "y", "op": "input", "value": 5},
            {"id": "q", "op": "add", "inputs": ["x", "y"]},
            {"id": "z", "op": "input"},
            {"id": "f", "op": "multiply", "inputs": ["q", "z"]},
        ],
        "output": "f",
    }


def test_numbers_stay_where_they_stand_on_either_side() -> None:
    x = Var("x")
    nodes = graph(1 / (2 - x**2))["nodes"]
    assert [node.get("inputs") for node in nodes] == [None, ["x", 2], [2, "_1"], [1, "_2"]]


def test_arrays_become_constants_and_leave_the_operator_to_the_var() -> None:
    made = graph(np.array([1.0, 2.0]) * Var("x"))
    assert [node["op"] for node in made["nodes"]] == ["constant", "input", "multiply"]
    assert graph(np.float64(3.0) + Var("x"))["nodes"][-1]["inputs"] == [3.0, "x"]


def test_a_shared_node_is_written_once() -> None:
    x = Var("x")
    y = ops.exp(x)
    made = graph(y * y + y)
    assert [node["op"] for node in made["nodes"]] == ["input", "exp", "multiply", "add"]


def test_given_names_are_kept_out_of_the_way_of_made_ones() -> None:
    x = Var("_1")
    made = graph(ops.exp(ops.log(x)))
    assert [node["id"] for node in made["nodes"]] == ["_1", "_2", "_3"]


def test_two_nodes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="'x'"):
        graph(Var("x") + Var("x"))


def test_attributes_stand_beside_the_node() -> None:
    node = graph(Var("a").sum(axis=(0, 1), keepdims=True))["nodes"][-1]
    assert node == {"id": "_1", "op": "sum", "inputs": ["a"], "axis": [0, 1], "keepdims": True}


def test_further_outputs_of_a_node_are_referred_to_by_number() -> None:
    parts = ops.split(Var("x"), sections=2).named("s")
    made = graph([parts.output(0), parts.output(1)])
    assert made["output"] == ["s", "s.1"]
    assert len(made["nodes"]) == 2


def test_several_outputs_are_a_list() -> None:
    x = Var("x")
    assert graph([ops.sin(x).named("s"), ops.cos(x).named("c")])["output"] == ["s", "c"]


def test_deep_graphs_need_no_recursion() -> None:
    x = Var("x")
    y = x
    for _ in range(20_000):
        y = y + x
    assert len(graph(y)["nodes"]) == 20_001


def test_a_var_is_no_truth_value_and_no_list() -> None:
    x = Var("x")
    with pytest.raises(TypeError, match="where"):
        bool(x < 1)
    with pytest.raises(TypeError, match="iterated"):
        list(x)


def test_what_is_not_a_number_can_not_be_an_operand() -> None:
    with pytest.raises(TypeError):
        Var("x") + "y"


def test_non_finite_numbers_become_constants_for_json_has_none() -> None:
    nodes = graph(ops.maximum(Var("x"), float("-inf")))["nodes"]
    assert nodes[1]["value"] == "-Infinity"
    assert constant(np.nan)._leaf == {"value": "NaN"}


def apply(array: Any, nodes: list[dict[str, Any]]) -> Any:
    """The nodes of an index, run with NumPy by what the catalogue says of them."""
    for node in nodes[1:]:
        if node["op"] == "slice":
            key = [slice(None)] * array.ndim
            for start, stop, axis, step in zip(
                node["starts"], node["stops"], node["axes"], node["steps"], strict=True
            ):
                key[axis] = slice(start, None if step < 0 and stop < -(10**9) else stop, step)
            array = array[tuple(key)]
        elif node["op"] == "squeeze":
            array = np.squeeze(array, tuple(node["axis"]))
        else:
            assert node["op"] == "expand_dims"
            array = np.expand_dims(array, tuple(node["axis"]))
    return array


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        -2,
        slice(1, 3),
        slice(None, None, -1),
        slice(None, None, 2),
        slice(3, 0, -2),
        (1, 2),
        (slice(None), -1),
        (..., 1),
        (..., slice(0, 2), -1),
        (0, ..., -1),
        (None, 1),
        (slice(None), None, 0),
        (..., None),
        (1, None, ..., None),
        ...,
        (slice(-2, None), slice(None), slice(None, -1)),
    ],
)
def test_indices_mean_what_they_mean_in_numpy(key: Any) -> None:
    array = np.arange(60.0).reshape(4, 5, 3)
    made = apply(array, graph(Var("x")[key])["nodes"])
    np.testing.assert_array_equal(made, array[key])


@pytest.mark.parametrize("key", [(..., ...), (0, [1, 2]), (1.5,), ("x",)])
def test_other_indices_are_refused(key: Any) -> None:
    with pytest.raises(IndexError):
        Var("x")[key]


def test_an_integer_array_takes_rows() -> None:
    node = graph(Var("x")[[0, 2]])["nodes"][-1]
    assert node["op"] == "take"
    assert node["axis"] == 0
