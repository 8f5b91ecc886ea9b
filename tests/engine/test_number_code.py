"""Every elementwise operator on plain numbers: what NumPy gives, forward and by its rules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.engine.namespaces import ARRAYS, exact
from service.engine.operators import REGISTRY
from service.engine.registry import Operator
from service.engine.run.floats import RAISED, exact_parts
from service.engine.run.number_code import backward_function, forward_function, split

NUMBERS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.0, -3.7, 40.0, 1e-9, 800.0, -800.0, 1e300]
NUMBERS += [math.inf, -math.inf, math.nan]
OPERATORS = [op for op in REGISTRY if op.elementwise and op.forward is not None]


def variants(op: Operator) -> list[dict[str, object]]:
    """The default attributes, and each choice, bound and number changed by itself."""
    default = {name: a.default for name, a in op.attributes.items()}
    found = [default]
    for name, attribute in op.attributes.items():
        others = {"bool": (True,), "int": (2,)}.get(attribute.kind, (0.75, -0.25))
        found += [default | {name: value} for value in attribute.choices or others]
    if {"min", "max"} <= default.keys():
        found += [{"min": -0.5, "max": 0.7}, {"min": 1.0, "max": -1.0}]
    return found


def close(one: float, other: float) -> bool:
    """Within 16 units in the last place: a rule may cancel some. Infinities and NaN are equal."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) == math.isnan(other)
    if one == other:
        return True
    return abs(one - other) <= 16 * max(math.ulp(one), math.ulp(other))


def points(op: Operator) -> list[tuple[float, ...]]:
    count = op.arity[0]
    if op.group == "logic":
        return [(a, b)[:count] for a in (True, False) for b in (True, False)]
    if op.name == "where":
        return [(c, a, b) for c in (True, False) for a in NUMBERS[::3] for b in NUMBERS[::3]]
    if count == 1:
        return [(x,) for x in NUMBERS]
    pairs = [(a, b) for a in NUMBERS for b in NUMBERS]
    # NumPy takes the square root for a power of 0.5, which C and IEEE 754 do not at -inf.
    return [(a, b) for a, b in pairs if (op.name, a) != ("pow", -math.inf) or b % 1.0 == 0.0]


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name)
def test_numbers_give_what_arrays_give(op: Operator) -> None:
    code = REGISTRY.codes[op.name]
    for attrs in variants(op):
        shape, numbers = split(op, attrs)
        for xs in points(op):
            try:
                y = forward_function(code, len(xs), shape)(*xs, *numbers)
            except RAISED:
                y = exact(op, *xs, **attrs)
            assert close(y, exact(op, *xs, **attrs)), (attrs, xs)
            for index in range(len(xs)):
                rule = op.rule(index) if op.differentiable else None
                if rule is None:
                    continue
                back = backward_function(code, len(xs), (index,), shape)
                for g in (1.5, -0.0):
                    (expected,) = exact_parts(op, (index,), attrs, g, y, *xs)
                    try:
                        part = back(g, y, *xs, *numbers)
                    except RAISED:
                        continue
                    assert close(part, expected), (attrs, xs, index, part, expected)


def test_every_elementwise_operator_is_registered_with_its_expression() -> None:
    assert [op.name for op in OPERATORS if not op.scalar] == []
    assert np.isclose(
        ARRAYS.gelu(1.0),
        forward_function(REGISTRY.codes["gelu"], 1, (("approximate", "none"),))(1.0),
    )
