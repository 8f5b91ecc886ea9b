"""The arguments of a call as an operator's inputs and attributes."""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from service.engine.errors import OperatorError
from service.engine.expression.hints import KEYWORDS
from service.engine.expression.values import (
    UNKNOWN,
    DType,
    Known,
    Node,
    Text,
    Value,
    every,
    is_number,
)
from service.engine.numpy_compat import SPELLED, Parameter, Signature, of_numpy
from service.engine.registry import Attribute, Operator

if TYPE_CHECKING:
    from service.engine.expression.reader import Reader

Function = Callable[..., Value]
LARGEST_INTEGER = 2**53
"""Integers up to here are floats exactly, and print in a bounded number of digits."""


def operator_of(signature: Signature, name: str) -> Function:
    """A function that reads a call of one operator."""
    op = signature.operator
    count = -1 if op.attributes or op.variadic or op.min_inputs is not None else len(op.inputs)

    def function(
        reader: Reader, at: ast.Call, args: list[Value], keywords: dict[str, Value]
    ) -> Value:
        if len(args) == count and not keywords and all(type(one) is Node for one in args):
            return reader.tape.emit(op, args, None, at)
        return operate(reader, at, signature, name, args, keywords)

    return function


def operate(
    reader: Reader,
    at: ast.Call,
    signature: Signature,
    name: str,
    args: Sequence[Value],
    keywords: dict[str, Value],
) -> Value:
    """A node of the operator that the call names."""
    op = signature.operator
    inputs, given = _bind(reader, at, signature, name, args, keywords)
    if UNKNOWN in given.values() or any(one is UNKNOWN for one in inputs):
        return UNKNOWN
    attrs = {key: attribute_value(reader, at, op, key, value) for key, value in given.items()}
    if any(value is UNKNOWN for value in attrs.values()):
        return UNKNOWN
    for key, default in signature.defaults.items():
        attrs.setdefault(key, default)
    if op.elementwise and not op.variadic and all(map(is_number, inputs)) and op.forward:
        return _computed(reader, at, signature, name, inputs, attrs)
    if signature.flattens and attrs.get("axis") is None:
        attrs.pop("axis", None)
        flat = reader.emit("reshape", [inputs[0]], {"shape": [-1]}, at)
        inputs = [flat, *inputs[1:]]
    return reader.emit(op, inputs, attrs, at)


def _computed(
    reader: Reader,
    at: ast.AST,
    signature: Signature,
    name: str,
    inputs: Sequence[Any],
    attrs: dict[str, Any],
) -> Value:
    """An operator of numbers that are known: a number, NumPy's own where it is NumPy's name."""
    op = signature.operator
    theirs = of_numpy(name) if signature is SPELLED.get(name) else None
    if isinstance(theirs, np.ufunc) and not attrs:
        try:
            with np.errstate(all="ignore"):
                return theirs(*inputs).item()
        except (TypeError, ValueError, OverflowError) as error:
            raise reader.fault(at, "attribute", f"{name}: {str(error)[:160]}", op=name) from None
    try:
        full = op.attrs(attrs)
    except OperatorError as error:
        raise reader.fault(
            at, "attribute", f"{op.name}: {error.fault.detail}", error.fault.hint, op.name
        ) from None
    assert op.forward is not None
    with np.errstate(all="ignore"):
        numbers = [np.bool_(x) if isinstance(x, bool) else np.float64(x) for x in inputs]
        made = op.forward(*numbers, **full)
    return made.item() if isinstance(made, np.generic | np.ndarray) else made


def _bind(
    reader: Reader,
    at: ast.Call,
    signature: Signature,
    name: str,
    args: Sequence[Value],
    keywords: dict[str, Value],
) -> tuple[list[Value], dict[str, Value]]:
    """Inputs in order, and attributes by name."""
    op, positional = signature.operator, signature.positional
    inputs: list[Value] = []
    rest = list(args)
    if positional and positional[0].many:
        first = keywords.pop(positional[0].theirs, None) if not rest else None
        if rest and (isinstance(rest[0], list | tuple) or signature is SPELLED.get(name)):
            first = rest.pop(0)
        if first is not None:
            parts = reader.parts(first, at)
            if parts is UNKNOWN:
                return [UNKNOWN], {}
            inputs = list(parts)
        else:
            inputs, rest = rest, []
        positional = positional[1:]
        if len(inputs) < (op.arity[0] or 1):
            raise reader.fault(at, "arity", f"{name} of nothing", op=op.name)
    stray = [
        one
        for one, value in zip(positional, rest, strict=False)
        if one.ours is None and isinstance(value, Node)
    ]
    if len(rest) > len(positional) or stray:
        most = len(op.inputs)
        detail = f"{name} takes {most} input{'s' if most != 1 else ''}, here {len(args)}"
        raise reader.fault(at, "arity", detail, _stray(at, name) or _order(signature), op.name)
    given: dict[str, Value] = {}
    for parameter, value in zip(positional, rest, strict=False):
        _give(reader, at, op, parameter, value, given)
    for keyword, value in keywords.items():
        named = signature.by_name.get(keyword)
        if named is None:
            hint = KEYWORDS.get(keyword)
            if hint in signature.by_name:
                hint = f"write {hint}="
            else:
                near = difflib.get_close_matches(keyword[:64], list(signature.by_name), 1, 0.5)
                hint = f"did you mean '{near[0]}'?" if near else _order(signature)
            raise reader.fault(
                at, "attribute", f"{name}: unknown attribute '{keyword[:64]}'", hint, op.name
            )
        if named.ours in given:
            raise reader.fault(at, "attribute", f"'{keyword[:64]}' is given twice", op=op.name)
        _give(reader, at, op, named, value, given)
    if not (signature.positional and signature.positional[0].many):
        least = op.arity[0]
        for place, wanted in enumerate(op.inputs):
            if wanted in given:
                inputs.append(given.pop(wanted))
            elif place < least:
                plural = "s" if least != 1 else ""
                detail = f"{name} takes {least} input{plural}, here {len(inputs)}"
                raise reader.fault(at, "arity", detail, _order(signature), op.name)
            else:
                break
        left = [one for one in op.inputs if one in given]
        if left:
            raise reader.fault(
                at, "arity", f"{name}: '{left[0]}' wants those before it", None, op.name
            )
    return inputs, given


def _stray(at: ast.Call, name: str) -> str | None:
    """For x.exp(y) with one input too many: that x is an input here, and no module."""
    if isinstance(at.func, ast.Attribute) and isinstance(at.func.value, ast.Name) and at.args:
        return f"'{at.func.value.id[:40]}' is an input here: write {name}(…)"
    return None


def _order(signature: Signature) -> str:
    """The parameters in order, for a hint."""
    names = [one.theirs for one in signature.positional if one.ours is not None]
    return "it takes " + ", ".join(names) if names else "it takes no more"


def _give(
    reader: Reader,
    at: ast.AST,
    op: Operator,
    parameter: Parameter,
    value: Value,
    given: dict[str, Value],
) -> None:
    """Note an argument; refuse one that NumPy knows and the operator doesn't."""
    if parameter.ours is not None:
        given[parameter.ours] = value
        return
    if value is None or _harmless(parameter.theirs, value):
        return
    raise reader.fault(
        at,
        "attribute",
        f"{op.name}: the parameter '{parameter.theirs}' is not read",
        "leave it out" if parameter.theirs != "dtype" else "write x.astype(float)",
        op.name,
    )


def _harmless(name: str, value: Value) -> bool:
    """Whether a parameter has a value that changes nothing."""
    if name == "dtype":
        return isinstance(value, DType) and value.name in ("float", "float64", "double")
    if name in ("order", "mode", "casting"):
        return isinstance(value, Text) and value.text in ("C", "K", "A", "raise", "same_kind")
    if name in ("optimize", "copy", "subok", "hermitian"):
        return isinstance(value, bool)
    return False


def attribute_value(reader: Reader, at: ast.AST, op: Operator, name: str, value: Value) -> Any:
    """An argument as an attribute: a literal, or what is known while the graph is built."""
    attribute = op.attributes.get(name)
    made = plain(reader, value)
    if made is UNKNOWN:
        return UNKNOWN
    place = _argument(at, name)
    if made is _NONE:
        raise reader.fault(
            place,
            "attribute",
            f"the attribute '{name[:64]}' must be a literal",
            "numbers, or what is known from shapes: x.shape[0]",
            op.name,
        )
    parts = made if isinstance(made, list) else [made]
    if any(isinstance(one, int) and abs(one) > LARGEST_INTEGER for one in parts):
        raise reader.fault(
            place, "attribute", f"the attribute '{name[:64]}' is too large", None, op.name
        )
    return _fitted(made, attribute)


def _fitted(made: Any, attribute: Attribute | None) -> Any:
    if attribute is None:
        return made
    if attribute.kind == "ints" and type(made) is int:
        return [made]
    if attribute.kind == "choice" and is_number(made):
        return str(made).replace(".0", "")
    if attribute.kind == "bool" and type(made) is int and made in (0, 1):
        return bool(made)
    if attribute.kind == "number" and type(made) is float and math.isinf(made):
        return "inf" if made > 0 else "-inf"
    if attribute.kind in ("axis", "axes") and isinstance(made, list) and len(made) == 1:
        return made[0]
    return made


_NONE = object()


def plain(reader: Reader, value: Value) -> Any:
    """A value as JSON has it; `_NONE` for what is no literal."""
    if isinstance(value, Text):
        return value.text
    if isinstance(value, DType):
        return value.name
    if value is None or is_number(value) or value is UNKNOWN:
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind == "i" and value.size <= 64:
        return value.tolist()
    if isinstance(value, list | tuple):
        every(reader.tape, value, lambda _: True)  # bounds the recursion
    if isinstance(value, list | tuple | range) and len(value) <= 10_000:
        parts = [plain(reader, part) for part in value]
        if any(part is UNKNOWN for part in parts):
            return UNKNOWN
        return _NONE if any(part is _NONE for part in parts) else parts
    if type(value) is Known and (is_number(value.value) or isinstance(value.value, list)):
        return plain(reader, reader.need_value(value))
    if type(value) is Known and isinstance(value.value, np.ndarray):
        return plain(reader, reader.need_value(value))
    return _NONE


def _argument(at: ast.AST, name: str) -> ast.AST:
    """The place of a keyword's value; of the whole call where it is written without its name."""
    for keyword in getattr(at, "keywords", ()):
        if keyword.arg == name:
            return keyword.value  # type: ignore[no-any-return]
    return at
