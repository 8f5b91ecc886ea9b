"""Graphs for tests, written as in the API, without going through the wire."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf


def spec_of(nodes: list[dict[str, Any]], output: str | list[str] | None = None) -> GraphSpec:
    """A GraphSpec from nodes as dicts with id, op, inputs and attributes."""
    spec = GraphSpec([], [], [], output=output)
    for position, node in enumerate(nodes):
        rest = dict(node)
        spec.ids.append(rest.pop("id"))
        spec.ops.append(rest.pop("op"))
        spec.inputs.append(rest.pop("inputs", ()))
        if spec.ops[-1] in ("input", "constant"):
            value = rest.get("value")
            if isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if isinstance(value, list):
                value = np.asarray(value, dtype=float)
            spec.leaves[position] = Leaf(
                spec.ops[-1],
                value,
                rest.get("shape"),
                rest.get("dtype"),  # type: ignore[arg-type]
            )
        elif rest:
            spec.attrs[position] = rest
    return spec


def graph_from(nodes: list[dict[str, Any]], output: str | list[str] | None = None) -> Graph:
    """The resolved graph of `nodes`."""
    return resolve(spec_of(nodes, output))


def leaf(name: str, value: Any = None) -> dict[str, Any]:
    """An input node."""
    return {"id": name, "op": "input", "value": value}


def node(name: str, op: str, *inputs: str | float, **attrs: Any) -> dict[str, Any]:
    """A computed node."""
    return {"id": name, "op": op, "inputs": list(inputs), **attrs}
