"""The quick reader and the explaining one are two views of one contract: same verdicts."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.engine.control import DEFAULT_LIMITS
from service.engine.errors import GraphError
from service.engine.operators import REGISTRY
from service.wire.context import Context
from service.wire.explain import graph_faults
from service.wire.graphs import Unreadable, read_graph
from service.wire.json_text import strict_json
from service.wire.models import NodeBase, node_model
from service.wire.nodes import NAMES, STRUCTS, written_attributes, written_operators
from service.wire.requests import GradientRequest, read_request

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


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_both_readers_of_a_graph_come_to_the_same_verdict(document: dict[str, Any]) -> None:
    text = json.dumps(document).encode()
    thorough = strict_json(text, 64)
    try:
        read_graph(text, DEFAULT_LIMITS)
    except Unreadable:
        assert graph_faults(thorough, DEFAULT_LIMITS)
    except GraphError as error:
        quick = {(fault.code, fault.pointer) for fault in error.faults}
        slow = {(fault.code, fault.pointer) for fault in graph_faults(thorough, DEFAULT_LIMITS)}
        assert quick == slow
    else:
        assert graph_faults(thorough, DEFAULT_LIMITS) == []


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
def test_a_refused_request_is_always_explained(members: dict[str, Any]) -> None:
    body = json.dumps({"graph": {"expression": "x * y"}} | members).encode()
    found: tuple[str, ...] = ()
    try:
        read_request(body, GradientRequest, Context())
    except GraphError as error:
        found = tuple(fault.detail for fault in error.faults)
    # Where it was taken there is nothing to explain, and what was refused has its reason.
    assert "the request can not be read" not in found


def test_every_operator_and_alias_is_in_both_views() -> None:
    names = {
        name
        for operator in REGISTRY
        if not operator.internal
        for name in (operator.name, *operator.aliases)
    }
    assert set(NAMES.values()) == names
    assert all(node_model(name) is not None for name in names)
    assert node_model("output_of") is None
    assert node_model("no such operator") is None


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: NAMES[struct])
def test_both_views_of_a_node_have_the_same_members(struct: Any) -> None:
    model = node_model(NAMES[struct])
    assert model is not None
    assert issubclass(model, NodeBase)
    assert {*struct.__struct_fields__, "op"} == set(model.model_fields)
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    assert {"op", *struct.__struct_fields__[: -len(struct.__struct_defaults__) or None]} == required
