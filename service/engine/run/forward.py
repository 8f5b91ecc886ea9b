"""The forward sweep over straight-line code, with NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from service.engine.code import Code
from service.engine.control import Control
from service.engine.errors import Fault, GraphError, OperatorError
from service.engine.namespaces import ARRAYS
from service.engine.registry import REGISTRY

_INPUT, _CONSTANT = REGISTRY["input"], REGISTRY["constant"]


def last_readers(code: Code) -> list[list[int]]:
    """For each slot the slots that are read there for the last time."""
    dying: list[list[int]] = [[] for _ in code.steps]
    seen = bytearray(len(code.steps))
    for slot in range(len(code.steps) - 1, -1, -1):
        for source in code.steps[slot].inputs:
            if not seen[source]:
                seen[source] = 1
                dying[slot].append(source)
    return dying


def run(
    code: Code,
    inputs: Mapping[str, Any],
    *,
    keep: frozenset[int] | None = None,
    control: Control | None = None,
    known: Mapping[int, Any] | None = None,
) -> list[Any]:
    """The value of every slot. `inputs`: NumPy arrays of the declared shapes and dtypes.

    With `keep`, only those slots are sure to be there in the end: the others are freed
    as soon as their last reader is done. Raises GraphError where a value (a label out of
    range, say) is one that an operator refuses. Slots that are `known` are not computed.
    """
    values: list[Any] = [None] * len(code.steps)
    dying = last_readers(code) if keep is not None else None
    with np.errstate(all="ignore"):
        for slot, step in enumerate(code.steps):
            op = step.operator
            if known is not None and slot in known:
                values[slot] = known[slot]
            elif op is _INPUT:
                assert step.name is not None
                values[slot] = inputs[step.name]
            elif op is _CONSTANT:
                values[slot] = step.value
            else:
                if control is not None:
                    control.check()
                try:
                    values[slot] = ARRAYS.function(op)(
                        *[values[source] for source in step.inputs], **step.attrs
                    )
                except (OperatorError, np.linalg.LinAlgError) as error:
                    if code.placed is not None and isinstance(error, OperatorError):
                        raise GraphError([code.placed(error, slot)]) from None
                    raise GraphError([refusal(error, step.name, op.name)]) from None
            if dying is not None and keep is not None:
                for source in dying[slot]:
                    if source not in keep:
                        values[source] = None
    return values


def refusal(error: Exception, node: str | None, op: str) -> Fault:
    """The fault for a value that an operator refused."""
    if isinstance(error, OperatorError):
        return error.at(node, op, None)
    place = f"{op} '{node}'" if node else op
    return Fault("not_differentiable", f"{place}: {error}".lower(), node=node, op=op)
