"""The operator registry: everything about an operator stands in its one registration.

Schemas, the OpenAPI document, `/v1/operators`, the property tests and the docs are
derived from here.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from service.engine.errors import OperatorError, Shape
from service.engine.spelling import Spelling

Rule = Callable[..., Any]
Kind = Literal["bool", "int", "float", "number", "choice", "text", "ints", "floats", "axis", "axes"]


class _Required:
    """Marks an attribute that has no default."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor's shape and NumPy dtype name, without its values."""

    shape: Shape
    dtype: str = "float64"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def floating(self) -> bool:
        return self.dtype.startswith("float")

    @property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of an operator: its kind, its default and what it means.

    Kinds: "bool"; "int"; "float" (a number); "number" (a number, 'inf' or
    '-inf'); "choice" (one of `choices`); "text";
    "ints" (a list of integers); "floats" (a list of numbers); "axis" (an integer); "axes"
    (an integer or a list of integers). `nullable` also allows null.
    """

    kind: Kind
    default: Any = REQUIRED
    doc: str = ""
    choices: tuple[str, ...] = ()
    nullable: bool = False
    minimum: float | None = None

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    @property
    def annotation(self) -> Any:
        """The Python type that Pydantic and msgspec validate the attribute with."""
        kinds: dict[str, Any] = {
            "bool": bool,
            "int": int,
            "axis": int,
            "float": float,
            "number": float | Literal["inf", "-inf"],
            "text": str,
            "ints": list[int],
            "floats": list[float],
            "axes": int | list[int],
        }
        base = Literal[self.choices] if self.kind == "choice" else kinds[self.kind]
        return base | None if self.nullable else base

    def checked(self, name: str, value: Any) -> Any:
        """`value` in the form the operator takes (lists as tuples); OperatorError if it isn't."""
        if value is None and self.nullable:
            return None
        match self.kind:
            case "bool":
                fits = isinstance(value, bool)
            case "int" | "axis":
                fits = _is_int(value)
            case "float":
                fits = _is_int(value) or isinstance(value, float)
            case "number":
                if isinstance(value, str):
                    value = {"inf": math.inf, "-inf": -math.inf}.get(value, value)
                fits = _is_int(value) or isinstance(value, float)
            case "choice":
                fits = isinstance(value, str) and value in self.choices
            case "text":
                fits = isinstance(value, str)
            case "ints":
                fits = isinstance(value, list | tuple) and all(map(_is_int, value))
                value = tuple(value) if fits else value
            case "floats":
                fits = isinstance(value, list | tuple) and all(
                    _is_int(one) or isinstance(one, float) for one in value
                )
                value = tuple(map(float, value)) if fits else value
            case "axes":
                fits = _is_int(value)
                if isinstance(value, list | tuple) and all(map(_is_int, value)):
                    fits, value = True, tuple(value)
        if fits and self.minimum is not None:
            smallest = min(value) if isinstance(value, tuple) and value else value
            fits = smallest == () or smallest >= self.minimum
        if not fits:
            raise OperatorError(
                f"attribute '{name}' must be {self.expected}",
                code="attribute",
            )
        return value

    @property
    def expected(self) -> str:
        """What the attribute takes, in words."""
        words = {
            "bool": "true or false",
            "int": "an integer",
            "axis": "an integer",
            "float": "a number",
            "number": "a number, or 'inf', or '-inf'",
            "choice": "one of " + ", ".join(self.choices),
            "text": "a string",
            "ints": "a list of integers",
            "floats": "a list of numbers",
            "axes": "an integer or a list of integers",
        }[self.kind]
        if self.minimum is not None:
            words += f" of at least {self.minimum:g}"
        return words + (" or null" if self.nullable else "")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Example:
    """A call of an operator with inputs of these shapes: for tests and for the docs.

    `dtypes` are per input ("float64" where left out); integer inputs are drawn from
    `range(integers)`.
    """

    shapes: tuple[Shape, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()
    integers: int = 2


@dataclass(frozen=True, slots=True)
class Scales:
    """Where, beyond its ordinary ranges, an operator must keep its digits.

    `reach` has one (low, high) per input, the last for all further ones: inputs are drawn
    between them on either side of 0, by orders of magnitude. `near` are the kinks, poles
    and ends of the domain that they come close to. Of `parts`, "size" scales each input as
    drawn by 10^U(-6, 6), "rows", "columns" and "both" (alike, for symmetric matrices) those
    of a matrix, one by one; "offset" adds a number of up to 10^6 to all elements.
    """

    reach: tuple[tuple[float, float], ...] = ()
    near: tuple[float, ...] = ()
    parts: tuple[Literal["size", "rows", "columns", "both", "offset"], ...] = ()


@dataclass(frozen=True, slots=True)
class Domain:
    """Where an operator may be tested: the range of each input, the points it has kinks at.

    `ranges` has one (low, high) per input; the last one serves for all further inputs.
    `avoid` are values near which an input has a kink or a pole. Elementwise operators
    are tested on drawn broadcastable shapes, the others on `examples`; `prepare` turns
    the drawn inputs into valid ones (a symmetric matrix, say).
    """

    ranges: tuple[tuple[float, float], ...] = ((-2.0, 2.0),)
    avoid: tuple[float, ...] = ()
    distinct: bool = False
    examples: tuple[Example, ...] = ()
    prepare: Callable[..., tuple[Any, ...]] | None = None


class Argument(str):
    """An input of an operator in printed code: a text that knows its shape and dtype.

    `number` is its value where that is a scalar constant; `bare` is what it reshapes,
    where it does nothing else.
    """

    spec: TensorSpec
    number: float | None
    bare: Argument | None

    def __new__(
        cls,
        text: str,
        spec: TensorSpec,
        number: float | None = None,
        bare: Argument | None = None,
    ) -> Argument:
        argument = super().__new__(cls, text)
        argument.spec, argument.number, argument.bare = spec, number, bare
        return argument


@dataclass(frozen=True, slots=True)
class Scatter:
    """Printed code that adds `values` to an array at the places that `subscript` names.

    `repeats` says that a place may be named more than once, which `+=` would forget.
    """

    subscript: str
    values: Argument
    repeats: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """Everything about one operator.

    forward(*arrays, **attrs)
        NumPy in, NumPy out (a tuple when `outputs` > 1). None for a composite.
    expand(xp, *inputs, **attrs)
        For a composite: its meaning in terms of other operators of the namespace `xp`.
    vjp
        Per input a rule `rule(xp, g, y, *inputs, **attrs)` that gives the contribution
        to that input's gradient, written against `xp` so that it can be run or traced;
        None where there is no gradient. For variadic operators one callable
        `rule(wanted, xp, g, y, *inputs, **attrs)` that gives those of the inputs `wanted`
        (indices, ascending) in that order, and works out once what they share. A
        contribution may have any shape that
        broadcasts to or from the input's: the accumulator undoes it. With several
        outputs `g` and `y` are tuples; entries of `g` may be None (zero).
    infer(*specs, **attrs)
        TensorSpecs in, TensorSpec(s) out; raises OperatorError when they do not fit. A
        composite may leave it to its expansion.
    batch
        How a leading batch axis is carried through: see `service.engine.vmap`.
    scalar
        The forward function on plain numbers, for elementwise operators: an expression with
        the functions of `math`, given as a template with `{0}` for the first input and
        attributes by name, or as a function of texts. What `math` raises it may raise. With
        the rules traced to such text (`service.engine.run.number_code`) it is what the loops,
        the generated and the compiled code run.
    code
        How it is printed: a template with `{0}` for the first input and attributes by
        name, or a function of Arguments and attributes. Left out, `forward` is printed as
        a helper, or `plain`, where that one is shorter and means the same.
    scatter(zeros, *Arguments, **attrs)
        For adjoints of gathers: how they are printed as an addition to an array of zeros.
    indices
        The inputs that are integers: places, labels.
    view
        Whether the result is the input's elements in another arrangement, which NumPy may
        give without a copy.
    analytic
        Whether `forward` is an analytic function of complex numbers as it stands; a
        function, where that one picks branches and this one means the same without.
    branch(y, *inputs, **attrs)
        For operators with kinks and jumps: which side the inputs lie on, as an array.
    numbers
        In which numbers it computes: "any"; "numeric", truth values as 0 and 1; "floating",
        integers too as floating numbers; "mixed", these only where no input is floating.
    sign
        What a drawn gate says, where that isn't the name; of three, the second and the
        third are for a number in place of the first and of the second input.
    onnx
        The ONNX operator that means the same of the same inputs and attributes; or a function
        `onnx(xp, *inputs, **attrs)` that says it by operators that ONNX has.
    gate
        The elementwise operator that the name means with two or more inputs (`max`).
    numpy
        How NumPy spells it, where that isn't the name with the inputs in order.
    scales
        At which scales of its inputs values and derivatives must keep their digits.
    """

    name: str
    group: str
    inputs: tuple[str, ...]
    summary: str
    infer: Rule | None
    forward: Rule | None = None
    vjp: tuple[Rule | None, ...] | Rule | None = None
    expand: Rule | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    variadic: bool = False
    min_inputs: int | None = None
    outputs: int = 1
    elementwise: bool = False
    scalar: str | Callable[..., str] = ""
    batch: Rule | None = None
    flops: Callable[..., int] | None = None
    formula: str = ""
    gradient_formula: str = ""
    kinks: str = ""
    pattern: str = ""
    code: str | Callable[..., str] = ""
    plain: Rule | None = None
    scatter: Callable[..., Scatter] | None = None
    indices: tuple[int, ...] = ()
    view: bool = False
    domain: Domain = field(default_factory=Domain)
    differentiable: bool = True
    internal: bool = False
    analytic: bool | Rule = False
    branch: Rule | None = None
    numbers: Literal["any", "numeric", "floating", "mixed"] = "any"
    sign: str | tuple[str, str, str] = ""
    onnx: str | Rule = ""
    gate: str = ""
    numpy: tuple[Spelling, ...] = ()
    scales: Scales = Scales(parts=("size",))

    @property
    def arity(self) -> tuple[int, int | None]:
        """The least and the greatest number of inputs; None means no upper bound."""
        least = len(self.inputs) if self.min_inputs is None else self.min_inputs
        return least, (None if self.variadic else len(self.inputs))

    @property
    def composite(self) -> bool:
        return self.expand is not None

    def rule(self, index: int) -> Rule | None:
        """The derivative rule for input `index`."""
        if self.vjp is None:
            return None
        if isinstance(self.vjp, tuple):
            return self.vjp[index]
        variadic = self.vjp
        return lambda *args, **attrs: variadic((index,), *args, **attrs)[0]

    def contributions(
        self,
        wanted: Sequence[int],
        xp: Any,
        g: Any,
        y: Any,
        inputs: Sequence[Any],
        attrs: Mapping[str, Any],
    ) -> Iterator[tuple[int, Any]]:
        """What flows back to the inputs `wanted` that have a rule, one after the other."""
        if callable(self.vjp):
            yield from zip(wanted, self.vjp(wanted, xp, g, y, *inputs, **attrs), strict=True)
        elif self.vjp is not None:
            for index in wanted:
                rule = self.vjp[index]
                if rule is not None:
                    yield index, rule(xp, g, y, *inputs, **attrs)

    def attrs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` checked and filled up with the defaults; OperatorError on a fault."""
        full, faults = self.checked(given)
        if faults:
            raise next(iter(faults.values()))
        return full

    def checked(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, OperatorError]]:
        """The attributes, those not given by default, and what is wrong with which."""
        faults: dict[str, OperatorError] = {}
        for name in given:
            if name not in self.attributes:
                known = list(self.attributes)
                near = difflib.get_close_matches(name[:64], known, 1, 0.5)
                hint = f"did you mean '{near[0]}'?" if near else _takes(known)
                detail = f"unknown attribute '{name[:64]}'"
                faults[name] = OperatorError(detail, code="attribute", hint=hint)
        full = {}
        for name, attribute in self.attributes.items():
            if name in given:
                try:
                    full[name] = attribute.checked(name, given[name])
                except OperatorError as error:
                    faults[name] = error
            elif attribute.required:
                faults[name] = OperatorError(f"attribute '{name}' is missing", code="attribute")
            else:
                full[name] = attribute.default
        return full, faults


def _takes(known: Sequence[str]) -> str:
    return "it takes " + ", ".join(known) if known else "it takes no attributes"


class Registry:
    """Operators by name and alias; each has an integer code for fast dispatch."""

    def __init__(self) -> None:
        self._operators: list[Operator] = []
        self.codes: dict[str, int] = {}

    def register(self, operator: Operator) -> Operator:
        """Add `operator`; ValueError when one of its names is taken."""
        names = (operator.name, *operator.aliases)
        for name in names:
            if name in self.codes:
                raise ValueError(f"operator name '{name}' is taken")
        for name in names:
            self.codes[name] = len(self._operators)
        self._operators.append(operator)
        return operator

    def __getitem__(self, name: str) -> Operator:
        return self._operators[self.codes[name]]

    def __contains__(self, name: str) -> bool:
        return name in self.codes

    def __iter__(self) -> Iterator[Operator]:
        return iter(self._operators)

    def __len__(self) -> int:
        return len(self._operators)

    def by_code(self, code: int) -> Operator:
        return self._operators[code]

    def suggest(self, name: str) -> str | None:
        """The known name nearest to a misspelt one."""
        known = [op for op in self.codes if not self[op].internal]
        near = difflib.get_close_matches(name.lower()[:64], known, 3, 0.6)
        # People seldom misspell the first letter.
        alike = [one for one in near if one[0] == name[0].lower()]
        return (alike or near)[0] if near else None


REGISTRY = Registry()
"""The registry that `service.engine.operators` fills on import."""
