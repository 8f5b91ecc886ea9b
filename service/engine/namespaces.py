"""The namespace of NumPy arrays that rules are run against.

A rule says `xp.exp(x)`; which `xp` it is given decides whether that computes with NumPy,
writes a statement on plain numbers (`service.engine.run.number_code`), or emits a node
(`service.engine.trace.Builder`). All three are views of the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from service.engine.operators import REGISTRY
from service.engine.registry import Operator


class ArrayNamespace:
    """Every operator as a function of NumPy arrays; composites are run by their expansion."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in REGISTRY:
            raise AttributeError(name)
        op = REGISTRY[name]
        function = _with_defaults(op, self.function(op))
        setattr(self, name, function)
        return function

    def function(self, op: Operator) -> Callable[..., Any]:
        """`op` on arrays, all attributes given."""
        if op.expand is not None:
            return partial(op.expand, self)
        assert op.forward is not None, op.name
        return op.forward


def exact(op: Operator, *numbers: float, **attrs: Any) -> Any:
    """`op` on Python floats by way of NumPy: the IEEE 754 value, nothing raised."""
    with np.errstate(all="ignore"):
        assert op.forward is not None, op.name
        result = op.forward(*map(_numpy_scalar, numbers), **attrs)
    return result.item() if isinstance(result, np.generic | np.ndarray) else result


def _numpy_scalar(number: float) -> Any:
    return np.bool_(number) if isinstance(number, bool) else np.float64(number)


def _with_defaults(op: Operator, function: Callable[..., Any]) -> Callable[..., Any]:
    defaults = {name: a.default for name, a in op.attributes.items() if not a.required}
    return partial(function, **defaults) if defaults else function


ARRAYS = ArrayNamespace()
