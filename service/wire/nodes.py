"""The quick reader's view of a node: one msgspec struct per operator name.

Derived from the registry, as `service.wire.models` is; a test holds the two to the same
verdict. An alias has a struct of its own, for the tag `op` picks the struct.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from service.engine.operators import REGISTRY
from service.engine.registry import Attribute, Operator
from service.wire.tensors import Dtype, TensorJson

Reference = bool | float | str
"""A node's input: a node's id, or a literal number or truth value."""


class _Leaf(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="op"):
    id: str
    value: TensorJson | UnsetType | None = UNSET
    shape: list[int] | UnsetType | None = UNSET
    dtype: Dtype | UnsetType | None = UNSET

    @property
    def inputs(self) -> tuple[()]:
        return ()


class InputNode(_Leaf, tag="input"):
    """A leaf with a gradient."""


class ConstantNode(_Leaf, tag="constant"):
    """A leaf without one."""


def written_attributes(operator: Operator) -> dict[str, Attribute]:
    """The attributes that a node of this operator's name may have.

    Those of `max` and `min` are of two operators: with one input it is the reduction, with
    more the gate. The resolver refuses what doesn't belong to the one it is.
    """
    if not operator.gate:
        return dict(operator.attributes)
    return {**REGISTRY[operator.gate].attributes, **operator.attributes}


def written_operators() -> list[Operator]:
    """The operators that may be written in a graph, leaves left out."""
    return [op for op in REGISTRY if not op.internal and op.group != "leaf"]


def _struct(operator: Operator, tag: str) -> type[msgspec.Struct]:
    least, most = operator.arity
    fixed = least == most and not operator.gate
    inputs: Any = tuple[(Reference,) * least] if fixed else list[Reference]  # type: ignore[misc]
    fields: list[tuple[Any, ...]] = [("id", str), ("inputs", inputs)]
    for name, attribute in written_attributes(operator).items():
        kind = attribute.annotation
        fields.append((name, kind) if attribute.required else (name, kind | UnsetType, UNSET))
    return msgspec.defstruct(
        "Node",
        fields,
        tag_field="op",
        tag=tag,
        forbid_unknown_fields=True,
        gc=False,
        frozen=True,
        kw_only=True,
    )


STRUCTS: dict[type[msgspec.Struct], Operator] = {
    _struct(operator, tag): operator
    for operator in written_operators()
    for tag in (operator.name, *operator.aliases)
}
LEAVES: frozenset[type[msgspec.Struct]] = frozenset((InputNode, ConstantNode))
WITH_ATTRIBUTES: dict[type[msgspec.Struct], tuple[str, ...]] = {
    struct: tuple(written_attributes(operator))
    for struct, operator in STRUCTS.items()
    if written_attributes(operator)
}
NAMES: dict[type[msgspec.Struct], str] = {
    struct: str(struct.__struct_config__.tag) for struct in [*STRUCTS, *LEAVES]
}
"""The operator name as it was written, by struct."""

Node: Any = reduce(or_, (*STRUCTS, *LEAVES))
