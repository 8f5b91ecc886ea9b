"""What people write is read, and means what it means to NumPy: values and gradients."""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward
from service.engine.derivatives import vjp
from service.engine.errors import GraphError
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for
from tests.engine.expression.corpus_lines import LINES, SHAPES
from tests.engine.expression.corpus_programs import PROGRAMS

STEP = 1e-6
OURS = LINES[LINES.index("sigmoid(x)") :]
"""Lines with the catalogue's own operators, which NumPy can't be asked about."""
LABELS = {"y_": np.array([1, 0, 2])}


def _texts() -> list[tuple[str, dict[str, Any]]]:
    lines = [(line, {**SHAPES, **LABELS}) for line in LINES]
    return lines + [(program.text, program.inputs) for program in PROGRAMS]


TEXTS = _texts()


def _inputs(text: str, given: dict[str, Any]) -> dict[str, Any]:
    """Values for the names of a text that it doesn't assign before they are read."""
    draw = np.random.default_rng(len(text))
    made = {}
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    for name, shape in given.items():
        if name not in names:
            continue
        if isinstance(shape, tuple):
            value = draw.normal(size=shape)
            made[name] = value if shape else float(value)
        else:
            made[name] = shape
    for name in ("z", "scale", "var"):
        if isinstance(made.get(name), float):
            made[name] = abs(made[name]) + 0.5
    return made


def _numpys(text: str, inputs: dict[str, Any]) -> Any:
    """What Python and NumPy come to: the last line's value, or the last name's."""
    *before, last = ast.parse(text).body
    space: dict[str, Any] = {"np": np, "numpy": np, "math": math}
    space |= {name: np.copy(v) if isinstance(v, np.ndarray) else v for name, v in inputs.items()}
    exec(compile(ast.Module(before, []), "text", "exec"), space)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "text", "eval"), space)
    exec(compile(ast.Module([last], []), "text", "exec"), space)
    while isinstance(last, ast.For):
        last = last.body[-1]
    target = last.targets[0] if isinstance(last, ast.Assign) else last.target  # type: ignore[attr-defined]
    while isinstance(target, ast.Subscript):
        target = target.value
    return space[target.id]


def _ours(text: str, inputs: dict[str, Any]) -> tuple[Any, Any, Any]:
    graph = resolve(parse_expression(text))
    given = {name: value for name, value in inputs.items() if name in graph.inputs}
    program = program_for(graph, given, "float64")
    (value,) = forward(program, given).outputs.values()
    return np.asarray(value), program, given


def _refusal(text: str, given: dict[str, Any]) -> GraphError | None:
    try:
        _ours(text, _inputs(text, given))
    except GraphError as error:
        return error
    return None


@pytest.mark.parametrize(("text", "given"), TEXTS, ids=[text[:60] for text, _ in TEXTS])
def test_values_and_gradients_are_numpys(text: str, given: dict[str, Any]) -> None:
    if text in OURS or _refusal(text, given) is not None:
        return  # counted below
    inputs = _inputs(text, given)
    value, program, given_inputs = _ours(text, inputs)
    theirs = np.asarray(_numpys(text, inputs))
    assert value.shape == theirs.shape
    np.testing.assert_allclose(
        value.astype(float), theirs.astype(float), rtol=1e-9, atol=1e-12, equal_nan=True
    )
    if value.dtype.kind != "f":
        return
    (output,) = program.graph.outputs
    gradients = vjp(program, given_inputs, {output: np.ones_like(value)}).gradients
    draw = np.random.default_rng(0)
    floating = [n for n in gradients if np.asarray(given_inputs.get(n, 0)).dtype.kind == "f"]
    floating = [name for name in floating if name in inputs]
    ways = {name: draw.normal(size=np.shape(inputs[name])) for name in floating}

    def along(step: float) -> float:
        moved = {name: inputs[name] + step * ways[name] for name in floating}
        return float(np.sum(_numpys(text, {**inputs, **moved})))

    expected = (along(STEP) - along(-STEP)) / (2 * STEP)
    found = sum(float(np.sum(np.asarray(gradients[name]) * ways[name])) for name in floating)
    assert found == pytest.approx(expected, rel=2e-5, abs=2e-5)


def test_the_corpus_is_large_and_nearly_all_of_it_is_read() -> None:
    refusals = {text: error for text, given in TEXTS if (error := _refusal(text, given))}
    assert len(TEXTS) >= 300
    assert len(refusals) <= 0.05 * len(TEXTS), list(refusals)
    for text, error in refusals.items():
        assert any(fault.hint for fault in error.faults), f"no hint for {text}: {error}"


@pytest.mark.parametrize("text", OURS)
def test_the_catalogues_own_operators_are_read_beside_numpys(text: str) -> None:
    assert _refusal(text, {**SHAPES, **LABELS}) is None
