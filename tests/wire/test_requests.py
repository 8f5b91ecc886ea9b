"""Requests: defaults, graphs seen before, registered graphs, reading without blocking."""

import json
from typing import Any

import numpy as np
import pytest

from service.engine.control import Limits
from service.engine.errors import GraphError, LimitExceeded
from service.wire import decode
from service.wire.context import Context, WouldBlock, recent_graphs
from service.wire.decode import read_request
from service.wire.errors import GraphNotFound, MalformedJson
from service.wire.quick import colons_beside
from service.wire.requests import AnalyzeRequest, GradientRequest

GRAPH = {
    "nodes": [
        {"id": "x", "op": "input"},
        {"id": "f", "op": "mul", "inputs": ["x", 2]},
    ]
}


def body(**members: Any) -> bytes:
    return json.dumps({"graph": GRAPH} | members).encode()


def test_what_is_left_out_has_its_default() -> None:
    request, graph = read_request(body(), GradientRequest, Context())
    assert graph.outputs == ("f",)
    assert request.inputs == {}
    assert (request.dtype, request.encoding, request.values) == ("float64", "json", "all")
    assert (request.output, request.wrt, request.cotangent) == (None, None, None)
    assert request.batch is False


def test_null_is_taken_where_nothing_is_meant() -> None:
    request, _ = read_request(
        body(wrt=None, output=None, cotangent=None), GradientRequest, Context()
    )
    assert request.wrt is None
    assert request.cotangent is None


def test_tensors_are_read() -> None:
    request, _ = read_request(
        body(inputs={"x": ["NaN", 1]}, cotangent=[1, 2]), GradientRequest, Context()
    )
    np.testing.assert_array_equal(request.inputs["x"], [np.nan, 1])
    assert isinstance(request.cotangent, np.ndarray)


def test_shapes_stay_integers() -> None:
    request, _ = read_request(body(shapes={"x": [2, 3]}), AnalyzeRequest, Context())
    assert request.shapes == {"x": [2, 3]}


def test_a_graph_seen_before_is_not_read_again() -> None:
    context = Context()
    _, first = read_request(body(inputs={"x": 1}), GradientRequest, context)
    _, again = read_request(body(inputs={"x": 2}), GradientRequest, context)
    assert again is first
    _, other = read_request(body(inputs={"x": 2}).replace(b"2]", b"3]"), GradientRequest, context)
    assert other is not first


def test_colons_in_names_do_no_harm() -> None:
    graph = {"nodes": [{"id": "a:b", "op": "input"}, {"id": "f", "op": "exp", "inputs": ["a:b"]}]}
    text = json.dumps({"graph": graph, "inputs": {"a:b": 1}}).encode()
    request, _ = read_request(text, GradientRequest, Context())
    assert request.inputs == {"a:b": 1.0}
    with pytest.raises(MalformedJson):
        read_request(text[:-2] + b', "a:b": 2}}', GradientRequest, Context())


def test_a_member_given_twice_is_found_in_a_large_body_too() -> None:
    nodes: list[dict[str, Any]] = [{"id": "x", "op": "input", "value": 1}]
    nodes += [{"id": f"n{i}", "op": "add", "inputs": ["x", i]} for i in range(500)]
    text = json.dumps({"graph": {"nodes": nodes, "output": "n1"}, "inputs": {"x": 2}}).encode()
    read_request(text, GradientRequest, Context())
    for broken in (
        text.replace(b'"id": "n250"', b'"id": "n250", "op": "mul"'),
        text[:-1] + b', "dtype": "float64", "dtype": "float64"}',
        text.replace(b'{"x": 2}', b'{"x": 2, "x": 2}'),
    ):
        with pytest.raises(MalformedJson):
            read_request(broken, GradientRequest, Context())


def test_colons_beside_a_large_text_are_counted_without_it() -> None:
    text = b'{"a":1}' * 1000
    body_ = b'{"graph":' + text + b',"x":{"y":1}}'
    assert colons_beside(body_, text) == 3
    # The start of the text may occur before it.
    assert colons_beside(b'{"x":' + text[:300] + b',"g":' + text + b"}", text) == 44 + 1


def test_a_registered_graph_is_looked_up() -> None:
    asked: list[str] = []

    def find(reference: str) -> bytes:
        asked.append(reference)
        if reference != "circuit":
            raise GraphNotFound
        return json.dumps(GRAPH).encode()

    context = Context(find_graph=find)
    _, graph = read_request(b'{"graph": "circuit"}', GradientRequest, context)
    assert graph.outputs == ("f",)
    assert read_request(b'{"graph": "circuit"}', GradientRequest, context)[1] is graph
    assert asked == ["circuit", "circuit"]
    with pytest.raises(GraphNotFound):
        read_request(b'{"graph": "other"}', GradientRequest, context)
    with pytest.raises(GraphNotFound):
        read_request(b'{"graph": "circuit"}', GradientRequest, Context())


def test_a_registered_graph_that_is_no_longer_understood_is_no_failure() -> None:
    context = Context(find_graph=lambda _: b'{"nodes": [{"op": "gone"}]}')
    with pytest.raises(GraphError, match="register it again"):
        read_request(b'{"graph": "circuit"}', GradientRequest, context)


def test_what_would_block_is_left_undone_on_request() -> None:
    context = Context(find_graph=lambda _: b"{}")
    for text in (b'{"graph": "circuit"}', body(inptus={}), b"not JSON"):
        with pytest.raises(WouldBlock):
            read_request(text, GradientRequest, context, False)
    if decode.QUICK:  # the models take their time for every body
        read_request(body(), GradientRequest, context, False)


def test_a_graph_has_no_more_nodes_than_allowed() -> None:
    for text in (body(), body(graph={"expression": "x * 2 + 1"}), body(dtyp=1)):
        with pytest.raises(LimitExceeded):
            read_request(text, GradientRequest, Context(limits=Limits(nodes=1)))


def test_values_of_integer_inputs_are_integers() -> None:
    nodes = [
        {"id": "x", "op": "input", "dtype": "int64"},
        {"id": "f", "op": "exp", "inputs": ["x"]},
    ]
    for value, fits in ((2, True), ([1, 2], True), (2.5, False), ("NaN", False), (2**63, False)):
        text = body(graph={"nodes": nodes}, inputs={"x": value})
        if fits:
            read_request(text, GradientRequest, Context())
        else:
            with pytest.raises(GraphError) as caught:
                read_request(text, GradientRequest, Context())
            (fault,) = caught.value.faults
            assert (fault.code, fault.pointer) == ("dtype", "#/inputs/x")


def test_no_cache_is_a_cache_of_nothing() -> None:
    context = Context(graphs=recent_graphs(0, 0))
    read_request(body(), GradientRequest, context)
    read_request(body(), GradientRequest, context)
    assert len(context.graphs) == 0
