"""Elementwise operators as text that computes with plain numbers: forward, and their rules.

A registration gives an operator's meaning on numbers once, as an expression, and its rules
once, against a namespace. Here the rules are traced to statements of Python. The loop over
floats, the generated code and the compiled loop all run this text, so that they agree to the
bit. Attributes that are numbers are arguments of it, so that it is made once for all of
their values; the others (choices, bounds left out) are settled when it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import Any

from service.engine.namespaces import exact
from service.engine.operators import REGISTRY
from service.engine.registry import Operator

Shape = tuple[tuple[str, Any], ...]
"""An operator's attributes without their numbers: None, a choice, a truth value, an integer,
or `float` for a number."""

_KEPT = 1024
_FUNCTIONS = "exp log sqrt sin cos tanh expm1 log1p log2 log10 tan asin acos atan sinh cosh " + (
    "asinh acosh atanh atan2 erf erfc exp2 cbrt hypot pow"
)


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    """A rounding that keeps the sign of zero; it raises for what is not finite, as `math` does."""
    return lambda x: math.copysign(float(function(x)), x)


FUNCTIONS: dict[str, Any] = {name: getattr(math, name) for name in _FUNCTIONS.split()}
FUNCTIONS |= {name: _whole(getattr(math, name)) for name in ("floor", "ceil", "trunc")}
FUNCTIONS |= {"round": _whole(round), "abs": abs, "inf": math.inf, "nan": math.nan}
FUNCTIONS |= {
    op.name: partial(exact, op)
    for op in REGISTRY
    if isinstance(op.scalar, str) and op.scalar.startswith(f"{op.name}(")
    if op.name not in FUNCTIONS
}
"""What the text may call; what `math` lacks goes through NumPy."""


class Number:
    """A number by its name in the text; `known` is its value where it is a literal."""

    __slots__ = ("known", "name", "text")

    def __init__(self, text: NumberCode, name: str, known: float | None = None) -> None:
        self.text, self.name, self.known = text, name, known

    def __add__(self, other: Any) -> Number:
        return self.text.add(self, other)

    def __radd__(self, other: Any) -> Number:
        return self.text.add(other, self)

    def __sub__(self, other: Any) -> Number:
        return self.text.subtract(self, other)

    def __rsub__(self, other: Any) -> Number:
        return self.text.subtract(other, self)

    def __mul__(self, other: Any) -> Number:
        return self.text.multiply(self, other)

    def __rmul__(self, other: Any) -> Number:
        return self.text.multiply(other, self)

    def __truediv__(self, other: Any) -> Number:
        return self.text.divide(self, other)

    def __rtruediv__(self, other: Any) -> Number:
        return self.text.divide(other, self)

    def __neg__(self) -> Number:
        return self.text.negative(self)


class NumberCode:
    """A namespace whose functions add one statement each to `lines`; equal ones are made once."""

    def __init__(self, prefix: str = "t") -> None:
        self.lines: list[str] = []
        self._prefix = prefix
        self._made: dict[str, Number] = {}

    def __getattr__(self, name: str) -> Callable[..., Number]:
        if name.startswith("_") or name not in REGISTRY:
            raise AttributeError(name)
        op = REGISTRY[name]
        return lambda *inputs, **attrs: self.emit(op, inputs, op.attrs(attrs))

    def number(self, value: Any) -> Number:
        """A literal as a Number; a Number is itself."""
        if isinstance(value, Number):
            return value
        value = value if isinstance(value, bool) else float(value)
        return Number(self, f"({value!r})", value)

    def emit(self, op: Operator, inputs: Sequence[Any], attrs: Mapping[str, Any]) -> Number:
        """Add the forward statement of an operator."""
        names = [self.number(x).name for x in inputs]
        texts = {key: _attribute(value) for key, value in attrs.items()}
        if op.variadic and len(names) > 2:
            first, *rest = map(self.number, inputs)
            return reduce(lambda a, b: self.emit(op, (a, b), attrs), rest, first)
        return self._assigned(expression(op, names, texts))

    def pull_back(
        self,
        op: Operator,
        wanted: Sequence[int],
        g: Number,
        y: Number,
        inputs: Sequence[Number],
        attrs: Mapping[str, Any],
    ) -> dict[int, Number]:
        """Add the statements of the rules for the inputs `wanted`; by input, where it has one."""
        parts = op.contributions(wanted, self, g, y, inputs, attrs)
        return {index: self.number(part) for index, part in parts}

    def _assigned(self, text: str) -> Number:
        made = self._made.get(text)
        if made is None:
            made = self._made[text] = Number(self, f"{self._prefix}{len(self._made)}")
            self.lines.append(f"{made.name} = {text}")
        return made


def _attribute(value: Any) -> Any:
    """An attribute as the templates take it: a number's name or text, or a choice as it is."""
    if isinstance(value, Number):
        return value.name
    return value if value is None or isinstance(value, str | bool) else repr(float(value))


def expression(op: Operator, names: Sequence[str], attrs: Mapping[str, Any]) -> str:
    """The forward expression of `op` with the names of its inputs and attributes put in."""
    if callable(op.scalar):
        return op.scalar(*names, **attrs)
    return op.scalar.format(*names, **attrs)


def split(op: Operator, attrs: Mapping[str, Any]) -> tuple[Shape, tuple[float, ...]]:
    """Attributes as their shape and the numbers in it."""
    shape: list[tuple[str, Any]] = []
    numbers = []
    for name, attribute in op.attributes.items():
        value = attrs[name]
        if value is None or isinstance(value, str) or attribute.kind in ("bool", "int"):
            shape.append((name, value))
        else:
            shape.append((name, float))
            numbers.append(float(value))
    return tuple(shape), tuple(numbers)


def bound(code: NumberCode, shape: Shape, numbers: Sequence[str]) -> dict[str, Any]:
    """The attributes of that shape, with the names of their numbers."""
    names = iter(numbers)
    return {key: Number(code, next(names)) if value is float else value for key, value in shape}


def numbers_of(shape: Shape) -> list[str]:
    """Names for the numbers of attributes of that shape."""
    return [f"k{place}" for place, (_, value) in enumerate(shape) if value is float]


@dataclass(frozen=True, slots=True)
class Text:
    """Statements from arguments to results; a result is None for an input without a gradient."""

    arguments: list[str]
    lines: list[str]
    results: list[str | None]

    def function(self) -> Callable[..., Any]:
        """As a function of Python; with one result it returns that alone."""
        results = ", ".join(str(result) for result in self.results)
        head = f"def gate({', '.join(self.arguments)}):"
        names = dict(FUNCTIONS)
        exec("\n ".join([head, *self.lines, f"return {results}"]), names)
        made: Callable[..., Any] = names["gate"]
        return made


def forward_text(code: int, count: int, shape: Shape = ()) -> Text:
    """The operator on `count` numbers `x0` … and the numbers among its attributes."""
    op, text = REGISTRY.by_code(code), NumberCode()
    inputs, numbers = [Number(text, f"x{i}") for i in range(count)], numbers_of(shape)
    result = text.emit(op, inputs, bound(text, shape, numbers))
    return Text([x.name for x in inputs] + numbers, text.lines, [result.name])


def backward_text(code: int, count: int, wanted: tuple[int, ...], shape: Shape = ()) -> Text:
    """What the gate adds to each of the `wanted` inputs, from `g, y, x0 …` and the numbers."""
    op, text = REGISTRY.by_code(code), NumberCode()
    g, y, *inputs = (Number(text, name) for name in ["g", "y", *(f"x{i}" for i in range(count))])
    numbers = numbers_of(shape)
    attrs = bound(text, shape, numbers)
    parts = text.pull_back(op, wanted, g, y, inputs, attrs) if wanted else {}
    names = ["g", "y", *(x.name for x in inputs), *numbers]
    results = [parts[index].name if index in parts else None for index in wanted]
    return Text(names, text.lines, results)


@lru_cache(_KEPT)
def forward_function(code: int, count: int, shape: Shape = ()) -> Callable[..., Any]:
    """`forward_text` as a function of Python."""
    return forward_text(code, count, shape).function()


@lru_cache(_KEPT)
def backward_function(
    code: int, count: int, wanted: tuple[int, ...], shape: Shape = ()
) -> Callable[..., Any]:
    """`backward_text` as a function of Python."""
    return backward_text(code, count, wanted, shape).function()
