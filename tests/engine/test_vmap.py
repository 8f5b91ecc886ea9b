"""A batch of points gives, for every operator, what its points give one by one."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from service.engine.compute import document_names, tensor_leaves
from service.engine.program import program_for
from service.engine.registry import REGISTRY, Example, Operator
from service.engine.run.forward import run
from service.engine.vmap import batched, way
from tests.engine.drawing import GATES, draw, examples, graph_of

CASES = [
    pytest.param(op, example, flags, id=f"{op.name}-{number}-{flags}")
    for op in GATES
    if not op.internal
    for number, example in enumerate(examples(op))
    for flags in product((True, False), repeat=len(example.shapes))
    if any(flags)
]
SIZE = 3


@pytest.mark.parametrize(("op", "example", "flags"), CASES)
def test_batch_equals_its_points(op: Operator, example: Example, flags: tuple[bool, ...]) -> None:
    points = [draw(op, example, seed) for seed in range(SIZE)]
    for place, flag in enumerate(flags):
        if not flag:
            for point in points:
                point[place] = points[0][place]
    graph = graph_of(op, example, points[0])
    one = {f"x{place}": np.asarray(x) for place, x in enumerate(points[0])}
    program = program_for(graph, one)
    results = {n: s for n, s in document_names(program) if n not in one}
    carried = [f"x{place}" for place, flag in enumerate(flags) if flag]
    code = batched(program.code, results, carried, SIZE)
    given: dict[str, Any] = {
        name: np.stack([np.asarray(p[place]) for p in points])
        if name in carried
        else np.asarray(points[0][place])
        for place, name in enumerate(one)
    }
    found = run(code, given)
    for number, point in enumerate(points):
        leaves = tensor_leaves(program, {f"x{i}": np.asarray(x) for i, x in enumerate(point)})
        expected = run(program.code, leaves)
        for name, slot in results.items():
            got = np.asarray(found[code.names[name]])[number]
            np.testing.assert_allclose(got, expected[slot], rtol=1e-12, atol=1e-13)


def test_no_operator_goes_point_by_point() -> None:
    assert [op.name for op in REGISTRY if way(op) == "point by point" and not op.internal] == []
