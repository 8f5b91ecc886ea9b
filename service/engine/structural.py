"""Linear code run so that a structural zero is not multiplied by infinity.

What a seed (a cotangent, a tangent) cannot reach has derivative 0, whatever slopes lie on
the way: an output that was not asked for, an element of the basis that is zero, the branch
of a `where` that was not taken. IEEE arithmetic makes NaN of 0 * inf there. So beside every
value that a seed reaches its support is carried: where that is zero, the value is.

A zero that is only the product of numbers (sqrt(x) * sqrt(x) at 0) is none of structure:
its NaN stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np

from service.engine.code import Code, Step
from service.engine.control import Control
from service.engine.namespaces import ARRAYS
from service.engine.operators import REGISTRY

_INPUT, _CONSTANT = REGISTRY["input"], REGISTRY["constant"]
_SUBTRACT, _ADD = REGISTRY["subtract"], REGISTRY["add"]


def run_structural(
    code: Code, inputs: Mapping[str, Any], seeds: Collection[str], control: Control | None = None
) -> list[Any]:
    """The value of every slot of `code`, which is linear in the inputs named `seeds`."""
    rng = np.random.default_rng(0)
    values: list[Any] = []
    supports: list[Any] = []
    fixed: list[bool] = []
    with np.errstate(all="ignore"):
        for step in code.steps:
            if control is not None:
                control.check()
            if step.operator is _INPUT:
                value = inputs[step.name]  # type: ignore[index]
                values.append(value)
                supports.append(_drawn(value, rng) if step.name in seeds else None)
                fixed.append(False)
                continue
            fixed.append(all(fixed[source] for source in step.inputs))
            if step.operator is _CONSTANT:
                values.append(step.value)
                supports.append(None)
                continue
            own = [values[source] for source in step.inputs]
            reached = [supports[source] for source in step.inputs]
            value = ARRAYS.function(step.operator)(*own, **step.attrs)
            support = None
            if any(one is not None for one in reached):
                known = [fixed[source] for source in step.inputs]
                support = _support(step, own, reached, known, rng)
                value = _masked(value, support)
            values.append(value)
            supports.append(support)
    return values


def _support(
    step: Step, own: list[Any], reached: list[Any], known: list[bool], rng: np.random.Generator
) -> Any:
    """Where the step's result can depend on a seed: positive numbers there, 0 elsewhere.

    The step itself is run on the supports, and on ones for the floating numbers that no
    seed reaches, unless they are constants of the graph. The numbers are drawn anew for
    each, so that none cancel by chance.
    """
    stand = [
        one if one is not None else x if same else _one(x)
        for one, x, same in zip(reached, own, known, strict=True)
    ]
    operator = _ADD if step.operator is _SUBTRACT else step.operator
    return _drawn(ARRAYS.function(operator)(*stand, **step.attrs), rng)


def _one(x: Any) -> Any:
    return np.ones_like(x) if np.asarray(x).dtype.kind == "f" else x


def _drawn(x: Any, rng: np.random.Generator) -> Any:
    if isinstance(x, tuple):
        return tuple(_drawn(part, rng) for part in x)
    x = np.asarray(x)
    return np.where(x != 0, rng.uniform(1.0, 2.0, x.shape), 0.0).astype(x.dtype)[()]


def _masked(value: Any, support: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_masked, value, support))
    return np.where(support != 0, value, np.zeros_like(value))[()]


def all_finite(tensors: Iterable[Any]) -> bool:
    """Whether none of the tensors holds NaN or an infinity; None and tuples are passed over."""
    return all(
        isfinite(t) if isinstance(t, float) else bool(np.all(np.isfinite(t)))
        for t in tensors
        if t is not None and not isinstance(t, tuple)
    )
