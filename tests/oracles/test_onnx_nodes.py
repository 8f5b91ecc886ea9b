"""ONNX's own node tests for every operator that both have: the values, forward."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch", reason="the oracles' environment")

import orjson  # noqa: E402
from onnx import numpy_helper  # noqa: E402

from service.engine.compute import forward  # noqa: E402
from service.engine.control import DEFAULT_LIMITS  # noqa: E402
from service.engine.errors import EngineError  # noqa: E402
from service.engine.program import program_for  # noqa: E402
from service.onnx import OnnxError, from_onnx  # noqa: E402
from service.wire.decode import read_graph  # noqa: E402
from tests.oracles.comparing import COUNTED  # noqa: E402

pytestmark = pytest.mark.oracle


def cases() -> list[Any]:
    """Node tests of the standard's own domain, without those of whole models."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    return [case for case in found if case.model is not None]


def array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def skipped(case: Any, why: str) -> None:
    COUNTED[f"skipped: ONNX {case.model.graph.node[0].op_type}: {why}"] += 1
    pytest.skip(why)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_node_gives_what_onnx_says(case: Any) -> None:
    graph = case.model.graph
    if graph.node[0].op_type == "Einsum" and "bfloat16" in case.name:
        skipped(case, "bfloat16")
    # Numbers that decide about shapes (axes, pads) belong to the model, not to its inputs.
    given, wanted = case.data_sets[0]
    values = {value.name: array(a) for value, a in zip(graph.input, given, strict=False)}
    if not all(isinstance(v, np.ndarray | np.generic) for v in [*values.values(), *wanted]):
        skipped(case, "sequences and optionals")
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for name, value in list(values.items()):
        if np.asarray(value).dtype.kind in "iu":
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    fixed = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in fixed]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    names = [value.name for value in graph.output]
    made = None
    for count in (len(names), 1):
        try:
            made = from_onnx(model, parameters="constants", outputs=names[:count])
            break
        except OnnxError as error:
            reason = str(error).split("\n")[0][:90]
    if made is None:
        skipped(case, reason)
    inputs = {
        name: value
        for (name, _), value in zip(
            made.inputs.items(), [values[v.name] for v in kept], strict=True
        )
    }
    try:
        program = program_for(
            read_graph(orjson.dumps(made.graph), DEFAULT_LIMITS), inputs, made.dtype
        )
        found = forward(program, inputs).outputs
    except EngineError as error:
        if any(np.size(v) == 0 for v in values.values()):
            skipped(case, "an empty tensor")
        raise AssertionError(f"{case.name}: {error}") from error
    compare = [array(a) for a in wanted][: len(found)]
    for (name, ours), theirs in zip(found.items(), compare, strict=True):
        assert np.shape(ours) == np.shape(theirs), name
        np.testing.assert_allclose(
            np.asarray(ours, np.float64),
            np.asarray(theirs, np.float64),
            rtol=max(case.rtol, 1e-5),
            atol=max(case.atol, 1e-6),
            err_msg=name,
        )
    COUNTED[f"compared: ONNX {graph.node[0].op_type}"] += 1
