"""Building straight-line code by running rules on stand-ins for tensors.

`Builder` is a namespace like those of `service.engine.namespaces`: calling one of its
functions adds a step. Rules and expansions run on it unchanged, and so a gradient
becomes code that can be read, sent, and differentiated again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from service.engine.code import Code, Step
from service.engine.control import DEFAULT_LIMITS, MOST_PARTS, Control, Limits
from service.engine.errors import LimitExceeded, OperatorError, Shape
from service.engine.operators import REGISTRY
from service.engine.operators.leaves import PROJECT
from service.engine.registry import Operator, TensorSpec

_INPUT, _CONSTANT = REGISTRY["input"], REGISTRY["constant"]
_MULTIPLY, _NEGATIVE = REGISTRY["multiply"], REGISTRY["negative"]
_ADD, _SUBTRACT = REGISTRY["add"], REGISTRY["subtract"]
_CAST = REGISTRY["cast"]
_LOOK = 64
"""Steps between two looks at the clock."""


class Traced:
    """A tensor that stands for the result of a step: a shape and dtype, but no values."""

    __slots__ = ("builder", "slot")
    __array_ufunc__ = None  # NumPy scalars on the left leave the operation to us.

    def __init__(self, builder: Builder, slot: int) -> None:
        self.builder = builder
        self.slot = slot

    @property
    def spec(self) -> TensorSpec:
        return self.builder.code.steps[self.slot].spec

    @property
    def shape(self) -> Shape:
        return self.spec.shape

    @property
    def ndim(self) -> int:
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        return self.spec.size

    @property
    def dtype(self) -> str:
        return self.spec.dtype

    @property
    def known(self) -> float | None:
        """The number of a scalar constant, which rules may simplify by."""
        step = self.builder.code.steps[self.slot]
        if step.operator is _CONSTANT and step.spec.shape == () and step.spec.floating:
            return float(step.value)
        return None

    def __add__(self, other: Any) -> Any:
        return self.builder.emit(REGISTRY["add"], (self, other))

    def __radd__(self, other: Any) -> Any:
        return self.builder.emit(REGISTRY["add"], (other, self))

    def __sub__(self, other: Any) -> Any:
        return self.builder.emit(REGISTRY["subtract"], (self, other))

    def __rsub__(self, other: Any) -> Any:
        return self.builder.emit(REGISTRY["subtract"], (other, self))

    def __mul__(self, other: Any) -> Any:
        return self.builder.emit(REGISTRY["multiply"], (self, other))

    def __rmul__(self, other: Any) -> Any:
        return self.builder.emit(REGISTRY["multiply"], (other, self))

    def __truediv__(self, other: Any) -> Any:
        return self.builder.emit(REGISTRY["divide"], (self, other))

    def __rtruediv__(self, other: Any) -> Any:
        return self.builder.emit(REGISTRY["divide"], (other, self))

    def __neg__(self) -> Any:
        return self.builder.emit(REGISTRY["negative"], (self,))


def _cast_to(
    op: Operator, specs: Sequence[TensorSpec], like: str | None, default: str
) -> list[str]:
    """The dtypes that `op` computes with its inputs in; `like` is the first floating one."""
    dtypes = [spec.dtype for spec in specs]
    if op.numbers == "floating" or (op.numbers == "mixed" and like is None):
        change = [not spec.floating for spec in specs]
    elif op.numbers == "numeric" and like is None:
        change = [dtype == "bool" for dtype in dtypes]
    else:
        return dtypes  # NumPy's promotion does the same, without a copy
    return [like or default if far else own for far, own in zip(change, dtypes, strict=True)]


def result_spec(
    op: Operator, specs: Sequence[TensorSpec], attrs: Mapping[str, Any], dtype: str = "float64"
) -> Any:
    """What `Builder.emit` infers for inputs of these specs: a TensorSpec, or a tuple of them."""
    like = next((spec.dtype for spec in specs if spec.floating), None)
    cast = _cast_to(op, specs, like, dtype)
    whole = [TensorSpec(spec.shape, own) for spec, own in zip(specs, cast, strict=True)]
    if op.infer is not None:
        return op.infer(*whole, **attrs)
    builder = Builder(dtype)
    assert op.expand is not None
    made = op.expand(builder, *(builder.input(f"x{i}", s) for i, s in enumerate(whole)), **attrs)
    return tuple(part.spec for part in made) if isinstance(made, tuple) else made.spec


def _kept_single(
    op: Operator, specs: Sequence[TensorSpec], attrs: Mapping[str, Any], inferred: Any, dtype: str
) -> list[TensorSpec] | None:
    """The specs with integers in single precision, where only they make a result of double.

    NumPy makes float64 of float32 and int64, and of the mean of integers; a request in
    single precision stays in it. None where nothing is to change.
    """
    dtypes = [spec.dtype for spec in specs]
    results = inferred if isinstance(inferred, tuple) else (inferred,)
    if (
        "float64" in dtypes
        or "dtype" in attrs
        or "float32" not in (dtype, *dtypes)
        or all(result.dtype != "float64" for result in results)
    ):
        return None
    return [
        TensorSpec(spec.shape, "float32")
        if not spec.floating and place not in op.indices and spec.dtype != "bool"
        else spec
        for place, spec in enumerate(specs)
    ]


class Builder:
    """A namespace whose functions add steps to `code`.

    With `share`, equal steps are made once (common-subexpression elimination), and steps
    that a shorter way makes needless are left out. `control` is looked at while steps are
    added, and with `derived` the limit `derived_nodes`, of which what is pruned later may
    be as much again.
    """

    def __init__(
        self,
        dtype: str = "float64",
        *,
        share: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        control: Control | None = None,
        derived: bool = False,
    ) -> None:
        self.code = Code()
        self.dtype = dtype
        self._share = share
        self._limits = limits
        self._control = control
        self._derived = derived
        self._parts = 0
        self._made: dict[Any, Traced | tuple[Traced, ...]] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in REGISTRY:
            raise AttributeError(name)
        op = REGISTRY[name]
        return lambda *inputs, **attrs: self.emit(op, inputs, attrs)

    def input(self, name: str, spec: TensorSpec) -> Traced:
        """A leaf that gets its value at run time. Raises OperatorError, LimitExceeded."""
        self._check(spec)
        slot = self._add(Step(_INPUT, (), {}, spec, name=name))
        self.code.names[name] = self.code.inputs[name] = slot
        return Traced(self, slot)

    def constant(self, value: Any, spec: TensorSpec, name: str | None = None) -> Traced:
        """A leaf with its value."""
        slot = self._add(Step(_CONSTANT, (), {}, spec, value=value, name=name))
        if name is not None:
            self.code.names[name] = slot
        return Traced(self, slot)

    def literal(self, number: Any, dtype: str | None = None) -> Traced:
        """A constant from a number in a rule; it takes the dtype of its surroundings."""
        array = np.asarray(number)
        kind = str(array.dtype)
        if array.dtype.kind in "fiu" and not isinstance(number, np.ndarray):
            kind = dtype or self.dtype
        value = array.astype(kind)
        key = ("literal", value.shape, kind, value.tobytes()) if value.size <= 16 else None
        if key is not None and self._share and key in self._made:
            return self._made[key]  # type: ignore[return-value]
        made = self.constant(value[()] if value.ndim == 0 else value, TensorSpec(value.shape, kind))
        if key is not None:
            self._made[key] = made
        return made

    def emit(
        self,
        op: Operator,
        inputs: tuple[Any, ...],
        attrs: Mapping[str, Any] | None = None,
        *,
        complete: bool = False,
    ) -> Any:
        """Add `op` of `inputs` (Traced, or numbers); a tuple for several outputs.

        Raises OperatorError when shapes, dtypes or attributes do not fit.
        """
        if op.gate and len(inputs) >= 2:
            op = REGISTRY[op.gate]
        full = dict(attrs or {}) if complete else op.attrs(attrs or {})
        like = next(
            (x.dtype for x in inputs if isinstance(x, Traced) and x.dtype.startswith("float")),
            None,
        )
        traced = tuple(x if isinstance(x, Traced) else self.literal(x, like) for x in inputs)
        if op.numbers != "any":
            traced = self._numbers(op, traced, like)
        specs = tuple(x.spec for x in traced)
        inferred = op.infer(*specs, **full) if op.infer is not None else None
        single = None
        if op.expand is None and "float32" in (self.dtype, like):
            single = _kept_single(op, specs, full, inferred, self.dtype)
        if single is not None:
            assert op.infer is not None
            traced = tuple(
                x if spec.dtype == x.dtype else self.emit(_CAST, (x,), {"dtype": spec.dtype})
                for x, spec in zip(traced, single, strict=True)
            )
            inferred = op.infer(*single, **full)
        if op.expand is not None:
            return op.expand(self, *traced, **full)
        if self._share:
            shorter = self._shorter(op, traced, inferred)
            if shorter is not None:
                return shorter
        return self.opaque(op, traced, full, inferred)

    def _numbers(
        self, op: Operator, inputs: tuple[Traced, ...], like: str | None
    ) -> tuple[Traced, ...]:
        """The inputs, with truth values, or all that isn't floating, cast to a floating dtype."""
        wanted = _cast_to(op, [x.spec for x in inputs], like, self.dtype)
        return tuple(
            x if dtype == x.dtype else self.emit(_CAST, (x,), {"dtype": dtype})
            for x, dtype in zip(inputs, wanted, strict=True)
        )

    def _shorter(self, op: Operator, inputs: tuple[Traced, ...], result: Any) -> Traced | None:
        """A shorter way to exactly the same bits: x * 1, -(-x) and a + (-b)."""
        if op is _MULTIPLY:
            for one, other in (inputs, inputs[::-1]):
                if one.known == 1.0 and other.spec == result:
                    return other
        elif op is _NEGATIVE:
            return self._negated(inputs[0])
        elif op is _ADD:
            for one, other in ((inputs[0], inputs[1]), (inputs[1], inputs[0])):
                minus = self._negated(other)
                if minus is not None and other.spec == one.spec == minus.spec:
                    return self.opaque(_SUBTRACT, (one, minus), {}, result)  # type: ignore[no-any-return]
        return None

    def _negated(self, made: Traced) -> Traced | None:
        """The x of which `made` is the negative, if it is one."""
        step = self.code.steps[made.slot]
        return Traced(self, step.inputs[0]) if step.operator is _NEGATIVE else None

    def opaque(
        self, op: Operator, inputs: tuple[Traced, ...], attrs: dict[str, Any], inferred: Any
    ) -> Any:
        """Add `op` with the result `inferred` (a TensorSpec, or a tuple of them)."""
        slots = tuple(x.slot for x in inputs)
        key = (op.name, slots, _frozen(attrs)) if self._share else None
        if key is not None and key in self._made:
            return self._made[key]
        made = self._step(op, slots, attrs, inferred)
        if key is not None:
            self._made[key] = made
        return made

    def _step(
        self, op: Operator, slots: tuple[int, ...], attrs: dict[str, Any], inferred: Any
    ) -> Traced | tuple[Traced, ...]:
        if not isinstance(inferred, tuple):
            self._check(inferred)
            return self.step(op, slots, attrs, inferred)
        self._parts += len(inferred)
        if self._parts > MOST_PARTS:
            raise LimitExceeded("parts", MOST_PARTS, self._parts)
        for spec in inferred:
            self._check(spec)
        whole = self._add(Step(op, slots, attrs, inferred[0], specs=inferred))
        return tuple(
            self.step(PROJECT, (whole,), {"index": i}, spec) for i, spec in enumerate(inferred)
        )

    def step(
        self, op: Operator, slots: tuple[int, ...], attrs: dict[str, Any], spec: TensorSpec
    ) -> Traced:
        """Add a step whose shape is known already."""
        return Traced(self, self._add(Step(op, slots, attrs, spec)))

    def _check(self, spec: TensorSpec) -> None:
        # Without the zeros: NumPy takes no empty array whose other sizes overflow.
        self._limits.check("elements_per_tensor", math.prod(size or 1 for size in spec.shape))
        if spec.ndim > 32:
            raise OperatorError(f"a tensor has at most 32 dimensions, not {spec.ndim}")

    def _add(self, step: Step) -> int:
        steps = self.code.steps
        steps.append(step)
        if not len(steps) % _LOOK:
            if self._control is not None:
                self._control.check()
            if self._derived:
                self._limits.check("derived_nodes", len(steps) // 2)
        return len(steps) - 1


def _frozen(value: Any) -> Any:
    """Attributes in a form that can be hashed."""
    if isinstance(value, Mapping):
        return tuple((name, _frozen(item)) for name, item in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
