"""Programs on tensors as compiled rows give what arrays give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine.compute import gradient, tensor_leaves
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.namespaces import ARRAYS
from service.engine.operators import REGISTRY
from service.engine.program import Program, program_for
from service.engine.registry import Example, Operator
from service.engine.run import choose, native, tensors
from service.engine.run.backward import pull_back
from service.engine.run.forward import run
from service.engine.run.opcodes import opcodes

OPERATORS = [op for op in REGISTRY if not op.internal and op.group != "leaf"]
SHAPES = [(), (3,), (2, 3), (2, 1), (4, 1, 3)]
_ROWS = (
    "vecdot outer tensordot einsum slice slice_into concat stack split unstack sum mean max min "
    "var std logsumexp matmul matrix_transpose diagonal diagonal_matrix trace tril triu mse l1 "
    "reshape broadcast_to sum_to expand_dims squeeze cast permute_dims flip moveaxis pad repeat "
    "tile batch_norm layer_norm"
)
"""Operators, beside the elementwise ones, that the rows have; others go by arrays."""


def examples(op: Operator) -> list[Example]:
    """The registration's examples, and for elementwise operators shapes that broadcast."""
    found = list(op.domain.examples)
    if op.elementwise:
        attrs = {name: a.default for name, a in op.attributes.items()}
        found += [
            Example(tuple(SHAPES[(i + j) % 5] for j in range(op.arity[0])), attrs) for i in range(5)
        ]
    return found


def program_of(op: Operator, example: Example, seed: int) -> tuple[Program, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    names = [f"x{i}" for i in range(len(example.shapes))]
    drawn: list[Any] = []
    for i, shape in enumerate(example.shapes):
        low, high = op.domain.ranges[min(i, len(op.domain.ranges) - 1)]
        whole = i < len(example.dtypes) and not example.dtypes[i].startswith("float")
        truth = op.group == "logic" or (op.name == "where" and i == 0)
        number = rng.integers(0, 2, shape) if whole else rng.uniform(low, high, shape)
        drawn.append(np.asarray(number) > (low + high) / 2 if truth else np.asarray(number))
    if op.domain.prepare is not None:
        drawn = list(op.domain.prepare(*drawn))
    spec = GraphSpec(
        [*names, "y"],
        ["input"] * len(names) + [op.name],
        [()] * len(names) + [names],
        {len(names): dict(example.attrs)} if example.attrs else {},
        {i: Leaf("input") for i in range(len(names))},
        "y" if op.outputs == 1 else "y.0",
    )
    inputs = dict(zip(names, drawn, strict=True))
    return program_for(resolve(spec), inputs), inputs


def held(program: Program, inputs: dict[str, Any], output: str) -> bool:
    """Compare values and gradients of the rows with those of arrays; False where none fit."""
    code = program.code
    plan = tensors.plan_of(code)
    if plan is None:
        return False
    leaves = tensor_leaves(program, inputs)
    arrays, rows = run(code, leaves), plan.forward(leaves)
    for slot, step in enumerate(code.steps):
        if not step.specs:
            one, other = np.asarray(rows[slot]), np.asarray(arrays[slot])
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            np.testing.assert_allclose(one, other, rtol=1e-14, atol=0, err_msg=step.operator.name)
    slot = program.slot(output)
    spec = code.steps[slot].spec
    if spec.floating:
        cotangent = np.random.default_rng(1).normal(size=spec.shape)
        wanted = [program.slot(name) for name in program.floating_inputs]
        with np.errstate(all="ignore"):
            expected = pull_back(ARRAYS, code, arrays, {slot: cotangent}, wanted)
        found = plan.gradients(rows.memory, {slot: cotangent}, wanted)
        assert found.keys() == expected.keys()
        for key, slopes in expected.items():
            np.testing.assert_allclose(found[key], slopes, rtol=1e-12, atol=1e-14)
    return True


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name)
def test_rows_give_what_arrays_give(op: Operator) -> None:
    fits = [
        held(*(made := program_of(op, example, seed)), made[0].outputs[0])
        for seed, example in enumerate(examples(op))
    ]
    elementwise = REGISTRY.codes[op.name] in {code for code, _ in opcodes().forward}
    assert any(fits) or not (elementwise or op.name in _ROWS.split())


PROGRAMS = {
    "a network": (
        "h = np.tanh(x @ w + b)\ny = np.sum((h * h).reshape(-1)[1:5]) + np.max(h) * np.mean(w)",
        {"x": (2, 3), "w": (3, 4), "b": (4,)},
    ),
    "parts that overlap": (
        "y = 0.0\nfor i in range(4):\n    y = y + np.sum(x[i:i + 3] * x[4:1:-1]) * x[i]",
        {"x": (8,)},
    ),
    "steps in time": (
        "v = x * 0.5\nfor t in range(9):\n"
        "    v = v + 0.1 * np.concatenate([x[:1], x[1:] * v[:-1]])\ny = v[-1]",
        {"x": (5,)},
    ),
    "rearranged": (
        "a = x.T[:, ::2]\nb = np.stack([x[0], x[1], x[2]]).sum(axis=0)[0]\n"
        "y = np.sum(a @ w.reshape(2, -1) * b)",
        {"x": (3, 4), "w": (4, 3)},
    ),
    "a shared factor and a tail of the sum": (
        "a = np.sum(x, axis=0)\n"
        "y = np.log(np.sum(np.exp(x - a))) + np.sum(x[1] ** 2 / (1 + a * a))",
        {"x": (6, 5)},
    ),
    "not reached": ("z = x[1] * 2\ny = np.sum(x[2:]) * 3 + 0 * z", {"x": (4,), "unused": (3,)}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_give_what_arrays_give(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, shapes = PROGRAMS[name]
    rng = np.random.default_rng(3)
    inputs = {key: rng.uniform(0.5, 1.5, shape) for key, shape in shapes.items() if key in text}
    graph = resolve(parse_expression(text))
    monkeypatch.setattr(choose, "LEAST_STEPS", 1)
    program = program_for(graph, inputs)
    assert choose.tensor_plan(program.code) is not None
    rows = gradient(program, inputs)
    assert repr(gradient(program, inputs)) == repr(rows)
    monkeypatch.setattr(native, "installed", lambda: False)
    other = program_for(resolve(parse_expression(text)), inputs)
    assert choose.tensor_plan(other.code) is None
    arrays = gradient(other, inputs)
    assert rows.values is not None
    assert arrays.values is not None
    for mine, theirs in ((rows.values, arrays.values), (rows.gradients, arrays.gradients)):
        assert list(mine) == list(theirs)
        for key, tensor in theirs.items():
            assert np.shape(mine[key]) == np.shape(tensor)
            np.testing.assert_allclose(mine[key], tensor, rtol=1e-13, atol=1e-14)


def test_what_is_not_finite_is_named_as_by_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a = np.log(x)\nb = a * 2\nc = np.sqrt(x - x)\ny = np.sum(b + c)"
    inputs = {"x": np.array([1.0, 0.0, 2.0])}
    monkeypatch.setattr(choose, "LEAST_STEPS", 1)
    found = []
    for installed in (True, False):
        monkeypatch.setattr(native, "installed", lambda installed=installed: installed)
        program = program_for(resolve(parse_expression(text)), inputs)
        assert (choose.tensor_plan(program.code) is not None) is installed
        found.append(gradient(program, inputs).warnings)
    assert found[0] == found[1]
    assert found[0]


def test_large_tensors_and_other_dtypes_go_by_arrays() -> None:
    graph = resolve(parse_expression("y = np.sum(x * x + x * x + x * x + x * x + x * x)"))
    small, large = np.ones(10), np.ones(2 * choose.MOST_ELEMENTS)
    assert choose.tensor_plan(program_for(graph, {"x": small}).code) is not None
    assert choose.tensor_plan(program_for(graph, {"x": large}).code) is None
    assert (
        choose.tensor_plan(program_for(graph, {"x": small.astype(np.float32)}, "float32").code)
        is None
    )
