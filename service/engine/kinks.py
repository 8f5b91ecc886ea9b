"""Which nodes lie at a kink, where a second derivative is by convention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from service.engine.code import Code
from service.engine.compute import NotFinite, owners, tensor_leaves
from service.engine.program import Program
from service.engine.run.forward import run

_ROOM = 1e-13
_SHAKES = 2
_MOST = 5


def at_kinks(program: Program, inputs: Mapping[str, Any]) -> list[NotFinite]:
    """A warning for each of the first nodes at a kink.

    Their inputs are moved by some units in the last place: a selector that then takes
    another branch lies at a kink. norm(x)**2 at 0 has the Hessian 2I, but by the rules, with
    the slope 0 of norm there, it is 0.
    """
    code = program.code
    selectors = [slot for slot, step in enumerate(code.steps) if step.operator.branch is not None]
    if not selectors:
        return []
    rng = np.random.default_rng(0)
    leaves = tensor_leaves(program, inputs)
    here = _branches(code, leaves, selectors)
    changed: set[int] = set()
    for _ in range(_SHAKES):
        moved = {name: _moved(x, rng) for name, x in leaves.items()}
        there = _branches(code, moved, selectors)
        changed |= {s for s in selectors if not np.array_equal(here[s], there[s], equal_nan=True)}
    owner = owners(program)
    nodes = dict.fromkeys(owner[slot] for slot in sorted(changed))
    return [
        NotFinite(
            "kink",
            node,
            f"'{node}' lies at a kink: its slope there is by convention, and second derivatives "
            "through it are those of that slope",
        )
        for node in list(nodes)[:_MOST]
        if node is not None
    ]


def _moved(x: Any, rng: np.random.Generator) -> Any:
    array = np.asarray(x)
    if array.dtype.kind != "f":
        return x
    room = max(_ROOM, 4.0 * float(np.finfo(array.dtype).eps))
    size = np.abs(array)
    largest = float(np.max(size, initial=0.0, where=np.isfinite(size))) or 1.0
    by = np.where(size > 0.0, size, largest) * rng.standard_normal(array.shape)
    return (array + room * by).astype(array.dtype)[()]


def _branches(code: Code, leaves: Mapping[str, Any], selectors: list[int]) -> dict[int, Any]:
    values = run(code, leaves)
    found = {}
    with np.errstate(all="ignore"):
        for slot in selectors:
            step = code.steps[slot]
            assert step.operator.branch is not None
            inputs = (values[source] for source in step.inputs)
            found[slot] = np.asarray(step.operator.branch(values[slot], *inputs, **step.attrs))
    return found
