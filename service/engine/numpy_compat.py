"""NumPy's names: which function is which operator, which names are constants or dtypes.

What NumPy calls an operator, and in which order its parameters stand, comes from the
operators' registrations.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.engine.operators import REGISTRY
from service.engine.registry import Operator
from service.engine.spelling import Spelling

MODULES = frozenset({"math", "np", "numpy"})
"""Names that may stand in front of a function."""
SUBMODULES = frozenset({"linalg"})

CONSTANTS = {
    "pi": math.pi,
    "e": math.e,
    "tau": math.tau,
    "inf": math.inf,
    "nan": math.nan,
    "euler_gamma": 0.5772156649015329,
    "newaxis": None,
}

DTYPES = {
    "float": "float64",
    "float64": "float64",
    "double": "float64",
    "float32": "float32",
    "single": "float32",
    "int": "int64",
    "int64": "int64",
    "int_": "int64",
    "intp": "int64",
    "int32": "int32",
    "bool": "bool",
    "bool_": "bool",
}
"""NumPy's and Python's names of dtypes."""

_MATH = {
    "fabs": "abs",
    "dist": None,
    "gamma": None,
    "fsum": "sum",
    "fmod": None,
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a NumPy function: `ours` is an input's or an attribute's name, or None."""

    ours: str | None
    theirs: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """How a call of an operator is read: parameters by position, and more by name."""

    operator: Operator
    positional: tuple[Parameter, ...]
    by_name: dict[str, Parameter]
    defaults: dict[str, Any]
    flattens: bool = False


def _signature(op: Operator, spelling: Spelling) -> Signature:
    positional: list[Parameter] = []
    by_name: dict[str, Parameter] = {}
    for name in (*op.attributes, *(() if op.variadic else op.inputs)):
        by_name[name] = Parameter(name, name)
    named_only = False
    for written in spelling.arguments.split():
        if written == "*":
            named_only = True
            continue
        ours, _, theirs = written.lstrip("*").partition("=")
        known: str | None = ours if ours in op.inputs or ours in op.attributes else None
        parameter = Parameter(known, theirs or ours, written.startswith("*"))
        by_name[parameter.theirs] = parameter
        if not named_only:
            positional.append(parameter)
    return Signature(op, tuple(positional), by_name, dict(spelling.defaults), spelling.flattens)


def of_numpy(name: str) -> Any:
    """NumPy's function of a dotted name, or None."""
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if callable(found) and not isinstance(found, type) else None


def _own_spelling(op: Operator) -> Spelling:
    """An operator that says nothing: its inputs in order, then its attributes by name."""
    inputs = " ".join(op.inputs)
    return Spelling(f"*{op.inputs[0]}" if op.variadic else f"{inputs} out")


def _spelled() -> dict[str, Signature]:
    found: dict[str, Signature] = {}
    for op in REGISTRY:
        if op.internal or op.group == "leaf":
            continue
        for spelling in op.numpy or (_own_spelling(op),):
            names = spelling.names.split()
            if not names and (op.elementwise or op.numpy):
                names = [name for name in (op.name, *op.aliases) if of_numpy(name) is not None]
            for name in names:
                found[name] = _signature(op, spelling)
    return found


SPELLED = _spelled()
"""NumPy's names without `np.`, and how a call of each is read."""


def catalogued(op: Operator) -> Signature:
    """A call by the catalogue's own order: inputs, then attributes."""
    order = f"*{op.inputs[0]} axis" if op.variadic else " ".join((*op.inputs, *op.attributes))
    return _signature(op, Spelling(order))


CATALOGUED = {
    name: catalogued(op)
    for op in REGISTRY
    if not op.internal and op.group != "leaf"
    for name in (op.name, *op.aliases)
}
"""The catalogue's own names: inputs in order, then attributes in order."""


def dotted_name(at: ast.expr) -> str | None:
    """`linalg.inv` of `np.linalg.inv`; None for what has no module of NumPy's in front."""
    if not isinstance(at, ast.Attribute):
        return None
    name, owner = at.attr, at.value
    if isinstance(owner, ast.Attribute) and owner.attr in SUBMODULES:
        name, owner = f"{owner.attr}.{name}", owner.value
    return name if isinstance(owner, ast.Name) and owner.id in MODULES else None
