"""Graphs as JSON: nodes, or source text; read into a resolved `Graph`.

A graph without faults of form goes the quick way: msgspec structs, then columns made by
whole-list operations. One that the quick reader refuses is read again by
`service.wire.explain`, which lists its faults.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from operator import attrgetter
from typing import Any, NoReturn

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from service.engine.control import Limits
from service.engine.errors import Fault, GraphError
from service.engine.expression import parse_expression
from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.wire.context import Context, WouldBlock
from service.wire.errors import GraphNotFound
from service.wire.json_text import CollectorHeldBack, check_members_once, count_members
from service.wire.nodes import LEAVES, NAMES, WITH_ATTRIBUTES, Node
from service.wire.tensors import read_tensor


class GraphText(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A graph as it is decoded: `nodes` or `expression`."""

    nodes: list[Node] | UnsetType = UNSET
    expression: str | UnsetType = UNSET
    output: str | list[str] | UnsetType | None = UNSET


class Unreadable(Exception):
    """The quick reader refuses the text; the thorough one knows why."""


_decoder = msgspec.json.Decoder(GraphText)
_id, _inputs = attrgetter("id"), attrgetter("inputs")
_NODE_BYTES = 64
"""The least text of a node: what one of an unrolled loop counts for in the cache."""
_UNROLLED_BYTES = 4_000_000
"""What a text with loops counts for whose graphs depend on shapes: several may be kept of it."""
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def read_graph(text: bytes, limits: Limits) -> Graph:
    """The resolved graph that a JSON text describes.

    Raises Unreadable where the form is wrong, GraphError with all faults of a graph of the
    right form, MalformedJson for two members of one name.
    """
    with CollectorHeldBack(len(text)):
        try:
            decoded = _decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Unreadable from None
        if (decoded.nodes is UNSET) == (decoded.expression is UNSET):
            raise Unreadable
        output = None if decoded.output is UNSET else decoded.output
        if isinstance(decoded.expression, str):
            check_members_once(text, text.count(b":"), count_members(decoded))
            return read_expression(decoded.expression, output, limits)
        nodes: list[Any] = decoded.nodes  # type: ignore[assignment]
        limits.check("nodes", len(nodes))
        outer = 1 + (decoded.output is not UNSET)
        del decoded
        faults: list[Fault] = []
        spec, members = _columns(nodes, limits, faults)
        spec.output = output
        del nodes
        check_members_once(text, text.count(b":"), outer + members)
        if b"\\" in text:
            faults += control_characters(spec.ids)
        return resolve_with(spec, limits, faults)


def read_expression(source: str, output: str | list[str] | None, limits: Limits) -> Graph:
    """The resolved graph of source text; its faults point at the text."""
    try:
        spec = parse_expression(source)
        if output is not None:
            spec.output = output
        return resolve(spec, limits)
    except GraphError as error:
        raise GraphError(
            fault if fault.pointer == "/output" else replace(fault, pointer="/expression")
            for fault in error.faults
        ) from None


def resolve_with(spec: GraphSpec, limits: Limits, faults: Sequence[Fault]) -> Graph:
    """Resolve, and raise the faults that were found before together with the resolver's."""
    try:
        graph = resolve(spec, limits)
    except GraphError as error:
        raise GraphError([*faults, *error.faults]) from None
    if "" in graph.index:
        faults = [*faults, empty_id(graph.index[""])]
    if faults:
        raise GraphError(faults)
    return graph


def find_graph(text: bytes, context: Context, may_block: bool = True) -> Graph:
    """The graph of a `graph` member: seen before, registered, or read now.

    Raises what `read_graph` does, GraphNotFound, and WouldBlock.
    """
    graph = context.graphs.get(text)
    if graph is not None:
        if graph.text is not None and graph.text.slow and not may_block:
            raise WouldBlock
        return graph
    if text[:1] == b'"':
        if context.find_graph is None:
            raise GraphNotFound
        if not may_block:
            raise WouldBlock
        try:
            name = msgspec.json.decode(text, type=str)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Unreadable from None
        text = context.find_graph(name)
        graph = context.graphs.get(text)
        if graph is not None:
            return graph
    if not may_block and b"for " in text:  # a loop: short to write, long to read
        raise WouldBlock
    graph = read_graph(text, context.limits)
    context.graphs.put(text, graph, _size(text, graph))
    return graph


def _size(text: bytes, graph: Graph) -> int:
    """What a graph counts for in the cache: a loop makes more of it than its text tells."""
    if graph.text is not None and graph.text.slow:
        return _UNROLLED_BYTES
    return max(len(text), _NODE_BYTES * len(graph))


def empty_id(position: int) -> Fault:
    """The fault of a node whose id is the empty string."""
    return Fault("invalid_request", "a node's id is empty", pointer=f"/nodes/{position}/id")


def control_characters(ids: Sequence[str]) -> list[Fault]:
    """A fault for every id with a control character in it."""
    return [
        Fault(
            "invalid_request",
            "a node's id has control characters in it",
            pointer=f"/nodes/{position}/id",
        )
        for position, name in enumerate(ids)
        if _CONTROL.search(name)
    ]


def _columns(nodes: list[Any], limits: Limits, faults: list[Fault]) -> tuple[GraphSpec, int]:
    """The nodes as columns, and how many members their objects have."""
    kinds = list(map(type, nodes))
    spec = GraphSpec(
        ids=list(map(_id, nodes)),
        ops=list(map(NAMES.__getitem__, kinds)),
        inputs=list(map(_inputs, nodes)),
    )
    members = 3 * len(nodes)
    present = set(kinds)
    if not LEAVES.isdisjoint(present):
        for position in compress(range(len(nodes)), map(LEAVES.__contains__, kinds)):
            node = nodes[position]
            members += count_members(node) - 3
            spec.leaves[position] = read_leaf(node, spec.ops[position], position, limits, faults)
    if not present.isdisjoint(WITH_ATTRIBUTES):
        for position in compress(range(len(nodes)), map(WITH_ATTRIBUTES.__contains__, kinds)):
            node = nodes[position]
            given = {}
            for name in WITH_ATTRIBUTES[kinds[position]]:
                value = getattr(node, name)
                if value is not UNSET:
                    given[name] = value
            if given:
                members += len(given)
                spec.attrs[position] = given
    return spec, members


def read_leaf(node: Any, op: str, position: int, limits: Limits, faults: list[Fault]) -> Leaf:
    """The leaf at `position`; what is wrong with it is appended to `faults`."""
    leaf = Leaf("input" if op == "input" else "constant")
    given = node.value
    if type(given) is float and node.shape is UNSET and node.dtype is UNSET:
        leaf.value = given
        return leaf
    place = f"/nodes/{position}"
    if isinstance(node.shape, list):
        leaf.shape = tuple(node.shape)
        faults += [
            Fault(
                "invalid_request",
                "a size is never negative",
                node=node.id,
                pointer=f"{place}/shape/{axis}",
            )
            for axis, size in enumerate(node.shape)
            if size < 0
        ]
    if isinstance(node.dtype, str):
        leaf.dtype = node.dtype
    if given is None or given is UNSET:
        return leaf
    try:
        leaf.value = read_tensor(given, f"{place}/value", limits)
        check_dtype(leaf.value, leaf.dtype, f"{place}/value")
    except GraphError as error:
        faults.extend(replace(fault, node=node.id) for fault in error.faults)
        leaf.value = 0.0
        return leaf
    if leaf.kind == "constant" and leaf.shape not in (None, np.shape(leaf.value)):
        shapes = (leaf.shape or (), np.shape(leaf.value))
        detail = f"constant '{node.id}' is declared {shapes[0]}, its value is {shapes[1]}"
        faults.append(
            Fault("shape_mismatch", detail, node=node.id, pointer=f"{place}/value", shapes=shapes)
        )
    return leaf


_RANGES = {"int64": (-(2.0**63), 2.0**63), "int32": (-(2.0**31), 2.0**31), "bool": (0.0, 2.0)}


def check_dtype(value: Any, dtype: str | None, pointer: str) -> None:
    """Raise GraphError (`dtype`) when numbers would be changed by becoming integers or bools."""
    if dtype not in _RANGES:
        return
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return
    low, high = _RANGES[dtype]
    with np.errstate(invalid="ignore"):
        fits = (array >= low) & (array < high) & (np.floor(array) == array)
    if not fits.all():
        _refuse_dtype(dtype, pointer)


def _refuse_dtype(dtype: str, pointer: str) -> NoReturn:
    what = "0 and 1, or true and false" if dtype == "bool" else f"integers of {dtype}"
    raise GraphError([Fault("dtype", f"values of dtype {dtype} are {what}", pointer=pointer)])
