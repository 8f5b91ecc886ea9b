"""Drawing inputs for an operator from its registration, and running it as a graph of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.registry import REGISTRY, Example, Operator

GATES = [op for op in REGISTRY if not op.internal and op.group != "leaf"]


def examples(op: Operator) -> list[Example]:
    """The calls an operator is tested with: its own examples, or broadcasting shapes."""
    if op.domain.examples:
        return list(op.domain.examples)
    if not op.elementwise:
        raise AssertionError(f"operator {op.name} has no examples to be tested with")
    count = max(len(op.inputs), 2 if op.variadic else 0)
    cycles: list[tuple[tuple[int, ...], ...]] = [
        ((), (), ()),
        ((3,), (3,), (3,)),
        ((2, 3), (3,), (2, 1)),
        ((), (2, 2), (2,)),
        ((4, 1, 2), (3, 1), (1,)),
    ]
    return [Example(shapes[:count]) for shapes in cycles]


def draw(op: Operator, example: Example, seed: int, dtype: str = "float64") -> list[Any]:
    """Inputs in the operator's domain, away from its kinks."""
    rng = np.random.default_rng(seed)
    inputs: list[Any] = []
    for place, shape in enumerate(example.shapes):
        low, high = op.domain.ranges[min(place, len(op.domain.ranges) - 1)]
        kind = example.dtypes[place] if place < len(example.dtypes) else "float64"
        if kind.startswith("int"):
            inputs.append(rng.integers(0, example.integers, shape))
            continue
        if kind == "bool" or (op.group == "logic") or (op.name == "where" and place == 0):
            inputs.append(rng.random(shape) > 0.5)
            continue
        x = rng.uniform(low, high, shape)
        for kink in op.domain.avoid:
            near = np.abs(x - kink) < 0.05
            x = np.where(near, kink + np.where(x >= kink, 0.1, -0.1), x)
        if op.domain.distinct:
            # Spread the values over their ranks: no two inputs come near a tie.
            ranks = np.argsort(np.argsort(rng.random(x.size))).reshape(shape)
            x = 0.3 * ranks + 0.1 * place + 0.0 * x
        inputs.append(x.astype(dtype))
    if op.domain.prepare is not None:
        inputs = [np.asarray(x) for x in op.domain.prepare(*inputs)]
        inputs = [x.astype(dtype) if x.dtype.kind == "f" else x for x in inputs]
    return inputs


def graph_of(op: Operator, example: Example, inputs: list[Any]) -> Graph:
    """A graph with the operator alone; its outputs are those of the operator."""
    names = [f"x{place}" for place in range(len(inputs))]
    leaves = {
        place: Leaf("input", dtype=None if x.dtype.kind == "f" else str(x.dtype))
        for place, x in enumerate(map(np.asarray, inputs))
    }
    spec = GraphSpec(
        ids=[*names, "y"],
        ops=["input"] * len(names) + [op.name],
        inputs=[()] * len(names) + [names],  # type: ignore[list-item]
        attrs={len(names): dict(example.attrs)},
        leaves=leaves,
        output="y",
    )
    return resolve(spec)
