"""A node alone: what it sends back to each of its inputs, given its upstream gradient.

Composite operators are expanded once and kept; the same gate then serves every submission
and every mistake that is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.engine.errors import OperatorError
from service.engine.namespaces import ARRAYS
from service.engine.registry import Operator, TensorSpec
from service.engine.run.backward import pull_back, unbroadcast
from service.engine.run.forward import run
from service.engine.trace import Builder

Tensor = Any


class Gate:
    """One node of a graph with the shapes of its inputs and outputs.

    node, op, attrs   its id, operator and full attributes
    sources           per input the wire that it reads; None for a literal
    outputs           the names of its wires: its id, or `id.0`, `id.1`, ...
    specs             per input its TensorSpec
    """

    __slots__ = (
        "_builder",
        "_results",
        "_slots",
        "attrs",
        "literals",
        "node",
        "op",
        "outputs",
        "sources",
        "specs",
    )

    def __init__(
        self,
        node: str,
        op: Operator,
        attrs: dict[str, Any],
        sources: Sequence[str | None],
        literals: Sequence[Tensor | None],
        outputs: tuple[str, ...],
        specs: Sequence[TensorSpec],
    ) -> None:
        self.node = node
        self.op = op
        self.attrs = attrs
        self.sources = tuple(sources)
        self.literals = tuple(literals)
        self.outputs = outputs
        self.specs = tuple(specs)
        self._builder: Builder | None = None
        self._slots: list[int] = []
        self._results: list[int] = []

    def evaluate(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The node's outputs for these inputs. Raises OperatorError or LinAlgError."""
        made = ARRAYS.function(self.op)(*inputs, **self.attrs)
        return made if isinstance(made, tuple) else (made,)

    def pull(
        self,
        upstream: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        wanted: Sequence[int],
        *,
        raw: bool = False,
    ) -> dict[int, Tensor]:
        """What flows back to the `wanted` inputs, by input index; nothing where no path is.

        Where it is not finite NumPy warns: callers say `np.errstate(all="ignore")`.
        `raw` leaves contributions of elementwise gates in the output's shape, as they are
        before broadcasting is undone.
        """
        if not self.op.differentiable:
            return {}
        if self.op.composite:
            return self._pull_composite(upstream, inputs, wanted)
        several = len(self.outputs) > 1 or self.op.outputs > 1
        g = tuple(upstream) if several else upstream[0]
        y = tuple(outputs) if several else outputs[0]
        found: dict[int, Tensor] = {}
        for index, part in self.op.contributions(wanted, ARRAYS, g, y, inputs, self.attrs):
            if part is None:
                continue
            if isinstance(part, float) and self.specs[index].shape == ():
                found[index] = np.float64(part)
            elif raw and self.op.elementwise:
                found[index] = np.broadcast_to(part, np.shape(y))
            else:
                found[index] = unbroadcast(ARRAYS, part, self.specs[index])
        return found

    def _pull_composite(
        self, upstream: Sequence[Tensor | None], inputs: Sequence[Tensor], wanted: Sequence[int]
    ) -> dict[int, Tensor]:
        if self._builder is None:
            builder = Builder()
            stand_ins = [builder.input(str(i), spec) for i, spec in enumerate(self.specs)]
            assert self.op.expand is not None
            made = self.op.expand(builder, *stand_ins, **self.attrs)
            results = made if isinstance(made, tuple) else (made,)
            self._slots = [one.slot for one in stand_ins]
            self._results = [one.slot for one in results]
            self._builder = builder
        code = self._builder.code
        given = {str(i): np.asarray(x, self.specs[i].dtype)[()] for i, x in enumerate(inputs)}
        values = run(code, given)
        seeds: dict[int, Tensor] = {}
        for slot, g in zip(self._results, upstream, strict=True):
            if g is not None:
                seeds[slot] = seeds[slot] + g if slot in seeds else g
        grads = pull_back(ARRAYS, code, values, seeds, [self._slots[i] for i in wanted])
        return {i: grads[self._slots[i]] for i in wanted if self._slots[i] in grads}


Refused = (OperatorError, np.linalg.LinAlgError, ValueError, TypeError, ZeroDivisionError)
"""What an operator may raise for values that it can't take."""
