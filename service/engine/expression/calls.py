"""Calls: which function is meant, and which argument is what."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from service.engine.expression import arrays, composed, special
from service.engine.expression.binding import operator_of
from service.engine.expression.hints import foreign, of_function
from service.engine.expression.values import MAX_FAULTS, Unreadable, Value
from service.engine.numpy_compat import CATALOGUED, SPELLED, dotted_name, of_numpy

if TYPE_CHECKING:
    from service.engine.expression.reader import Reader

Function = Callable[..., Value]
_MAX_SUGGESTIONS = 5
"""A suggestion takes milliseconds to find."""


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
        inner = getattr(called, "func", None)
        name = getattr(inner, "attr", getattr(inner, "id", "")).lower()
        star = "a product is written with a star: 2 * (x + 1)"
        hint = f"write {name}(x)" if name in CATALOGUED else star
        raise reader.fault(at, "syntax", "only a named function can be called", hint)
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
    if name not in reader.near and len(reader.near) < _MAX_SUGGESTIONS:
        reader.near[name] = of_function(name, (*special.NUMPY, *arrays.NUMPY))
    hint = reader.near.get(name)
    factor = len(name) < 3 or name in reader.env or name in reader.tape.inputs
    if isinstance(at.func, ast.Name) and factor:
        hint = hint or f"a product is written with a star: {name[:40]} * (…)"
    hint = hint or "GET /v1/operators lists them all"
    return reader.fault(at, "unknown_operator", f"no operator '{name[:64]}'", hint, name[:64])
