"""Staged code runs as it stands, and gives the numbers that the engine gives."""

from __future__ import annotations

import ast
import warnings
from typing import Any

import numpy as np
import pytest

from service.engine.compute import gradient
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import Program, program_for
from service.engine.registry import Example, Operator
from service.explain.staged import staged
from tests.diagrams import circuits
from tests.engine.drawing import GATES, draw, examples, graph_of

CASES = [(op, example) for op in GATES for example in examples(op)]


def execute(code: str) -> dict[str, Any]:
    """Run staged code in an empty namespace."""
    scope: dict[str, Any] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        exec(compile(code, "staged", "exec"), scope)
    return scope


def check(program: Program, inputs: dict[str, Any], output: str, **more: Any) -> str:
    """Staged code against the engine: values and gradients of all inputs."""
    spec = program.spec(output)
    cotangent = np.ones(spec.shape, spec.dtype) if spec.shape else None
    found = staged(program, inputs, output=output, cotangent=cotangent, **more)
    scope = execute(found.code)
    truth = gradient(program, inputs, output=output, cotangent=cotangent)
    np.testing.assert_allclose(
        scope[found.variables[output]], truth.value, rtol=1e-9, atol=1e-12, equal_nan=True
    )
    for name, expected in truth.gradients.items():
        np.testing.assert_allclose(
            scope[found.gradients[name]], expected, rtol=1e-7, atol=1e-10, equal_nan=True
        )
        assert np.shape(scope[found.gradients[name]]) == np.shape(expected), name
    return found.code


@pytest.mark.parametrize("name", circuits.NAMED)
def test_circuits_run_and_agree(name: str) -> None:
    program = circuits.NAMED[name]()
    check(program, {}, program.outputs[0])


@pytest.mark.parametrize(
    ("op", "example"), CASES, ids=[f"{op.name}-{i}" for i, (op, _) in enumerate(CASES)]
)
def test_every_operator_is_written_and_agrees(op: Operator, example: Example) -> None:
    arrays = draw(op, example, seed=3)
    inputs = {f"x{i}": a if a.ndim else a[()] for i, a in enumerate(map(np.asarray, arrays))}
    program = program_for(graph_of(op, example, arrays), inputs)
    output = program.outputs[0]
    if not program.spec(output).floating:
        program = as_numbers(op, example, arrays, inputs)
        output = "number"
    check(program, inputs, output)


def as_numbers(
    op: Operator, example: Example, arrays: list[Any], inputs: dict[str, Any]
) -> Program:
    """The operator with a cast behind it, so that there is something to differentiate."""
    names = list(inputs)
    rows = [("y", op.name, *names, dict(example.attrs)), ("number", "cast", "y", FLOAT)]
    return circuits.program(inputs, *rows, output="number")


FLOAT = {"dtype": "float64"}


def test_the_staged_example_reads_like_the_notes() -> None:
    program = circuits.staged()
    lines = staged(program, {}).code.splitlines()
    stripped = [line.split("#")[0].rstrip() for line in lines]
    for line in (
        "sigy = 1.0 / (1.0 + np.exp(-y))",
        "xpysqr = xpy ** 2",
        "invden = 1.0 / den",
        "f = num * invden",
        "dnum = df * invden",
        "dxpy = dxpysqr * (2.0 * xpy)",
        "dx = 1.0 * dxpy",
        "dx += dsigx * (sigx * (1 - sigx))",
        "dy += dsigy * (sigy * (1 - sigy))",
    ):
        assert line in stripped, line
    assert "# backprop f = num * invden" in lines
    assert next(line for line in lines if line.startswith("f = ")).endswith("#(8)")
    assert next(line for line in lines if line.startswith("dnum = ")).endswith("#(8)")


def test_a_branch_adds_and_does_not_write_through() -> None:
    x = np.array([1.0, 2.0])
    program = circuits.program(
        {"x": x},
        ("a", "identity", "x"),
        ("b", "add", "a", "x"),
        ("c", "multiply", "b", "a"),
        ("f", "sum", "c"),
    )
    code = check(program, {}, "f")
    assert "dx += " in code


def test_views_are_copied_before_something_is_added() -> None:
    x = np.arange(6.0).reshape(2, 3)
    program = circuits.program(
        {"x": x},
        ("r", "reshape", "x", {"shape": [3, 2]}),
        ("t", "matrix_transpose", "r"),
        ("p", "multiply", "t", "x"),
        ("q", "reshape", "x", {"shape": [6]}),
        ("s", "sum", "q"),
        ("u", "sum", "p"),
        ("f", "multiply", "u", "s"),
    )
    check(program, {}, "f")


@pytest.mark.parametrize(
    "part",
    ["1:3, ..., 0:2", "..., 1:", "0:2, ..., -1", "1, ..., ::2", "..., :2, 0"],
)
def test_slices_from_both_ends_are_written_in_their_places(part: str) -> None:
    x = np.arange(24.0).reshape(4, 3, 2)
    program = program_for(resolve(parse_expression(f"y = x[{part}]\nf = sum(y * y)")), {"x": x})
    check(program, {"x": x}, "f")


@pytest.mark.parametrize(
    "names", [("class", "lambda"), ("a b", "a-b"), ("1x", "é"), ("np", "x"), ("x", "dx")]
)
def test_any_names_become_variables(names: tuple[str, str]) -> None:
    a, b = names
    program = circuits.program(
        {a: 2.0, b: 3.0}, ("p", "multiply", a, b), ("dp", "exp", "p"), ("f", "add", "dp", a)
    )
    check(program, {}, "f")


def test_careful_numbers_divide_by_zero_like_numpy() -> None:
    program = circuits.program({"x": 0.0}, ("f", "reciprocal", "x"))
    found = staged(program, {}, careful=True)
    scope = execute(found.code)
    assert scope["f"] == np.inf
    assert scope["dx"] == -np.inf


def test_large_inputs_are_not_written_out() -> None:
    x = np.zeros((300, 200))
    program = circuits.program({"x": x}, ("f", "sum", "x"))
    found = staged(program, {})
    assert len(found.code) < 2000
    assert found.stand_ins == ["x"]
    assert execute(found.code)["dx"].shape == (300, 200)


def test_inputs_without_a_path_have_zero_gradients() -> None:
    program = circuits.program({"x": 2.0, "y": np.ones(3)}, ("f", "exp", "x"), output="f")
    scope = execute(staged(program, {}).code)
    assert np.array_equal(scope["dy"], np.zeros(3))


def test_the_code_is_python_that_uses_numpy_alone() -> None:
    for make in circuits.NAMED.values():
        tree = ast.parse(staged(make(), {}).code)
        modules = {
            name.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for name in node.names
        }
        assert modules <= {"numpy", "math"}


def test_float32_stays_float32() -> None:
    graph = circuits.network().graph
    program = program_for(graph, {}, dtype="float32")
    scope = execute(staged(program, {}).code)
    assert scope["dW1"].dtype == np.float32
