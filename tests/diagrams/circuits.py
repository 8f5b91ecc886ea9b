"""Graphs to draw: the note's circuits, a two-layer network, large ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.program import Program, program_for

Row = tuple[Any, ...]


def program(leaves: dict[str, Any], *rows: Row, output: str | list[str] | None = None) -> Program:
    """A program from leaves with values and rows of (id, op, input, ..., attributes?)."""
    spec = GraphSpec([], [], [], output=output)
    for name, value in leaves.items():
        spec.leaves[len(spec.ids)] = Leaf("input", value)
        spec.ids.append(name)
        spec.ops.append("input")
        spec.inputs.append(())
    for name, op, *inputs in rows:
        if isinstance(inputs[-1], dict):
            spec.attrs[len(spec.ids)] = inputs.pop()
        spec.ids.append(name)
        spec.ops.append(op)
        spec.inputs.append(inputs)
    return program_for(resolve(spec), {})


def product() -> Program:
    return program(
        {"x": -2.0, "y": 5.0, "z": -4.0}, ("q", "add", "x", "y"), ("f", "multiply", "q", "z")
    )


def neuron() -> Program:
    return program(
        {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0},
        ("_1", "multiply", "w0", "x0"),
        ("_2", "multiply", "w1", "x1"),
        ("_3", "add", "_1", "_2"),
        ("_4", "add", "_3", "w2"),
        ("_5", "multiply", "_4", -1.0),
        ("_6", "exp", "_5"),
        ("_7", "add", "_6", 1.0),
        ("f", "reciprocal", "_7"),
    )


def staged() -> Program:
    return program(
        {"x": 3.0, "y": -4.0},
        ("sigy", "sigmoid", "y"),
        ("num", "add", "x", "sigy"),
        ("sigx", "sigmoid", "x"),
        ("xpy", "add", "x", "y"),
        ("xpysqr", "pow", "xpy", 2.0),
        ("den", "add", "sigx", "xpysqr"),
        ("invden", "divide", 1.0, "den"),
        ("f", "multiply", "num", "invden"),
    )


def patterns() -> Program:
    return program(
        {"x": 3.0, "y": -4.0, "z": 2.0, "w": -1.0},
        ("_1", "multiply", "x", "y"),
        ("_2", "maximum", "z", "w"),
        ("_3", "add", "_1", "_2"),
        ("f", "multiply", "_3", 2.0),
    )


def network() -> Program:
    rng = np.random.default_rng(0)
    return program(
        {
            "X": rng.normal(size=(4, 3)),
            "W1": rng.normal(size=(3, 5)),
            "b1": np.zeros(5),
            "W2": rng.normal(size=(5, 2)),
            "b2": np.zeros(2),
            "t": rng.normal(size=(4, 2)),
        },
        ("a1", "matmul", "X", "W1"),
        ("z1", "add", "a1", "b1"),
        ("h", "relu", "z1"),
        ("a2", "matmul", "h", "W2"),
        ("scores", "add", "a2", "b2"),
        ("diff", "subtract", "scores", "t"),
        ("sq", "square", "diff"),
        ("loss", "mean", "sq"),
    )


def random_circuit(nodes: int, seed: int = 0) -> Program:
    """A graph of `nodes` nodes, an eighth of them leaves, most inputs from nearby."""
    rng = random.Random(seed)
    leaves = {f"x{i}": rng.uniform(-2, 2) for i in range(max(2, nodes // 8))}
    names = list(leaves)
    rows: list[Row] = []
    while len(names) < nodes:
        name = f"n{len(names)}"
        near = names[-24:]
        op = rng.choice(["add", "multiply", "tanh", "sigmoid", "subtract", "maximum"])
        count = 1 if op in ("tanh", "sigmoid") else 2
        rows.append((name, op, *(rng.choice(near) for _ in range(count))))
        names.append(name)
    return program(leaves, *rows, output=names[-1])


NAMED: dict[str, Callable[[], Program]] = {
    "product": product,
    "neuron": neuron,
    "staged": staged,
    "patterns": patterns,
    "network": network,
    "large": lambda: random_circuit(200),
}
