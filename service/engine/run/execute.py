"""Running code on tensors, forward and back, by the way that suits it.

What follows from constants alone is worked out at the first run and kept with the code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from service.engine.code import Code
from service.engine.control import Control
from service.engine.namespaces import ARRAYS
from service.engine.run import choose
from service.engine.run.backward import pull_back
from service.engine.run.forward import run
from service.engine.run.tensors import Slots

MOST_FOLDED_BYTES = 16 * 1024 * 1024
"""Of what is kept of one code; what is beyond is computed every time."""


def forward(
    code: Code,
    inputs: Mapping[str, Any],
    *,
    keep: frozenset[int] | None = None,
    control: Control | None = None,
) -> Sequence[Any]:
    """The value of every slot, or with `keep` of those slots.

    `inputs` are NumPy arrays of the declared shapes and dtypes. Raises GraphError where a
    value is one that an operator refuses, DeadlineExceeded, Cancelled.
    """
    plan = choose.tensor_plan(code)
    if plan is not None:
        return plan.forward(inputs, control)
    if code.folded is None:
        folded = foldable(code)
        kept = None if keep is None else keep | set(folded)
        values = run(code, inputs, keep=kept, control=control)
        code.folded = {slot: values[slot] for slot in folded}
        return values
    return run(code, inputs, keep=keep, control=control, known=code.folded)


def backward(
    code: Code,
    values: Sequence[Any],
    cotangents: Mapping[int, Any],
    wanted: Collection[int],
    control: Control | None = None,
) -> dict[int, Any]:
    """`pull_back` over the values that `forward` gave."""
    if isinstance(values, Slots) and all(code.steps[slot].leaf for slot in wanted):
        return values.plan.gradients(values.memory, cotangents, wanted, control)
    with np.errstate(all="ignore"):
        return pull_back(ARRAYS, code, values, cotangents, wanted, control=control)


def foldable(code: Code) -> list[int]:
    """Slots that follow from constants alone, as many as may be kept."""
    known = bytearray(len(code.steps))
    found: list[int] = []
    room = MOST_FOLDED_BYTES
    for slot, step in enumerate(code.steps):
        if step.leaf:
            known[slot] = step.value is not None
        elif not step.specs and all(known[source] for source in step.inputs):
            room -= step.spec.nbytes
            if room < 0:
                break
            known[slot] = 1
            found.append(slot)
    return found
