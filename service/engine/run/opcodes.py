"""The operations of the compiled way: one for each operator, kind of attributes and inputs wanted.

They follow from the registrations: an elementwise operator of up to three inputs that needs no
function but those of the C library has an operation for every choice among its attributes, and
its rules have one for every set of inputs that may want a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from service.engine.operators import REGISTRY
from service.engine.registry import Attribute, Operator
from service.engine.run.ir import translatable
from service.engine.run.number_code import Shape, Text, backward_text, forward_text

Key = tuple[int, Shape]
"""An operator's code and its attributes without their numbers."""


@dataclass(frozen=True, slots=True)
class Opcodes:
    """`forward[key]` and `backward[key, wanted]` are numbers of `texts`, from 0."""

    forward: dict[Key, int]
    backward: dict[tuple[Key, int], int]
    """`wanted` has a bit for each input."""
    forward_texts: list[tuple[int, Text]]
    backward_texts: list[tuple[int, int, Text]]
    """Inputs, the bits of those that get a gradient, and the statements."""


@cache
def opcodes() -> Opcodes:
    """The table, made once."""
    table = Opcodes({}, {}, [], [])
    for code, op in enumerate(REGISTRY):
        count = op.arity[0]
        if not op.elementwise or not op.scalar or op.composite or not 0 < count <= 3:
            continue
        if not translatable(forward_text(code, count, next(_shapes(op))).lines):
            continue
        for shape in _shapes(op):
            key = (code, shape)
            table.forward[key] = len(table.forward_texts)
            table.forward_texts.append((count, forward_text(code, count, shape)))
            for bits in range(1 << count):
                wanted = tuple(i for i in range(count) if bits >> i & 1 and op.rule(i))
                if not op.differentiable:
                    wanted = ()
                same = (key, sum(1 << i for i in wanted))
                if same not in table.backward:
                    table.backward[same] = len(table.backward_texts)
                    text = backward_text(code, count, wanted, shape)
                    table.backward_texts.append((count, same[1], text))
                table.backward[key, bits] = table.backward[same]
    return table


def _shapes(op: Operator) -> Iterator[Shape]:
    kinds = [[(name, one) for one in _kinds(a)] for name, a in op.attributes.items()]
    return product(*kinds)


def _kinds(attribute: Attribute) -> list[Any]:
    if attribute.choices:
        return list(attribute.choices)
    return [None, float] if attribute.nullable else [float]
