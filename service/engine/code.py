"""Typed straight-line code: what a graph is once its shapes are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.engine.errors import Fault, OperatorError
from service.engine.registry import Operator, TensorSpec

_STEP_BYTES = 600


@dataclass(slots=True)
class Step:
    """One assignment: slot `i` of the code is `code.steps[i]`.

    `spec` is the result's shape and dtype (a tuple of them for several outputs);
    `value` is set for constants; `name` for steps that carry a node's name.
    """

    operator: Operator
    inputs: tuple[int, ...]
    attrs: dict[str, Any]
    spec: TensorSpec
    specs: tuple[TensorSpec, ...] = ()
    value: Any = None
    name: str | None = None

    @property
    def leaf(self) -> bool:
        return self.operator.group == "leaf" and not self.inputs


@dataclass(slots=True)
class Code:
    """Steps in evaluation order; `names` finds the slot of a node, `inputs` of an input.

    `placed` makes the fault of a value that the step at a slot refused, with the place of the
    node that the step is part of; None in code that no graph wrote.
    `rows` is how it runs compiled, once `choose` was asked, `visits` the last sweep back, and
    `folded` the values that follow from constants alone, by slot, once it has run.
    """

    steps: list[Step] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    inputs: dict[str, int] = field(default_factory=dict)
    placed: Callable[[OperatorError, int], Fault] | None = None
    rows: Any = field(default=None, init=False, compare=False, repr=False)
    visits: Any = field(default=None, init=False, compare=False, repr=False)
    folded: dict[int, Any] | None = field(default=None, init=False, compare=False, repr=False)

    def specs_of(self, slots: Sequence[int]) -> list[TensorSpec]:
        return [self.steps[slot].spec for slot in slots]

    def flops(self, slot: int) -> int:
        """An estimate of the floating-point operations of one step."""
        step = self.steps[slot]
        if not step.inputs or step.operator.group == "leaf":
            return 0
        if step.operator.flops is not None:
            return step.operator.flops(*self.specs_of(step.inputs), **step.attrs)
        size = sum(spec.size for spec in step.specs) if step.specs else step.spec.size
        return size * max(1, len(step.inputs) - 1) if step.operator.variadic else size

    @property
    def nbytes(self) -> int:
        """Its memory, roughly: of steps, their inputs and the values of constants."""
        inputs = sum(len(step.inputs) for step in self.steps)
        values = sum(getattr(step.value, "nbytes", 0) for step in self.steps)
        return _STEP_BYTES * len(self.steps) + 16 * inputs + values

    @property
    def elements(self) -> int:
        """Elements of all results together."""
        return sum(spec.size for step in self.steps for spec in step.specs or (step.spec,))
