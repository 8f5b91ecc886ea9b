"""Calls: which function is meant, and which argument is what."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from service.engine.expression import arrays, composed, special
from service.engine.expression.binding import operator_of
from service.engine.expression.values import MAX_FAULTS, Unreadable, Value
from service.engine.numpy_compat import CATALOGUED, SPELLED, dotted_name, foreign, of_numpy

if TYPE_CHECKING:
    from service.engine.expression.reader import Reader

Function = Callable[..., Value]
_MAX_SUGGESTIONS = 5
"""A suggestion takes milliseconds to find."""
_PYTHON = {
    "print": "leave it out: every value is in the answer",
    "input": "a name that is never assigned is an input",
    "sorted": "sort isn't read; max, min and argmax are",
    "map": "write a loop: ys = []; for x in xs: ys.append(…)",
    "filter": "write where(condition, a, b)",
    "isinstance": "leave it out",
    "type": "leave it out",
    "divmod": "write a // b and a % b",
    "any": "write max(x), or sum(x) > 0",
    "all": "write min(x), or a product of comparisons",
    "open": "give the numbers as an input",
    "str": "leave it out",
    "set": "write a list: [a, b]",
    "dict": "give each value a name of its own",
    "ln": "write log(x)",
    "log_e": "write log(x)",
    "lg": "write log10(x)",
    "tg": "write tan(x)",
    "arctg": "write atan(x)",
    "sgn": "write sign(x)",
    "sqr": "write x ** 2",
    "cbrt": "write sign(x) * abs(x) ** (1 / 3)",
    "avg": "write mean(x)",
    "average": "write mean(x)",
    "magnitude": "write norm(x)",
    "cat": "write concat([a, b], axis=0)",
    "mm": "write a @ b",
    "bmm": "write a @ b",
    "logistic": "write sigmoid(x)",
    "expit": "write sigmoid(x)",
    "median": "it isn't read: mean is",
    "ReLU": "write relu(x)",
    "Sigmoid": "write sigmoid(x)",
    "Softmax": "write softmax(x)",
    "crossentropy": "write cross_entropy(logits, labels)",
}
"""Functions that aren't read, and what is written instead."""


def call(reader: Reader, at: ast.Call) -> Value:
    """What a call comes to."""
    plan = reader.plans.get(id(at))
    if plan is None:
        plan = reader.plans[id(at)] = _plan(reader, at)
    function, arguments, keywords = plan
    values, failed = [], None
    for one in arguments:
        try:
            values.append(reader.value(one))
        except Unreadable as error:
            failed = error
            if len(reader.faults) >= MAX_FAULTS:
                raise
    named = {}
    for name, one in keywords:
        named[name] = reader.value(one)
    if failed is not None:
        raise failed
    return function(reader, at, values, named)


def _plan(
    reader: Reader, at: ast.Call
) -> tuple[Function, list[ast.expr], list[tuple[str, ast.expr]]]:
    function, owner = _function(reader, at)
    arguments = [*([owner] if owner is not None else []), *at.args]
    if any(isinstance(one, ast.Starred) for one in arguments):
        raise reader.fault(at, "syntax", "* is not read", "write the arguments one by one")
    keywords: list[tuple[str, ast.expr]] = []
    for keyword in at.keywords:
        if keyword.arg is None:
            raise reader.fault(at, "syntax", "** is not read", "write the arguments one by one")
        if keyword.arg in (name for name, _ in keywords):
            raise reader.fault(at, "attribute", f"'{keyword.arg[:64]}' is given twice")
        keywords.append((keyword.arg, keyword.value))
    return function, arguments, keywords


def _function(reader: Reader, at: ast.Call) -> tuple[Function, ast.expr | None]:
    """What is called, and the value whose method it is, if any."""
    called = at.func
    if isinstance(called, ast.Name):
        return _bare(reader, at, called.id), None
    if not isinstance(called, ast.Attribute):
        raise reader.fault(at, "syntax", "only a named function can be called")
    if reader.inlining and isinstance(called.value, ast.Name) and called.value.id == "op":
        return composed.OWN[called.attr], None
    name = dotted_name(called)
    if name is not None and not _is_assigned(reader, called):
        return _of_module(reader, at, name), None
    if (told := foreign(called, reader.env)) is not None:
        raise reader.fault(
            at, "unknown_operator", f"'{told[0]}' is not read", told[1], called.attr[:64]
        )
    return _method(reader, at, called.attr), called.value


def _is_assigned(reader: Reader, at: ast.expr) -> bool:
    while isinstance(at, ast.Attribute):
        at = at.value
    return isinstance(at, ast.Name) and at.id in reader.env


def _bare(reader: Reader, at: ast.Call, name: str) -> Function:
    """A function without a module: Python's, NumPy's, or the catalogue's."""
    for table in (special.BARE, arrays.BARE, special.NUMPY, arrays.NUMPY):
        if name in table:
            return table[name]
    if name in SPELLED and "." not in name:
        return operator_of(SPELLED[name], name)
    if name in CATALOGUED:
        return operator_of(CATALOGUED[name], name)
    raise _unknown(reader, at, name)


def _of_module(reader: Reader, at: ast.Call, name: str) -> Function:
    """A function behind `np.` or `math.`."""
    root: ast.expr = at.func
    while isinstance(root, ast.Attribute):
        root = root.value
    if isinstance(root, ast.Name) and root.id == "math" and name in special.MATH:
        return special.MATH[name]
    for table in (special.NUMPY, arrays.NUMPY):
        if name in table:
            return table[name]
    if name in SPELLED:
        return operator_of(SPELLED[name], name)
    short = name.rpartition(".")[2]
    if name in CATALOGUED and of_numpy(name) is None:
        return operator_of(CATALOGUED[name], name)
    if short != name and short in CATALOGUED and of_numpy(name) is not None:
        return operator_of(CATALOGUED[short], short)
    raise _unknown(reader, at, name)


def _method(reader: Reader, at: ast.Call, name: str) -> Function:
    """A method of an array; the catalogue's operators serve as methods too."""
    for table in (special.METHODS, arrays.METHODS):
        if name in table:
            return table[name]
    if hasattr(np.ndarray, name):
        if not callable(getattr(np.ndarray, name)):
            raise reader.fault(
                at, "syntax", f"'.{name}' is no function", f"write x.{name}, without brackets"
            )
        for numpys in (special.NUMPY, arrays.NUMPY):
            if name in numpys:
                return numpys[name]
        if name in SPELLED:
            return operator_of(SPELLED[name], name)
    elif name in CATALOGUED:
        return operator_of(CATALOGUED[name], name)
    elif name in special.NUMPY:
        return special.NUMPY[name]
    raise _unknown(reader, at, name)


def _unknown(reader: Reader, at: ast.Call, name: str) -> Exception:
    """The fault of a function that isn't read, with what is near it."""
    short = name.rpartition(".")[2]
    hint = _PYTHON.get(name) or _PYTHON.get(short)
    if hint is None:
        if name not in reader.near and len(reader.near) < _MAX_SUGGESTIONS:
            reader.near[name] = suggestion(short)
        near = reader.near.get(name)
        hint = f"did you mean '{near}'?" if near else "GET /v1/operators lists them all"
    return reader.fault(at, "unknown_operator", f"no operator '{name[:64]}'", hint, name[:64])


def suggestion(name: str) -> str | None:
    """The name that can be called and of which `name` is a misspelling; None if none is near."""
    known = [*CATALOGUED, *(n for n in (*SPELLED, *special.NUMPY, *arrays.NUMPY) if "." not in n)]
    cut = name.lower()[:64]
    near = difflib.get_close_matches(cut, dict.fromkeys(known), 3, 0.8 if len(cut) < 5 else 0.75)
    return next((one for one in near if one[0] == cut[0] and len(one) > 2), None)
