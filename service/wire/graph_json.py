"""Graphs out: a `GraphSpec` in the form in which graphs are sent."""

from __future__ import annotations

import math
from typing import Any

from service.engine.graph_spec import GraphSpec, Leaf
from service.wire.answers import array_object, number


def graph_document(spec: GraphSpec, encoding: str = "json") -> dict[str, Any]:
    """The graph as nodes and output, ready for `service.wire.answers.encode`.

    A literal that JSON has no number for becomes a constant node.
    """
    nodes: list[dict[str, Any]] = []
    taken = set(spec.ids)
    constants: dict[str, str] = {}

    def reference(given: str | float) -> str | float:
        if isinstance(given, str) or math.isfinite(given):
            return given
        word = str(number(given))
        if word not in constants:
            name = {"NaN": "nan", "Infinity": "inf", "-Infinity": "minus_inf"}[word]
            while name in taken:
                name += "_"
            taken.add(name)
            constants[word] = name
            nodes.append({"id": name, "op": "constant", "value": word})
        return constants[word]

    for position, name in enumerate(spec.ids):
        node: dict[str, Any] = {"id": name, "op": spec.ops[position]}
        leaf = spec.leaves.get(position)
        if leaf is not None:
            node.update(_leaf_members(leaf, encoding))
        else:
            node["inputs"] = [reference(given) for given in spec.inputs[position]]
            for key, value in spec.attrs.get(position, {}).items():
                node[key] = _attribute(value)
        nodes.append(node)
    document: dict[str, Any] = {"nodes": nodes}
    if spec.output is not None:
        document["output"] = spec.output
    return document


def _leaf_members(leaf: Leaf, encoding: str) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if leaf.value is not None:
        members["value"] = array_object(leaf.value) if encoding == "base64" else leaf.value
    if leaf.shape is not None:
        members["shape"] = list(leaf.shape)
    if leaf.dtype is not None:
        members["dtype"] = leaf.dtype
    return members


def _attribute(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value
