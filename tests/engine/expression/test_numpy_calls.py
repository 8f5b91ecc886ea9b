"""Whatever is spelled as NumPy spells it means what NumPy means: NumPy itself is asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward
from service.engine.errors import GraphError, LimitExceeded
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for
from tests.engine.expression import numpy_calls
from tests.engine.expression.numpy_calls import MORE_THAN_NUMPY, REFUSED, Call

EACH = 30
"""Calls of every function: some five thousand in all."""
NEVER_ONE_VALUE = {"einsum", "empty", "empty_like", "linalg.lstsq"}
"""Not drawn: equations have a test of their own, what is empty has no value, and a solution is
one of four results."""
EXTENDED = {name for names in MORE_THAN_NUMPY for name in names.split()}
COUNTS = {"ndim", "size", "shape"}
"""Whole numbers, which the graph holds as floats, as it does those of numbers that are known."""


def _value(call: Call) -> np.ndarray:
    graph = resolve(parse_expression(call.text))
    inputs = {name: value for name, value in call.inputs.items() if name in graph.inputs}
    (value,) = forward(program_for(graph, inputs, "float64"), inputs).outputs.values()
    return np.asarray(value)


def _reading(name: str, call: Call) -> tuple[str, Any]:
    """How a call is read: as NumPy reads it, refused, or otherwise and how."""
    theirs, failed = None, None
    try:
        theirs = call.asked()
    except Exception as error:
        failed = error
    try:
        ours = _value(call)
    except (GraphError, LimitExceeded) as error:
        listed = any(re.search(words, str(error)) for words in REFUSED)
        if failed is None and not listed:
            return "otherwise", f"refused, and not in the document: {error}"
        return ("refused", None) if failed is None else ("refused by both", None)
    if failed is not None:
        return ("more", None) if name in EXTENDED else ("otherwise", f"NumPy: {failed}")
    if isinstance(theirs, tuple | list) and any(map(np.ndim, theirs)):
        return "otherwise", "several outputs as one value"
    theirs = np.asarray(theirs)
    if name == "linalg.eigh":  # vectors have no sign
        ours, theirs = np.abs(ours), np.abs(theirs)
    if ours.shape != theirs.shape:
        return "otherwise", f"shape {ours.shape}, NumPy's {theirs.shape}"
    kinds = ours.dtype.kind, theirs.dtype.kind
    exact = name in COUNTS or all(np.asarray(x).dtype != float for x in call.inputs.values())
    if kinds[0] != kinds[1] and not (kinds in (("f", "i"), ("f", "u")) and exact):
        return "otherwise", f"dtype {ours.dtype}, NumPy's {theirs.dtype}"
    same = np.allclose(ours.astype(float), theirs.astype(float), 1e-9, 1e-12, equal_nan=True)
    return ("read", None) if same else ("otherwise", f"{ours}, NumPy's {theirs}")


def _readings(name: str, calls: Iterable[Call]) -> Counter[str]:
    count: Counter[str] = Counter()
    for call in calls:
        reading, why = _reading(name, call)
        assert reading != "otherwise", f"{call.text} of {call.inputs}: {why}"
        count[reading] += 1
    return count


@pytest.mark.parametrize("name", numpy_calls.names())
def test_a_function_means_what_numpys_means(name: str) -> None:
    count = _readings(name, numpy_calls.calls(name, EACH, seed=len(name)))
    assert count["read"] or name in NEVER_ONE_VALUE, f"nothing is read of {name}: {count}"


@pytest.mark.parametrize("seed", range(4))
def test_operators_mean_what_numpys_mean(seed: int) -> None:
    assert _readings("operators", numpy_calls.operations(300, seed))["read"] > 150


@pytest.mark.parametrize("seed", range(4))
def test_subscripts_mean_what_numpys_mean(seed: int) -> None:
    assert _readings("subscripts", numpy_calls.subscripts(300, seed))["read"] > 150


ATTRIBUTES = [
    "A.T",
    "A.mT",
    "A.shape",
    "A.size * 1.0",
    "A.ndim * 1.0",
    "A.T.T",
    "A.T @ A",
    "A.T.sum(0)",
]


@pytest.mark.parametrize("text", ATTRIBUTES)
@pytest.mark.parametrize("shape", numpy_calls.SHAPES)
def test_attributes_mean_what_numpys_mean(text: str, shape: tuple[int, ...]) -> None:
    array = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    reading, why = _reading("ndim", Call(text, {"A": array}))
    assert reading != "otherwise", why


EQUATIONS = [
    "ij,jk->ik",
    "ij,ij->",
    "ii->i",
    "ii",
    "ij->ji",
    "...j,j->...",
    "i,j->ij",
    "bij,bjk->bik",
]


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("form", ["np.einsum('{}', {})", "einsum('{}', {}, optimize=True)"])
def test_equations_mean_what_numpys_mean(equation: str, form: str) -> None:
    draw = np.random.default_rng(1)
    terms = equation.split("->")[0].split(",")
    inputs = {
        label: draw.normal(size=[3] * len(term.replace("...", "xx")))
        for label, term in zip("AB", terms, strict=False)
    }
    reading, why = _reading("einsum", Call(form.format(equation, ", ".join(inputs)), inputs))
    assert reading == "read", why
