"""Gates that choose: maximum, minimum, where; comparisons; and the gradient stop."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from service.engine.errors import OperatorError
from service.engine.registry import REGISTRY, Attribute, Domain, Example, Operator, TensorSpec
from service.engine.shapes import broadcast, elementwise, elementwise_bool, promote, same
from service.engine.spelling import Spelling


def _balanced(combine: Callable[[Any, Any], Any], parts: Sequence[Any]) -> Any:
    """The parts combined in pairs: of n parts no expression is nested deeper than log n."""
    if len(parts) == 1:
        return parts[0]
    half = (len(parts) + 1) // 2
    return combine(_balanced(combine, parts[:half]), _balanced(combine, parts[half:]))


def _share(
    wanted: Sequence[int], xp: Any, g: Any, y: Any, *inputs: Any, ties: str
) -> Sequence[Any]:
    """The parts of `g` that the inputs of a maximum or minimum get."""

    def is_chosen(x: Any) -> Any:
        return xp.where(xp.equal(x, y), 1.0, 0.0)

    if ties == "both":
        return [g * is_chosen(inputs[index]) for index in wanted]
    if ties == "first":
        return _first_takes_all(wanted, g, [is_chosen(x) for x in inputs[: wanted[-1] + 1]])
    chosen = [is_chosen(x) for x in inputs]
    count = _balanced(operator.add, chosen)
    return [g * chosen[index] / count for index in wanted]


def _first_takes_all(wanted: Sequence[int], g: Any, chosen: Sequence[Any]) -> Sequence[Any]:
    parts, free = {}, None
    for index, mine in enumerate(chosen):
        if index in wanted:
            parts[index] = g * (mine if free is None else mine * free)
        if index < len(chosen) - 1:
            free = 1.0 - mine if free is None else free * (1.0 - mine)
    return [parts[index] for index in wanted]


def _extremum(name: str, ufunc: Any, sign: str, word: str, short: str) -> None:
    def forward(*inputs: Any, ties: str) -> Any:
        return functools.reduce(ufunc, inputs)

    REGISTRY.register(
        Operator(
            name=name,
            group="selection",
            inputs=("a", "b"),
            variadic=True,
            numpy=(Spelling("a b out"),),
            summary=f"The {word} input, element by element; routes the gradient to it.",
            infer=elementwise,
            forward=forward,
            vjp=_share,
            sign=(short, f"{short} {{}}", f"{short} {{}}"),
            onnx=short.title(),
            branch=lambda y, *inputs, ties: [np.broadcast_to(x == y, np.shape(y)) for x in inputs],
            attributes={
                "ties": Attribute(
                    "choice",
                    "split",
                    "who gets the gradient when inputs are equal: each an equal share, "
                    "both the whole (the note's formula), or the first alone (its prose)",
                    choices=("split", "both", "first"),
                )
            },
            elementwise=True,
            scalar=f"{{0}} if {{0}} {sign} {{1}} or {{0}} != {{0}} else {{1}}",
            formula=f"{short}(a, b)",
            gradient_formula=f"g to the {word} input, 0 to the others",
            kinks="Equal inputs share the gradient; see the attribute ties.",
            pattern="router",
            code=lambda *inputs, ties: _balanced(lambda a, b: f"np.{name}({a}, {b})", inputs),
            domain=Domain(distinct=True),
        )
    )


_extremum("maximum", np.maximum, ">", "larger", "max")
_extremum("minimum", np.minimum, "<", "smaller", "min")


_MASKS = {4: np.int32, 8: np.int64}


def _where(condition: Any, a: Any, b: Any) -> Any:
    """np.where, whose branches cost more than a mask on the bits where one side is 0.0."""
    for kept, other, flag in ((a, b, condition), (b, a, None)):
        if (
            isinstance(kept, np.ndarray)
            and kept.dtype.kind == "f"
            and np.ndim(other) == 0
            and other == 0.0
            and not np.signbit(other)
            and np.result_type(kept, other) == kept.dtype
            and np.shape(condition) == kept.shape
            and condition.dtype == bool
        ):
            mask = _MASKS[kept.itemsize]
            chosen = condition if flag is not None else np.logical_not(condition)
            bits = np.negative(chosen.view(np.int8)).astype(mask)
            return np.bitwise_and(kept.view(mask), bits).view(kept.dtype)
    return np.where(condition, a, b)


def _where_infer(condition: TensorSpec, a: TensorSpec, b: TensorSpec) -> TensorSpec:
    if condition.floating:
        raise OperatorError(
            "the condition must be true or false, not a floating number",
            code="dtype",
            hint="compare it with something: x > 0",
        )
    return TensorSpec(broadcast(condition.shape, a.shape, b.shape), promote(a, b))


REGISTRY.register(
    Operator(
        name="where",
        onnx="Where",
        analytic=True,
        group="selection",
        numpy=(Spelling("condition a=x b=y"),),
        inputs=("condition", "a", "b"),
        summary="The first value where the condition holds, else the second.",
        infer=_where_infer,
        forward=_where,
        vjp=(
            None,
            lambda xp, g, y, c, a, b: xp.where(c, g, 0.0),
            lambda xp, g, y, c, a, b: xp.where(c, 0.0, g),
        ),
        elementwise=True,
        scalar="{1} if {0} else {2}",
        formula="a where condition else b",
        gradient_formula="da = g where condition, else 0; db the other way round",
        kinks="The branch not taken gets 0, whatever its slopes. Other programs that run the "
        "same formula give nan for a slope of inf in it: "
        "where(x > 0, sqrt(where(x > 0, x, 1)), 0) is safe there.",
        pattern="router",
        code="np.where({0}, {1}, {2})",
        domain=Domain(ranges=((0.0, 1.0), (-2.0, 2.0))),
    )
)


def _unequal(xp: Any, a: Any, b: Any) -> Any:
    return xp.logical_not(xp.equal(a, b))


_COMPARISONS: list[tuple[str, Any, str, str, str, Any]] = [
    ("less", np.less, "<", "<", "lt", "Less"),
    ("less_equal", np.less_equal, "<=", "≤", "le", "LessOrEqual"),
    ("greater", np.greater, ">", ">", "gt", "Greater"),
    ("greater_equal", np.greater_equal, ">=", "≥", "ge", "GreaterOrEqual"),
    ("equal", np.equal, "==", "==", "eq", "Equal"),
    ("not_equal", np.not_equal, "!=", "≠", "ne", _unequal),
]
for _name, _ufunc, _sign, _shown, _alias, _onnx in _COMPARISONS:
    REGISTRY.register(
        Operator(
            name=_name,
            group="comparison",
            inputs=("a", "b"),
            summary=f"Whether a {_sign} b, element by element.",
            infer=elementwise_bool,
            forward=_ufunc,
            vjp=(None, None),
            elementwise=True,
            differentiable=False,
            scalar=f"{{0}} {_sign} {{1}}",
            aliases=(_alias,),
            branch=lambda y, a, b: y,
            sign=_shown,
            onnx=_onnx,
            formula=f"a {_sign} b",
            gradient_formula="none",
            code=f"{{0}} {_sign} {{1}}",
        )
    )

_CONNECTIVES: list[tuple[str, Any, str, tuple[str, ...], str]] = [
    ("logical_and", np.logical_and, "{0} and {1}", ("a", "b"), "and"),
    ("logical_or", np.logical_or, "{0} or {1}", ("a", "b"), "or"),
    ("logical_not", np.logical_not, "not {0}", ("a",), "not"),
]
for _name, _ufunc, _scalar, _inputs, _word in _CONNECTIVES:
    REGISTRY.register(
        Operator(
            name=_name,
            group="logic",
            inputs=_inputs,
            summary=f"Logical {_word}, element by element.",
            infer=elementwise_bool,
            forward=_ufunc,
            vjp=(None,) * len(_inputs),
            elementwise=True,
            differentiable=False,
            scalar=_scalar,
            branch=lambda y, *inputs: y,
            sign=_word,
            onnx=_word.title(),
            formula=f"a {_word} b" if len(_inputs) == 2 else f"{_word} a",
            gradient_formula="none",
            # Not with &, | and ~, which Python's own True and False take for 1 and 0.
            code=f"np.{_name}({', '.join(['{0}', '{1}'][: len(_inputs)])})",
        )
    )

REGISTRY.register(
    Operator(
        name="stop_gradient",
        onnx="Identity",
        view=True,
        differentiable=False,
        group="selection",
        inputs=("x",),
        summary="The input unchanged; no gradient passes back through it.",
        infer=same,
        forward=lambda x: x,
        vjp=(None,),
        elementwise=True,
        scalar="{0}",
        formula="x",
        gradient_formula="dx = 0",
        aliases=("detach",),
        code="{0}",
    )
)

REGISTRY.register(
    Operator(
        name="identity",
        numpy=(Spelling("x out", names="positive"),),
        onnx="Identity",
        sign="=",
        analytic=True,
        view=True,
        group="selection",
        inputs=("x",),
        summary="The input unchanged.",
        infer=same,
        forward=lambda x: x,
        vjp=(lambda xp, g, y, x: g,),
        elementwise=True,
        scalar="{0}",
        formula="x",
        gradient_formula="dx = g",
        pattern="distributor",
        code="{0}",
    )
)


def _clip(x: Any, *, min: float | None, max: float | None) -> Any:
    return np.clip(x, min, max) if min is not None or max is not None else x


def _clip_scalar(x: str, *, min: str | None, max: str | None) -> str:
    if min is None and max is None:
        return x
    low = f"{min} if {x} < {min} else " if min is not None else ""
    high = f"{max} if {x} > {max}{f' or {min} > {max}' if low else ''} else " if max else ""
    return f"{x} if {x} != {x} else {high}{low}{x}"


def _clip_rule(xp: Any, g: Any, y: Any, x: Any, min: float | None, max: float | None) -> Any:
    g = g * xp.where(xp.equal(x, x), 1.0, math.nan)
    if min is not None:
        g = xp.where(xp.less(x, min), 0.0, g)
    if max is not None:
        g = xp.where(xp.greater(x, max), 0.0, g)
    return g


REGISTRY.register(
    Operator(
        name="clip",
        numbers="floating",
        branch=lambda y, x, **_: np.sign(x - y),
        group="selection",
        inputs=("x",),
        summary="The input kept between two bounds; either may be left out.",
        infer=same,
        forward=_clip,
        vjp=(_clip_rule,),
        attributes={
            "min": Attribute("float", None, "the lower bound", nullable=True),
            "max": Attribute("float", None, "the upper bound", nullable=True),
        },
        elementwise=True,
        scalar=_clip_scalar,
        formula="min(max(x, lower), upper)",
        gradient_formula="dx = g between the bounds, 0 outside",
        kinks="The slope at a bound is 1.",
        aliases=("clamp",),
        pattern="router",
        code="np.clip({0}, {min}, {max})",
        domain=Domain(
            avoid=(-0.5, 0.7),
            examples=(
                Example(((5,),), {"min": -0.5, "max": 0.7}),
                Example(((2, 3),), {"min": -0.5}),
                Example(((),), {"max": 0.7}),
            ),
        ),
    )
)
