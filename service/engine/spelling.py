"""How NumPy spells a call of an operator; part of the operator's registration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Spelling:
    """One NumPy function (and method of arrays) that the operator computes.

    arguments
        NumPy's parameters in order, apart by blanks: `axis`, or `ours=theirs` where NumPy
        has another name for an input or attribute of the operator ("x=a axis dtype out").
        A parameter that is neither is known, and refused when it is given. What stands
        behind `*` is written with its name only. A first parameter `*x=arrays` is a list
        of inputs.
    names
        NumPy's names without `np.` ("linalg.norm"), apart by blanks. Left out: the
        operator's own name and aliases, as far as NumPy has functions of these names.
    defaults
        Attributes that NumPy gives another default than the catalogue.
    flattens
        Whether NumPy takes all elements in a row where no axis is given.
    """

    arguments: str
    names: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    flattens: bool = False
