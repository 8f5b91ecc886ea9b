"""Code on small tensors by the compiled way: rows made once, run over a memory of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from service.engine.code import Code
from service.engine.control import Control
from service.engine.run.loops import library
from service.engine.run.lowering import Lowered, Place, Unfit, lower

_CHUNK = 20_000
"""Rows between two looks at the clock."""
_SWEEPS_KEPT = 4


class TensorPlan:
    """The rows of a code, forward, and backward for the outputs and inputs asked for last."""

    def __init__(self, lowered: Lowered) -> None:
        self._lowered = lowered
        self._code = lowered.code
        self._forward = lowered.forward_rows()
        self._backward: dict[Any, tuple[Any, bytearray]] = {}
        runs = sorted(lowered.constants, key=lambda one: one[0])
        self._constant_at = np.concatenate(
            [np.arange(at, at + len(numbers)) for at, numbers in runs] or [np.zeros(0, np.int64)]
        )
        self._constants = np.concatenate([numbers for _, numbers in runs] or [np.zeros(0)])

    def forward(self, inputs: Mapping[str, Any], control: Control | None = None) -> Slots:
        """The values of all slots, each read from the memory when it is asked for."""
        v = np.empty(self._lowered.size)
        v[self._constant_at] = self._constants
        for name, slot in self._code.inputs.items():
            _tensor(v, self._place(slot))[...] = inputs[name]
        self._run("rows_forward", v, v, self._forward, control)
        return Slots(self, v)

    def value(self, v: Any, slot: int) -> Any:
        """The value of a slot: a part of the memory, or a NumPy scalar; None without a place."""
        place, step = self._lowered.places[slot], self._code.steps[slot]
        if place is None:
            return self._lowered.fixed.get(slot)
        tensor = _tensor(v, place)
        return (tensor != 0.0 if step.spec.dtype == "bool" else tensor)[()]

    def gradients(
        self,
        v: Any,
        cotangents: Mapping[int, Any],
        wanted: Collection[int],
        control: Control | None = None,
    ) -> dict[int, Any]:
        """What `pull_back` gives for the values in `v`."""
        key = (tuple(cotangents), tuple(sorted(wanted)))
        known = self._backward.get(key)
        if known is None:
            if len(self._backward) >= _SWEEPS_KEPT:
                self._backward.clear()
            known = self._backward[key] = self._lowered.backward_rows(cotangents, wanted)
        rows, joined = known
        g = np.full(len(v), -0.0)
        for slot, cotangent in cotangents.items():
            place = self._place(slot)
            repeated = tuple(i for i, stride in enumerate(place.strides) if stride == 0)
            # What is repeated has one place, and there the sum.
            _tensor(g, place)[...] += np.sum(cotangent, axis=repeated, keepdims=True)
        self._run("rows_backward", v, g, rows, control)
        # What no path reaches of a tensor of which a part is picked is 0.0, not -0.0.
        return {slot: _tensor(g, self._place(slot)) + 0.0 for slot in wanted if joined[slot]}

    def _place(self, slot: int) -> Place:
        place = self._lowered.places[slot]
        assert place is not None
        return place

    def _run(self, name: str, v: Any, g: Any, rows: Any, control: Control | None) -> None:
        function, count = library().functions[name], len(rows)
        memory = (v.ctypes.data, g.ctypes.data, rows.ctypes.data)
        for start in range(0, count, _CHUNK):
            if control is not None:
                control.check()
            function(*memory, start, min(count, start + _CHUNK))


class Slots(Sequence[Any]):
    """Values by slot, in the memory of one run."""

    def __init__(self, plan: TensorPlan, memory: Any) -> None:
        self.plan, self.memory = plan, memory

    def __len__(self) -> int:
        return len(self.plan._code.steps)

    def __getitem__(self, slot: Any) -> Any:
        return self.plan.value(self.memory, slot)


def _tensor(memory: Any, place: Place) -> Any:
    strides = tuple(8 * stride for stride in place.strides)
    return np.ndarray(place.shape, memory.dtype, memory, 8 * place.offset, strides)


def plan_of(code: Code) -> TensorPlan | None:
    """The plan of a code; None where the compiled way has no operation for it."""
    try:
        return TensorPlan(lower(code))
    except Unfit:
        return None
