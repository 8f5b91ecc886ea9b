"""The checked function: its values, branches and rounding, in double precision throughout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from service.engine.code import Code, Step
from service.engine.compute import Tensor, tensor_leaves
from service.engine.control import Control
from service.engine.namespaces import ARRAYS
from service.engine.operators.leaves import PROJECT
from service.engine.program import Program
from service.engine.registry import REGISTRY, TensorSpec
from service.engine.run.backward import pull_back
from service.engine.run.forward import run

_STOP, _CONSTANT = REGISTRY["stop_gradient"], REGISTRY["constant"]
EPSILON = float(np.finfo(np.float64).eps)
_ROUNDINGS = 4.0
"""Units in the last place that a node's value may be off."""
_SHAKES = 3


class Probe:
    """The contracted output as a function of one input, with the branches it took.

    The request's dtype is that of the gradient alone: values are computed in double
    precision, or differences would show its rounding. `rounding` is what the rounding of
    every node may do to the output.
    """

    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Tensor],
        output: str,
        cotangent: Any,
        control: Control | None,
    ) -> None:
        leaves = tensor_leaves(program, inputs)
        self.leaves = {name: _doubled(value) for name, value in leaves.items()}
        self.control = control
        self.code = _held(_widened(program.code), self.leaves, control)
        self.slot = program.slot(output)
        self.cotangent = cotangent
        self.selectors = [
            slot for slot, one in enumerate(self.code.steps) if one.operator.branch is not None
        ]
        values = run(self.code, self.leaves, control=control)
        self.value = float(np.sum(np.asarray(values[self.slot], np.float64) * cotangent))
        self.branches = self._branches(values)
        self.rounding = self._rounding(values)

    def at(self, name: str, value: Any) -> tuple[float, list[Any]]:
        """The output with `value` in place of one input, and the branch of every selector."""
        if self.control is not None:
            self.control.check()
        values = run(self.code, {**self.leaves, name: value}, control=self.control)
        total = float(np.sum(np.asarray(values[self.slot], np.float64) * self.cotangent))
        return total, self._branches(values)

    def imaginary(self, name: str, value: Any) -> float:
        """The imaginary part of the output for a complex input."""
        if self.control is not None:
            self.control.check()
        result = run_complex(self.code, {**self.leaves, name: value})[self.slot]
        return float(np.sum(np.imag(result) * self.cotangent))

    def gradients(self, targets: Sequence[str], dtype: str) -> dict[str, tuple[Any, Any]]:
        """For each target its gradient, and what rounding in `dtype` may do to that.

        The sweep is repeated with every node's value off by units in the last place of
        `dtype`, drawn anew: what the gradient changes by is what it cannot know.
        """
        rng = np.random.default_rng(0)
        epsilon = float(np.finfo(dtype).eps)
        drawn = [self._sweep(targets, epsilon * k, rng) for k in (0.0, *(1.0,) * _SHAKES)]
        # What another branch gives is no rounding.
        sweeps = [one for one, taken in drawn if same_branches(taken, self.branches)]
        result = {}
        with np.errstate(all="ignore"):
            for name in targets:
                own = sweeps[0][name]
                change = np.max([np.abs(one[name] - own) for one in sweeps], axis=0)
                known = _ROUNDINGS * (change + epsilon * np.abs(own))
                result[name] = own, np.nan_to_num(known)
        return result

    def _sweep(
        self, targets: Sequence[str], epsilon: float, rng: np.random.Generator
    ) -> tuple[dict[str, Any], list[Any]]:
        """Gradients and branches, with every value on the way off by `epsilon`, relatively."""
        steps = self.code.steps
        whole = index_slots(self.code)
        numbers = {self.code.steps[slot].name for slot in whole}
        shaken = {
            name: value if name in numbers else _shaken(value, epsilon, rng)
            for name, value in self.leaves.items()
        }
        values: list[Any] = []
        with np.errstate(all="ignore"):
            for slot, step in enumerate(steps):
                if step.leaf:
                    value = shaken[step.name] if step.value is None else step.value  # type: ignore[index]
                else:
                    inputs = [values[source] for source in step.inputs]
                    value = ARRAYS.function(step.operator)(*inputs, **step.attrs)
                    exact = slot in whole or isinstance(value, tuple)
                    if step.operator.branch is None and not exact:
                        value = _shaken(value, epsilon, rng)
                values.append(value)
            wanted = {name: self.code.inputs[name] for name in targets}
            seed = np.broadcast_to(self.cotangent, steps[self.slot].spec.shape)
            found = pull_back(
                ARRAYS, self.code, values, {self.slot: seed}, wanted.values(), control=self.control
            )
        gradients = {
            name: np.asarray(found.get(slot, 0.0)) + np.zeros(steps[slot].spec.shape)
            for name, slot in wanted.items()
        }
        return gradients, self._branches(values)

    def _rounding(self, values: list[Any]) -> float:
        """What rounding of every node may do to the output, to first order.

        Each node's value is off by a few units in its last place, and its gradient says
        what becomes of that. 0 where it isn't finite.
        """
        floating = [
            slot
            for slot, step in enumerate(self.code.steps)
            if step.inputs and step.spec.floating and not step.specs
        ]
        seed = np.broadcast_to(self.cotangent, self.code.steps[self.slot].spec.shape)
        with np.errstate(all="ignore"):
            found = pull_back(ARRAYS, self.code, values, {self.slot: seed}, floating)
            total = sum(
                float(np.sum(np.abs(np.multiply(g, values[slot])))) for slot, g in found.items()
            )
        return _ROUNDINGS * EPSILON * total if math.isfinite(total) else 0.0

    def _branches(self, values: list[Any]) -> list[Any]:
        with np.errstate(all="ignore"):
            return [_branch(self.code.steps[slot], values, values[slot]) for slot in self.selectors]


def index_slots(code: Code) -> set[int]:
    """The slots that are read as labels or indices, which can't be off by a little."""
    return {step.inputs[place] for step in code.steps for place in step.operator.indices}


def same_branches(one: list[Any], other: list[Any]) -> bool:
    """Whether every selector took the same branch."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def run_complex(code: Code, leaves: Mapping[str, Any]) -> list[Any]:
    """The forward sweep on complex numbers; comparisons look at real parts."""
    values: list[Any] = []
    with np.errstate(all="ignore"):
        for step in code.steps:
            inputs = [values[source] for source in step.inputs]
            if step.leaf:
                value = leaves[step.name] if step.value is None else step.value  # type: ignore[index]
                # All are complex: an operator may make its result like its first input.
                values.append(np.asarray(value, complex)[()] if step.spec.floating else value)
                continue
            function = step.operator.analytic
            if not callable(function):
                function = ARRAYS.function(step.operator)
            if not step.operator.differentiable:
                inputs = [np.real(x) for x in inputs]
            for place in step.operator.indices:
                inputs[place] = np.real(inputs[place])
            values.append(function(*inputs, **step.attrs))
    return values


def not_analytic(code: Code) -> list[Step]:
    """The steps that the complex step cannot pass through."""
    return [
        step
        for step in code.steps
        if not step.leaf
        and step.operator is not PROJECT
        and not step.operator.analytic
        and step.operator.differentiable
    ]


def _branch(step: Step, values: Sequence[Any], result: Any) -> Any:
    """Which branch a selector took, as something that can be compared."""
    assert step.operator.branch is not None
    return step.operator.branch(result, *(values[source] for source in step.inputs), **step.attrs)


def _doubled(value: Any) -> Any:
    array = np.asarray(value)
    return array.astype(np.float64)[()] if array.dtype.kind == "f" else value


def _shaken(value: Any, epsilon: float, rng: np.random.Generator) -> Any:
    if not epsilon or np.asarray(value).dtype.kind != "f":
        return value
    return value * (1.0 + epsilon * rng.uniform(-1.0, 1.0, np.shape(value)))


def _widened(code: Code) -> Code:
    """The code with double precision in place of single."""

    def wide(spec: TensorSpec) -> TensorSpec:
        return TensorSpec(spec.shape, "float64") if spec.floating else spec

    steps = [
        replace(
            step,
            spec=wide(step.spec),
            specs=tuple(map(wide, step.specs)),
            value=step.value if step.value is None else _doubled(step.value),
            attrs={k: "float64" if v == "float32" else v for k, v in step.attrs.items()},
        )
        for step in code.steps
    ]
    return replace(code, steps=steps)


def _held(code: Code, leaves: Mapping[str, Any], control: Control | None) -> Code:
    """The code with what stands behind stop_gradient held at its value, as its gradient is."""
    stops = [slot for slot, step in enumerate(code.steps) if step.operator is _STOP]
    if not stops:
        return code
    values = run(code, leaves, control=control)
    steps = list(code.steps)
    for slot in stops:
        steps[slot] = replace(
            steps[slot], operator=_CONSTANT, inputs=(), attrs={}, value=values[slot]
        )
    return replace(code, steps=steps)
