"""The quick reader and the models are two readers of one contract: same answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.errors import EngineError, GraphError
from service.engine.graph import Graph
from service.engine.operators import REGISTRY
from service.wire import decode, faults, quick
from service.wire.context import Context
from service.wire.errors import SchemaError
from service.wire.models import GateForm, LeafForm, Node, written_attributes, written_operators
from service.wire.requests import GradientRequest

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([10**18, 10**25, -(2**63), 1.0, 0.5, 1e300]),
    st.sampled_from(["x", "y", "f", "x.1", "NaN", "", "mean", "split", "float64", "inf"]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["shape", "dtype", "data", "a"]), inner, max_size=3),
    ),
    max_leaves=6,
)
LEAF = st.fixed_dictionaries(
    {"id": st.sampled_from(["x", "y"]), "op": st.just("input")},
    optional={
        "value": st.one_of(ANYTHING, st.integers(-3, 3), st.lists(st.integers(-2, 2), max_size=3)),
        "shape": st.one_of(ANYTHING, st.lists(st.integers(0, 3), max_size=2)),
        "dtype": st.sampled_from(["float64", "float32", "int64", "bool", "half", None]),
    },
)
INPUT = st.one_of(st.sampled_from(["x", "y", "f", "x.0"]), st.integers(-2, 2), ANYTHING)


@st.composite
def computed(draw: st.DrawFn) -> dict[str, Any]:
    """A node of a random operator, mostly well formed."""
    operator = draw(st.sampled_from(written_operators()))
    name = draw(st.sampled_from([operator.name, *operator.aliases]))
    node: dict[str, Any] = {"id": draw(st.sampled_from(["f", "g", "h"])), "op": name}
    least, _ = operator.arity
    exact = draw(st.booleans())
    if exact:
        node["inputs"] = draw(st.lists(st.sampled_from(["x", "y"]), min_size=least, max_size=least))
    else:
        node["inputs"] = draw(st.one_of(st.lists(INPUT, max_size=3), ANYTHING))
    for key, attribute in written_attributes(operator).items():
        usual = {
            "bool": st.booleans(),
            "int": st.integers(-2, 3),
            "axis": st.integers(-2, 3),
            "axes": st.one_of(st.integers(-2, 2), st.lists(st.integers(-2, 2), max_size=2)),
            "ints": st.lists(st.integers(-1, 3), max_size=3),
            "float": st.floats(-2, 2),
            "number": st.one_of(st.floats(-2, 2), st.sampled_from(["inf", "-inf"])),
            "choice": st.sampled_from(attribute.choices or ("a",)),
            "text": st.sampled_from(["ij->ji", "abc"]),
        }[attribute.kind]
        if draw(st.booleans()) or (exact and attribute.required):
            node[key] = draw(usual if draw(st.integers(0, 4)) else ANYTHING)
    if not draw(st.integers(0, 5)):
        node[draw(st.sampled_from(["axes", "inputs", "id", "op", "value"]))] = draw(ANYTHING)
    if not draw(st.integers(0, 8)):
        node.pop(draw(st.sampled_from(sorted(node))))
    return node


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    x: dict[str, Any] = {"id": "x", "op": "input", "value": draw(st.integers(-3, 3))}
    y: dict[str, Any] = {"id": "y", "op": "constant", "value": [1.5, 2]}
    nodes: list[Any] = [x, y]
    nodes += draw(st.lists(st.one_of(computed(), computed(), LEAF), max_size=3))
    document: dict[str, Any] = {"nodes": nodes}
    if draw(st.booleans()):
        document["output"] = draw(
            st.one_of(st.sampled_from(["f", "x", ["f", "x"], None]), ANYTHING)
        )
    if not draw(st.integers(0, 9)):
        document[draw(st.sampled_from(["nodes", "expression", "outputs"]))] = draw(ANYTHING)
    return document


def outcome(read: Callable[[], Any]) -> Any:
    """What reading gives: the graph and members in comparable form, or how it is refused."""
    try:
        return shown(read())
    except GraphError as error:
        return sorted(map(repr, error.faults))
    except (EngineError, SchemaError) as error:
        return type(error), str(error)


def shown(value: Any) -> Any:
    if isinstance(value, Graph):
        leaves = {i: (leaf.kind, leaf.shape, leaf.dtype) for i, leaf in value.leaves.items()}
        values = {i: shown(leaf.value) for i, leaf in value.leaves.items()}
        return (value.ids, leaves, values, list(value.order), value.codes, value.outputs,
                repr(value.attrs), repr(value.literals), value.first, value.second)  # fmt: skip
    if isinstance(value, tuple):
        return tuple(map(shown, value))
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    return repr(value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_a_graph_is_the_same_to_both(document: dict[str, Any]) -> None:
    text = json.dumps(document).encode()
    slowly = outcome(lambda: faults.read_graph(text, DEFAULT_LIMITS, 64))
    try:
        graph = quick.read_graph(text, DEFAULT_LIMITS)
    except (quick.Unreadable, GraphError):
        pass  # it may refuse what it likes: the models have the last word
    else:
        assert shown(graph) == slowly


ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "inputs": st.one_of(
            ANYTHING, st.dictionaries(st.sampled_from(["x", "y"]), ANYTHING, max_size=2)
        ),
        "dtype": st.one_of(st.sampled_from(["float64", "float32"]), ANYTHING),
        "encoding": st.one_of(st.sampled_from(["json", "base64"]), ANYTHING),
        "output": ANYTHING,
        "wrt": ANYTHING,
        "cotangent": ANYTHING,
        "values": st.one_of(st.sampled_from(["all", "output"]), ANYTHING),
        "node_gradients": ANYTHING,
        "batch": ANYTHING,
        "reduce": st.one_of(st.sampled_from(["none", "sum", "mean"]), ANYTHING),
        "more": ANYTHING,
    },
)


@settings(max_examples=300, deadline=None)
@given(ENVELOPE)
def test_a_request_is_the_same_to_both(members: dict[str, Any]) -> None:
    body = json.dumps({"graph": {"expression": "x * y"}} | members).encode()

    def read() -> Any:
        request, graph = decode.read_request(body, GradientRequest, Context())
        return *(getattr(request, name) for name in GradientRequest.model_fields), graph

    quickly = outcome(read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "QUICK", False)
        assert outcome(read) == quickly


def test_every_operator_and_alias_can_be_written() -> None:
    names = {
        name
        for operator in REGISTRY
        if not operator.internal
        for name in (operator.name, *operator.aliases)
    }
    for name in names - {"input", "constant"}:
        operator = REGISTRY[name]
        inputs = ["x"] * operator.arity[0]
        text = json.dumps({"nodes": [{"id": "f", "op": name, "inputs": inputs}]}).encode()
        codes = {fault.code for fault in outcome_faults(text) if fault.code != "unknown_node"}
        assert codes <= {"attribute"}, name


def outcome_faults(text: bytes) -> tuple[Any, ...]:
    with pytest.raises(GraphError) as caught:
        decode.read_graph(text, Limits())
    return caught.value.faults


def test_the_model_of_a_node_has_every_member() -> None:
    members = {*LeafForm.model_fields, *GateForm.model_fields}
    for operator in written_operators():
        members |= set(written_attributes(operator))
    assert set(Node.model_fields) == members
