"""The compute operations: what the request's members do, costs, limits, the same bytes."""

import gc
import json
import math
import threading
from typing import Any

import numpy as np
import pytest

from service.engine.control import Control, Limits
from service.engine.errors import Cancelled, GraphError, LimitExceeded
from service.routes.compute import router
from service.wire.context import Context, WouldBlock
from service.wire.tensors import read_tensor

BY_NAME = {operation.name: operation for operation in router.operations}
CIRCUIT = {
    "nodes": [
        {"id": "x", "op": "input", "value": -2},
        {"id": "y", "op": "input", "value": 5},
        {"id": "z", "op": "input"},
        {"id": "q", "op": "add", "inputs": ["x", "y"]},
        {"id": "f", "op": "mul", "inputs": ["q", "z"]},
    ],
    "output": "f",
}
VECTOR = {"expression": "sum(w * x)"}


def ask(name: str, graph: Any = CIRCUIT, context: Context | None = None, **members: Any) -> Any:
    body = json.dumps({"graph": graph} | members).encode()
    return json.loads(BY_NAME[name].compute(body, context or Context()))


def faults(name: str, graph: Any = CIRCUIT, **members: Any) -> list[tuple[str, str | None]]:
    with pytest.raises(GraphError) as caught:
        ask(name, graph, **members)
    return [(fault.code, fault.pointer) for fault in caught.value.faults]


def test_the_contract_is_answered_to_the_byte() -> None:
    body = json.dumps({"graph": CIRCUIT, "inputs": {"z": -4}}).encode()
    assert BY_NAME["gradient"].compute(body, Context()) == (
        b'{"output":"f","value":-12.0,"gradients":{"x":-4.0,"y":-4.0,"z":3.0},'
        b'"values":{"x":-2.0,"y":5.0,"z":-4.0,"q":3.0,"f":-12.0}}'
    )


def test_the_same_request_gives_the_same_bytes() -> None:
    context = Context()
    for name, more in (("gradient", {}), ("hessian", {}), ("analyze", {}), ("forward", {})):
        body = json.dumps({"graph": CIRCUIT, "inputs": {"z": 0.1}} | more).encode()
        first = BY_NAME[name].compute(body, context)
        assert BY_NAME[name].compute(body, context) == first
        assert BY_NAME[name].compute(body, Context()) == first


def test_inputs_override_the_values_of_nodes() -> None:
    made = ask("gradient", inputs={"z": 1, "x": 10})
    assert made["values"]["x"] == 10
    assert made["gradients"]["z"] == 15


@pytest.mark.parametrize("name", ["forward", "gradient"])
def test_values_are_left_out_on_request(name: str) -> None:
    assert "values" in ask(name, inputs={"z": 1})
    assert "values" not in ask(name, inputs={"z": 1}, values="output")


def test_only_the_wanted_gradients_are_given_in_the_order_asked() -> None:
    made = ask("gradient", inputs={"z": 1}, wrt=["z", "x"])
    assert list(made["gradients"]) == ["z", "x"]


def test_node_gradients_are_given_on_request() -> None:
    made = ask("gradient", inputs={"z": -4}, node_gradients=True)
    assert made["node_gradients"] == {"x": -4, "y": -4, "z": 3, "q": -4, "f": 1}


def test_one_of_several_outputs_is_chosen() -> None:
    graph = CIRCUIT | {"output": ["q", "f"]}
    made = ask("forward", graph, inputs={"z": -4})
    assert made["outputs"] == {"q": 3.0, "f": -12.0}
    assert ask("gradient", graph, inputs={"z": -4}, output="q")["gradients"]["z"] == 0
    assert faults("gradient", graph, inputs={"z": -4}) == [("ambiguous_output", "#/output")]


def test_a_cotangent_makes_a_gradient_of_any_output() -> None:
    made = ask("gradient", {"expression": "x * x"}, inputs={"x": [1, 2]}, cotangent=[1, 0.5])
    assert made["gradients"] == {"x": [2.0, 2.0]}


def test_float32_is_computed_and_printed_as_such() -> None:
    made = ask("gradient", VECTOR, inputs={"w": [0.1, 0.2], "x": [1, 3]}, dtype="float32")
    assert made["gradients"]["x"] == [0.1, 0.2]
    assert made["value"] == float(str(np.float32(0.1) + np.float32(0.2) * np.float32(3)))


def test_tensors_go_in_and_out_as_base64() -> None:
    x = np.arange(6.0).reshape(2, 3)
    inputs = {"x": x.tolist()}
    made = ask("forward", {"expression": "x"}, inputs=inputs, encoding="base64")["outputs"]["x"]
    np.testing.assert_array_equal(read_tensor(made, "", Limits()), x)
    again = ask("gradient", {"expression": "sum(x * x)"}, inputs={"x": made})
    assert again["gradients"]["x"] == (2 * x).tolist()


def test_what_is_not_finite_is_a_string_and_named() -> None:
    made = ask("gradient", {"expression": "y = log(x)\nf = y * y"}, inputs={"x": 0})
    assert made["value"] == "Infinity"
    assert made["warnings"][0]["kind"] == "value"
    assert made["warnings"][0]["node"] == "y"
    assert "warnings" not in ask("gradient", inputs={"z": 1})


def test_nan_and_infinities_are_taken_as_inputs() -> None:
    made = ask("forward", {"expression": "x * 2"}, inputs={"x": ["NaN", "-Infinity", 1]})
    assert made["outputs"]["output"] == ["NaN", "-Infinity", 2.0]


def test_a_batch_gives_value_and_gradients_at_every_point() -> None:
    points = {"x": [-2, 1, 0.5], "y": [5, 2, 1.5], "z": -4}
    made = ask("gradient", inputs=points, batch=["x", "y"])
    for i in range(3):
        alone = ask("gradient", inputs={"x": points["x"][i], "y": points["y"][i], "z": -4})
        assert made["value"][i] == alone["value"]
        for name in ("x", "y", "z"):
            assert made["gradients"][name][i] == alone["gradients"][name]
        assert made["values"]["q"][i] == alone["values"]["q"]
    total = ask("gradient", inputs=points, batch=["x", "y"], reduce="sum")
    assert total["gradients"]["z"] == sum(made["gradients"]["z"])


def test_max_of_one_input_reduces_and_of_more_is_the_gate() -> None:
    x = {"id": "x", "op": "input", "value": [[1, 5], [3, 2]]}
    one = {"id": "f", "op": "max", "inputs": ["x"], "axis": 0}
    assert ask("forward", {"nodes": [x, one]})["outputs"]["f"] == [3.0, 5.0]
    more = {"id": "f", "op": "max", "inputs": ["x", 2], "ties": "first"}
    assert ask("forward", {"nodes": [x, more]})["outputs"]["f"] == [[2, 5], [3, 2]]
    assert faults("forward", {"nodes": [x, more | {"axis": 0}]}) == [("attribute", "/nodes/1/axis")]
    assert faults("forward", {"nodes": [x, one | {"ties": "first"}]}) == [
        ("attribute", "/nodes/1/ties")
    ]


def test_further_outputs_are_named_by_number() -> None:
    nodes = [
        {"id": "x", "op": "input", "value": [1, 2, 3, 4]},
        {"id": "s", "op": "split", "inputs": ["x"], "sections": 2},
        {"id": "f", "op": "sum", "inputs": ["s.1"]},
    ]
    made = ask("gradient", {"nodes": nodes})
    assert made["value"] == 7
    assert made["gradients"]["x"] == [0, 0, 1, 1]
    assert made["values"]["s.0"] == [1, 2]
    assert made["values"]["s.1"] == [3, 4]


def test_vjp_and_jvp_agree_with_the_jacobian() -> None:
    graph = {"expression": "y = sin(x) * w\nz = y * y", "output": ["y", "z"]}
    inputs = {"x": [0.5, 1.5], "w": 2}
    jacobian = ask("jacobian", graph, inputs=inputs)["jacobian"]
    J = np.array(jacobian["z"]["x"])
    vjp = ask("vjp", graph, inputs=inputs, cotangents={"z": [1, -2]})
    np.testing.assert_allclose(vjp["gradients"]["x"], np.array([1, -2]) @ J)
    jvp = ask("jvp", graph, inputs=inputs, tangents={"x": [3, 1]}, outputs=["z"])
    np.testing.assert_allclose(jvp["tangents"]["z"], J @ np.array([3, 1]))
    many = ask("vjp", graph, inputs=inputs, cotangents={"z": [[1, 0], [0, 1]]},
               batch_cotangents=True)  # fmt: skip
    np.testing.assert_allclose(many["gradients"]["x"], J)


def test_hvp_is_the_hessian_times_the_vector() -> None:
    inputs = {"w": [1, 2], "x": [0.5, -1]}
    graph = {"expression": "sum(w * w * x)"}
    hessian = ask("hessian", graph, inputs=inputs, wrt=["w"])
    assert hessian["hessian"]["w"]["w"] == [[1.0, 0.0], [0.0, -2.0]]
    hvp = ask("hvp", graph, inputs=inputs, vector={"w": [1, 1]})
    assert hvp["hvp"] == {"w": [1.0, -2.0]}
    assert hvp["value"] == hessian["value"]


def test_check_tells_right_from_wrong_gradients() -> None:
    inputs = {"z": -4}
    assert ask("check", inputs=inputs)["passed"]
    wrong = ask("check", inputs=inputs, gradients={"x": -4, "z": -3})
    assert not wrong["passed"]
    assert (wrong["inputs"]["x"]["verdict"], wrong["inputs"]["z"]["verdict"]) == ("right", "wrong")
    assert ask("check", inputs=inputs, method="five_point", wrt=["x"])["passed"]


def test_analyze_works_on_shapes_alone() -> None:
    graph = {"expression": "D = W @ X\nf = sum(D)"}
    made = ask("analyze", graph, shapes={"W": [5, 10], "X": [10, 3]})
    assert made["order"][-1] == "f"
    assert made["nodes"]["D"] == {"shape": [5, 3], "dtype": "float64", "flops": 300, "bytes": 120}
    assert made["totals"]["flops"] == 315
    wrong = faults("analyze", graph, shapes={"W": [5, 10], "X": [3, 10]})
    assert wrong[0][0] == "shape_mismatch"
    assert faults("analyze", graph, shapes={"Q": [1]}) == [("unused_input", "#/shapes/Q")]


def test_a_gradient_graph_computes_the_gradient() -> None:
    graph = {"expression": "x * x * y"}
    made = ask("gradient-graph", graph, inputs={"x": 3, "y": -4})
    values = ask("forward", made["graph"], inputs={"x": 3, "y": -4})["outputs"]
    gradients = ask("gradient", graph, inputs={"x": 3, "y": -4})["gradients"]
    assert {name: values[node] for name, node in made["gradients"].items()} == gradients


@pytest.mark.parametrize(
    ("name", "members", "expected"),
    [
        ("jvp", {"tangents": {"q": 1}}, [("unknown_node", "#/tangents/q")]),
        ("hvp", {"vector": {"nope/~": 1}}, [("unknown_node", "#/vector/nope~1~0")]),
        ("check", {"gradients": {"nope": 1}}, [("unknown_node", "#/gradients/nope")]),
        (
            "check",
            {"gradients": {"x": 1}, "wrt": ["y"]},
            [("missing_input", "#/gradients/y")],
        ),
        ("vjp", {}, [("invalid_request", "#/cotangents")]),
        ("jvp", {"tangents": 1}, [("invalid_request", "#/tangents")]),
        ("gradient-graph", {"order": 0}, [("invalid_request", "#/order")]),
        ("check", {"step": -1}, [("invalid_request", "#/step")]),
        ("analyze", {"shapes": {"x": [-1]}}, [("invalid_request", "#/shapes/x/0")]),
    ],
)
def test_faults_point_at_the_member_that_was_sent(
    name: str, members: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert faults(name, inputs={"z": 1}, **members) == expected


@pytest.mark.parametrize("name", BY_NAME)
def test_every_operation_answers_the_examples_it_names(name: str) -> None:
    assert BY_NAME[name].examples


def test_the_cost_is_known_before_the_work_and_grows_with_it() -> None:
    def cost(name: str, graph: Any, **members: Any) -> int:
        body = json.dumps({"graph": graph} | members).encode()
        return BY_NAME[name].parse(body, Context(), True).cost.flops

    small = cost("gradient", CIRCUIT, inputs={"z": 1})
    assert small < 10_000
    assert cost("forward", CIRCUIT, inputs={"z": 1}) < small
    x = np.ones((50, 50)).tolist()
    large = cost("gradient", {"expression": "sum(x @ x)"}, inputs={"x": x})
    assert large > 3 * 2 * 50**3
    assert cost("hessian", {"expression": "sum(x @ x)"}, inputs={"x": x}) > 2500 * large


@pytest.mark.parametrize(
    ("name", "members", "limit"),
    [
        ("jacobian", {"inputs": {"x": [1] * 2000}}, "elements_total"),
        ("hessian", {"inputs": {"x": [1] * 2000}, "output": "s"}, "elements_total"),
        ("gradient", {"inputs": {"x": [1] * 2000}, "output": "s"}, "output_bytes"),
        ("gradient", {"inputs": {"x": [[1]] * 200}, "batch": True, "output": "s"}, "batch"),
        ("gradient-graph", {"inputs": {"x": 1}, "order": 9, "output": "s"}, "order"),
    ],
)
def test_more_than_a_limit_is_refused_before_it_is_computed(
    name: str, members: dict[str, Any], limit: str
) -> None:
    graph = {"expression": "y = x * x\ns = sum(y)", "output": ["y", "s"]}
    context = Context(
        limits=Limits(elements_total=1_000_000), max_output_bytes=100_000, max_batch=100
    )
    with pytest.raises(LimitExceeded) as caught:
        ask(name, graph, context, **members)
    assert caught.value.limit == limit
    assert caught.value.asked > caught.value.allowed


def test_work_that_nobody_waits_for_stops() -> None:
    nodes: list[dict[str, Any]] = [{"id": "n0", "op": "input", "value": 1}]
    nodes += [{"id": f"n{i}", "op": "add", "inputs": [f"n{i - 1}", "n0"]} for i in range(1, 100)]
    work = BY_NAME["gradient"].parse(
        json.dumps({"graph": {"nodes": nodes}}).encode(), Context(), True
    )
    control = Control()
    control.cancel()
    with pytest.raises(Cancelled):
        work.execute(control)


def test_a_request_that_has_to_be_explained_is_not_explained_on_the_loop() -> None:
    with pytest.raises(WouldBlock):
        BY_NAME["gradient"].parse(b'{"graph": {"nodes": [{}]}}', Context(), False)


@pytest.mark.parametrize("shape", ["chain", "fan-out"])
def test_graphs_of_100_000_nodes_work(shape: str) -> None:
    count = 100_000
    nodes: list[dict[str, Any]] = [{"id": "n0", "op": "input", "value": 1.0}]
    if shape == "chain":
        nodes += [{"id": f"n{i}", "op": "add", "inputs": [f"n{i - 1}", 1]} for i in range(1, count)]
        graph = {"nodes": nodes, "output": f"n{count - 1}"}
        value, slope = float(count), 1.0
    else:
        leaves = [f"n{i}" for i in range(1, count)]
        nodes += [{"id": name, "op": "negative", "inputs": ["n0"]} for name in leaves]
        last = {"id": "f", "op": "add", "inputs": ["n1", "n2"]}
        nodes += [last]
        for i, name in enumerate(leaves[2:]):
            nodes.append({"id": f"s{i}", "op": "add", "inputs": [nodes[-1]["id"], name]})
        graph = {"nodes": nodes, "output": nodes[-1]["id"]}
        value, slope = 1.0 - count, 1.0 - count
    made = ask("gradient", graph, values="output")
    assert made["value"] == value
    assert made["gradients"] == {"n0": slope}


def test_requests_at_the_same_time_do_not_disturb_each_other() -> None:
    context = Context()
    wrong: list[float] = []

    def work(z: float) -> None:
        for _ in range(50):
            made = ask("gradient", CIRCUIT, context, inputs={"z": z})
            if made["gradients"]["x"] != z:
                wrong.append(z)

    threads = [threading.Thread(target=work, args=(float(z),)) for z in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert gc.isenabled()


def test_expressions_take_a_whole_program() -> None:
    text = "sigy = 1.0 / (1 + math.exp(-y))\nf = (x + sigy) ** 2"
    made = ask("gradient", {"expression": text}, inputs={"x": 3, "y": -4})
    sigy = 1 / (1 + math.exp(4))
    assert math.isclose(made["gradients"]["x"], 2 * (3 + sigy))


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("vjp", {"cotangents": {"f": 1}}),
        ("jvp", {"tangents": {"x": 1}}),
        ("jacobian", {}),
        ("hessian", {}),
        ("hvp", {"vector": {"x": 1}}),
    ],
)
@pytest.mark.parametrize(
    ("text", "x", "kinds"),
    [
        ("f = log(x)", 0.0, ["value", "gradient"]),
        ("f = sqrt(x)", 0.0, ["gradient"]),
        ("f = log(x)", 2.0, []),
    ],
)
def test_derivatives_that_are_not_finite_come_with_warnings(
    name: str, members: dict[str, Any], text: str, x: float, kinds: list[str]
) -> None:
    answer = ask(name, {"expression": text}, inputs={"x": x}, **members)
    assert [warning["kind"] for warning in answer.get("warnings", [])] == kinds
    assert ("warnings" in answer) == bool(kinds)
