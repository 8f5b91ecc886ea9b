"""Every operator of the registry, differentiated and compared with central differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine.code import Code
from service.engine.compute import document_names, tensor_leaves
from service.engine.namespaces import ARRAYS
from service.engine.program import program_for
from service.engine.registry import REGISTRY, Example, Operator
from service.engine.run.backward import pull_back
from service.engine.run.forward import run
from service.engine.trace import Builder, Traced
from service.engine.transform import finished, replay, trace_pull_back
from tests.engine.drawing import GATES, draw, examples, graph_of

CASES = [
    pytest.param(op, example, id=f"{op.name}-{number}")
    for op in GATES
    if not op.internal
    for number, example in enumerate(examples(op))
]


def program_code(op: Operator, example: Example, inputs: list[Any], dtype: str = "float64") -> Any:
    graph = graph_of(op, example, inputs)
    given = {f"x{place}": np.asarray(x) for place, x in enumerate(inputs)}
    program = program_for(graph, given, dtype)
    return (
        program.code,
        tensor_leaves(program, given),
        [
            slot
            for name, slot in document_names(program)
            if name not in given and program.code.steps[slot].spec.floating
        ],
    )


def contracted(code: Code, leaves: dict[str, Any], weights: dict[int, Any]) -> float:
    values = run(code, leaves)
    return float(sum(np.sum(values[slot] * w) for slot, w in weights.items()))


def gradients(code: Code, leaves: dict[str, Any], weights: dict[int, Any]) -> dict[str, Any]:
    values = run(code, leaves)
    wanted = {n: s for n, s in code.inputs.items() if code.steps[s].spec.floating}
    with np.errstate(all="ignore"):
        found = pull_back(ARRAYS, code, values, weights, wanted.values())
    return {
        name: np.asarray(found.get(slot, np.zeros(spec.shape, spec.dtype)))
        for name, slot in wanted.items()
        for spec in [code.steps[slot].spec]
    }


def differences(
    code: Code, leaves: dict[str, Any], weights: dict[int, Any], name: str, step: float = 1e-5
) -> Any:
    """Central differences of the contracted output in every element of one input."""
    x = np.array(leaves[name], dtype=np.float64)
    slope = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        sides = []
        for sign in (1.0, -1.0):
            moved = x.copy()
            moved[place] += sign * step
            sides.append(contracted(code, {**leaves, name: moved[()]}, weights))
        slope[place] = (sides[0] - sides[1]) / (2 * step)
    return slope


def agree(found: Any, expected: Any, scale: float = 1.0) -> None:
    assert found.shape == expected.shape
    bound = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(found, expected, rtol=2e-6 * scale, atol=2e-7 * bound * scale)


def drawn_weights(code: Code, slots: list[int], seed: int) -> dict[int, Any]:
    rng = np.random.default_rng(seed)
    return {
        slot: rng.uniform(0.5, 1.5, code.steps[slot].spec.shape).astype(
            code.steps[slot].spec.dtype
        )[()]
        for slot in slots
    }


@pytest.mark.parametrize(("op", "example"), CASES)
def test_gradient_agrees_with_central_differences(op: Operator, example: Example) -> None:
    code, leaves, slots = program_code(op, example, draw(op, example, 1))
    if not slots or not op.differentiable:
        return
    weights = drawn_weights(code, slots, 2)
    for name, found in gradients(code, leaves, weights).items():
        agree(found, differences(code, leaves, weights, name))


@pytest.mark.parametrize(("op", "example"), CASES)
def test_second_derivative_agrees_with_differences_of_the_first(
    op: Operator, example: Example
) -> None:
    """The rules are traced to code; that code is differentiated like any other."""
    code, leaves, slots = program_code(op, example, draw(op, example, 3))
    if not slots or not op.differentiable:
        return
    weights = drawn_weights(code, slots, 4)
    builder = Builder(share=True)
    values = replay(builder, code)
    cotangents = {slot: builder.constant(w, code.steps[slot].spec) for slot, w in weights.items()}
    wanted = {n: s for n, s in code.inputs.items() if code.steps[s].spec.floating}
    traced = trace_pull_back(builder, code, values, cotangents, list(wanted.values()))
    results: dict[str, Traced] = {f"d{n}": t for n, t in zip(wanted, traced, strict=True)}
    gradient_code = finished(builder, results, builder._limits)
    eager = gradients(code, leaves, weights)
    ran = run(gradient_code, leaves)
    for name in wanted:
        np.testing.assert_allclose(
            ran[gradient_code.names[f"d{name}"]], eager[name], rtol=1e-12, atol=1e-13
        )
    outer = drawn_weights(gradient_code, [gradient_code.names[n] for n in results], 5)
    for name, found in gradients(gradient_code, leaves, outer).items():
        agree(found, differences(gradient_code, leaves, outer, name), scale=10.0)


@pytest.mark.parametrize(("op", "example"), CASES)
def test_single_precision_gradient_is_the_double_one_rounded(
    op: Operator, example: Example
) -> None:
    inputs = draw(op, example, 1, "float32")
    code, leaves, slots = program_code(op, example, inputs, "float32")
    if not slots or not op.differentiable:
        return
    weights = drawn_weights(code, slots, 2)
    single = gradients(code, leaves, weights)
    double_code, double_leaves, _ = program_code(op, example, inputs)
    double = gradients(
        double_code,
        double_leaves,
        {s: np.float64(w) if np.ndim(w) == 0 else w.astype(np.float64) for s, w in weights.items()},
    )
    for name, found in single.items():
        assert found.dtype == code.steps[code.inputs[name]].spec.dtype
        bound = max(1.0, float(np.max(np.abs(double[name]), initial=0.0)))
        np.testing.assert_allclose(found, double[name], rtol=1e-3, atol=1e-4 * bound)


@pytest.mark.parametrize(("op", "example"), CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_result_has_the_inferred_shape_and_dtype(
    op: Operator, example: Example, dtype: str
) -> None:
    code, leaves, _ = program_code(op, example, draw(op, example, 7, dtype), dtype)
    for value, step in zip(run(code, leaves), code.steps, strict=True):
        if isinstance(value, tuple):
            continue
        assert np.shape(value) == step.spec.shape, step.operator.name
        assert str(np.asarray(value).dtype) == step.spec.dtype, step.operator.name


@pytest.mark.parametrize(("op", "example"), CASES)
def test_rules_emit_only_operators_that_have_rules(op: Operator, example: Example) -> None:
    """Closure: derivatives of any order stay inside the catalogue."""
    code, _, slots = program_code(op, example, draw(op, example, 3))
    if not slots or not op.differentiable:
        return
    builder = Builder(share=True)
    values = replay(builder, code)
    cotangents = {slot: builder.input(f"c{slot}", code.steps[slot].spec) for slot in slots}
    wanted = [s for s in code.inputs.values() if code.steps[s].spec.floating]
    trace_pull_back(builder, code, values, cotangents, wanted)
    for step in builder.code.steps:
        used = step.operator
        assert used.name in REGISTRY
        if used.differentiable and used.group != "leaf":
            assert used.vjp is not None, used.name
