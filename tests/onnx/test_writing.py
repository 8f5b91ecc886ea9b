"""Graphs as ONNX models, run by ONNX's own evaluator; and read back."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
import orjson
from onnx.reference import ReferenceEvaluator

from service.engine.compute import forward
from service.engine.control import DEFAULT_LIMITS
from service.engine.gradient_graph import gradient_graph
from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.operators import REGISTRY
from service.engine.program import program_for
from service.engine.registry import Example, Operator
from service.onnx import OnnxError, from_onnx, to_onnx
from service.wire.decode import read_graph

NOT_IN_ONNX = {
    "cumulative_prod", "linear_recurrence",
    "inv", "solve", "cofactor", "slogdet", "cholesky", "eigh", "svd", "qr",
    "solve_triangular", "pinv", "lstsq", "cummax", "cummin",
    "erfinv", "log_ndtr", "inverse_mills", "polygamma", "digamma", "lgamma",
}  # fmt: skip
OPERATORS = [
    op for op in REGISTRY if not op.internal and op.group != "leaf" and op.name not in NOT_IN_ONNX
]


def graph_of(expression: str, output: Any = None) -> Graph:
    document: dict[str, Any] = {"expression": expression}
    if output is not None:
        document["output"] = output
    return read_graph(orjson.dumps(document), DEFAULT_LIMITS)


def examples(op: Operator) -> list[Example]:
    count = len(op.inputs)
    drawn = [Example(((2, 3),) * count), Example(((3,), *(((2, 3),) * (count - 1))))]
    return list(op.domain.examples) or drawn


def drawn(op: Operator, example: Example) -> dict[str, Any]:
    """Values for an example of an operator."""
    rng = np.random.default_rng(3)
    values: list[Any] = []
    for place, shape in enumerate(example.shapes):
        dtype = example.dtypes[place] if place < len(example.dtypes) else "float64"
        low, high = op.domain.ranges[min(place, len(op.domain.ranges) - 1)]
        if dtype == "float64":
            values.append(rng.uniform(low, high, shape))
        else:
            values.append(rng.integers(0, example.integers, shape).astype(dtype))
    if op.domain.prepare is not None:
        values = list(op.domain.prepare(*values))
    if op.group == "logic":
        values = [value > 0 for value in values]
    if op.name == "where":
        values[0] = values[0] > 0
    return {f"i{place}": np.asarray(value) for place, value in enumerate(values)}


def run(model: onnx.ModelProto, values: dict[str, Any]) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: list[Any] = ReferenceEvaluator(model).run(None, values)
    return found


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name)
def test_an_operator_means_the_same_in_the_model_and_when_read_back(op: Operator) -> None:
    for example in examples(op):
        if op.name == "max_pool" and example.attrs.get("pads"):
            continue  # the reference evaluator goes out of bounds there
        if op.name == "matrix_norm" and example.attrs.get("ord") in ("nuc", "2"):
            continue  # by way of singular values, which ONNX has not
        if op.name == "matrix_power" and example.attrs["n"] < 0:
            continue  # by way of the inverse
        values = drawn(op, example)
        names = list(values)
        spec = GraphSpec([*names, "r"], ["input"] * len(names) + [op.name], [])
        spec.inputs = [*([()] * len(names)), names]
        spec.leaves = {
            place: Leaf("input", shape=value.shape, dtype=value.dtype.name)
            for place, value in enumerate(values.values())
        }
        spec.attrs = {len(names): dict(example.attrs)} if example.attrs else {}
        spec.output = "r"
        graph = resolve(spec)
        found = forward(program_for(graph, values), values).values or {}
        wanted = found["r" if "r" in found else "r.0"]
        model = to_onnx(graph, dtype="float64")
        (made,) = run(model, values)
        assert made.shape == np.shape(wanted)
        np.testing.assert_allclose(made, wanted, rtol=1e-6, atol=1e-6)
        back = from_onnx(model, outputs=[model.graph.output[0].name])
        again = read_graph(orjson.dumps(back.graph), DEFAULT_LIMITS)
        (read,) = forward(program_for(again, values), values).outputs.values()
        np.testing.assert_allclose(read, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted(NOT_IN_ONNX))
def test_what_onnx_can_not_say_is_named(name: str) -> None:
    op = REGISTRY[name]
    names = [f"i{place}" for place in range(len(op.inputs))]
    ids = [*names, "r"]
    spec = GraphSpec(ids, ["input"] * len(names) + [name], [*([()] * len(names)), names])
    spec.leaves = {place: Leaf("input", shape=(3, 3)) for place in range(len(names))}
    if op.domain.examples:
        spec.attrs = {len(names): dict(op.domain.examples[0].attrs)}
    spec.output = "r"
    with pytest.raises(OnnxError, match=name):
        to_onnx(resolve(spec))


@pytest.mark.parametrize(
    ("text", "shapes"),
    [("sum(x, axis=[])", {"x": [2, 3]}), ("max(x, axis=[])", {"x": [2]})],
)
def test_a_reduction_over_no_axes_is_written_as_the_identity(
    text: str, shapes: dict[str, list[int]]
) -> None:
    model = to_onnx(graph_of(text), shapes)
    x = np.ones(shapes["x"], np.float32)
    (found,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("permute_dims(x, axes=[])", {"x": []}),
        ("a = tensordot(x, y, axes=0)", {"x": [], "y": [2]}),
        ("p = split(x, sections=1)\nf = p[0] * 2", {"x": [2]}),
        ("x[::-1][5:]", {"x": [0]}),
        ("tile(x, repeats=[2])", {"x": [0]}),
    ],
)
def test_what_onnx_does_not_take_is_written_or_refused_by_our_own_error(
    text: str, shapes: dict[str, list[int]]
) -> None:
    with suppress(OnnxError):
        onnx.checker.check_model(to_onnx(graph_of(text), shapes), full_check=True)


def test_everything_that_can_not_be_said_is_listed() -> None:
    with pytest.raises(OnnxError) as caught:
        to_onnx(graph_of("a = inv(x)\nb = cholesky(a)\nc = a @ b"), {"x": [2, 2]})
    assert len(caught.value.reasons) == 2


def test_defaults_become_initializers_that_can_be_overridden() -> None:
    nodes = [
        {"id": "x", "op": "input", "shape": [3]},
        {"id": "w", "op": "input", "value": [1, 2, 3]},
        {"id": "f", "op": "matmul", "inputs": ["w", "x"]},
    ]
    graph = read_graph(orjson.dumps({"nodes": nodes}), DEFAULT_LIMITS)
    model = to_onnx(graph, dtype="float64")
    x = np.ones(3)
    assert run(model, {"x": x})[0] == 6
    assert [value.name for value in model.graph.input] == ["x", "w"]


def test_several_outputs_and_parts_of_nodes() -> None:
    graph = graph_of("a, b = split(x, sections=2)\nc = a * b\nd = b + 1", ["c", "d"])
    model = to_onnx(graph, {"x": [4]}, dtype="float64")
    c, d = run(model, {"x": np.arange(4.0)})
    np.testing.assert_array_equal(c, [0, 3])
    np.testing.assert_array_equal(d, [3, 4])


def test_a_gradient_can_be_exported_too() -> None:
    graph = graph_of("mean((tanh(W @ x + b) - y) ** 2)")
    rng = np.random.default_rng(1)
    values = {"W": rng.normal(size=(4, 3)), "x": rng.normal(size=3)}
    values |= {"b": rng.normal(size=4), "y": rng.normal(size=4)}
    derived = gradient_graph(program_for(graph, values))
    model = to_onnx(resolve(derived.spec), {n: v.shape for n, v in values.items()}, dtype="float64")
    names = [value.name for value in model.graph.output]
    made = dict(zip(names, run(model, values), strict=True))
    slope = 2 / 4 * (np.tanh(values["W"] @ values["x"] + values["b"]) - values["y"])
    slope *= 1 - np.tanh(values["W"] @ values["x"] + values["b"]) ** 2
    np.testing.assert_allclose(made[derived.gradients["b"]], slope, rtol=1e-12)
    np.testing.assert_allclose(
        made[derived.gradients["W"]], np.outer(slope, values["x"]), rtol=1e-12
    )


def test_the_model_runs_in_onnxruntime() -> None:
    runtime = pytest.importorskip("onnxruntime")
    graph = graph_of("softmax(relu(conv(x, w, pads=[1, 1, 1, 1])), axis=1)")
    shapes = {"x": (2, 3, 5, 5), "w": (4, 3, 3, 3)}
    model = to_onnx(graph, shapes)
    rng = np.random.default_rng(1)
    values = {name: rng.normal(size=shape).astype("f4") for name, shape in shapes.items()}
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    program = program_for(graph, values, "float32")
    (wanted,) = forward(program, values).outputs.values()
    np.testing.assert_allclose(session.run(None, values)[0], wanted, rtol=1e-4, atol=1e-6)
