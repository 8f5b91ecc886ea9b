"""What is written: graphs, nodes and tensors as Pydantic models.

Requests and answers are made of these (`requests`, `responses`), FastAPI documents them, and
`service.wire.faults` judges what was sent by them. The quick reader is derived from them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    create_model,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from service.engine.operators import REGISTRY
from service.engine.registry import Attribute, Operator

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())
Dtype = Literal["float64", "float32", "int64", "int32", "bool"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
Size = Annotated[int, Field(json_schema_extra={"minimum": 0})]
"""The length of an axis; `service.wire.tensors.check_shape` looks at whole shapes."""
CONTROL = re.compile("[\x00-\x1f\x7f]")


class ArrayData(BaseModel):
    """The elements of an array object: C order, little endian."""

    model_config = STRICT

    encoding: Literal["base64"]
    buffer: str


class ArrayObject(BaseModel):
    """A tensor whose elements are bytes."""

    model_config = STRICT

    shape: list[Size]
    dtype: Dtype
    data: ArrayData
    object_type: Literal["array"] = "array"


_ARRAY_OBJECT = {
    "object_type": "array",
    "shape": [2],
    "dtype": "float64",
    "data": {"encoding": "base64", "buffer": "AAAAAAAA8D8AAAAAAAAAQA=="},
}
Tensor = TypeAliasType(
    "Tensor",
    Annotated[
        Any,
        Field(
            description="A number, a truth value, a rectangular nested list of them, or an array "
            'object; "NaN", "Infinity" and "-Infinity" stand for the numbers that JSON lacks.',
            examples=[-2, [[1, 2], [3, "NaN"]], _ARRAY_OBJECT],
        ),
    ],
)
"""Any tensor; `service.wire.tensors` reads it.

It is any value in the document: a list of lists of any depth has no form without recursion,
which generators of clients don't take, and they lose the lists of a union.
"""
Tensors = dict[str, Tensor]


def _without_control_characters(name: str) -> str:
    if CONTROL.search(name):
        raise PydanticCustomError("control", "a node's id has control characters in it")
    return name


NodeId = Annotated[
    str,
    Field(min_length=1, description="The node's name, unique in the graph."),
    AfterValidator(_without_control_characters),
]
NodeInput = TypeAliasType(
    "NodeInput",
    Annotated[
        str | float | bool,
        Field(description="A node's id (`node.1` for a further output), or a literal number."),
    ],
)


class LeafForm(BaseModel):
    """A leaf: `input` has a gradient, `constant` has none and needs a value."""

    model_config = STRICT

    id: NodeId
    op: Literal["input", "constant"]
    value: Tensor = Field(None, description="A default; the request's `inputs` override it.")
    shape: list[Size] | None = Field(None, description="The shape that the value must have.")
    dtype: Dtype | None = Field(
        None, description="The value's dtype; the request's floating dtype where left out."
    )


class GateForm(BaseModel):
    """Any other node. Its operator, arity and attributes are the resolver's to judge."""

    model_config = ConfigDict(**{**STRICT, "extra": "allow"})

    id: NodeId
    op: str
    inputs: list[NodeInput] = Field(description="In order; a leaf has none.")


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


def _node() -> type[BaseModel]:
    """The model of any node, with every operator's attributes side by side."""
    users: dict[str, list[tuple[str, Attribute]]] = {}
    names = ["input", "constant"]
    for operator in written_operators():
        names += [operator.name, *operator.aliases]
        for name, attribute in written_attributes(operator).items():
            users.setdefault(name, []).append((operator.name, attribute))
    leaf = {n: f for n, f in LeafForm.model_fields.items() if n not in ("id", "op")}
    fields: dict[str, Any] = {
        "id": (NodeId, ...),
        "op": (
            Literal[tuple(names)],
            Field(
                description="`input` is a leaf with a gradient, `constant` one without. "
                "`/v1/operators` describes all others."
            ),
        ),
        "inputs": (list[NodeInput], Field([], description="In order; a leaf has none.")),
    }
    for name in sorted({*leaf, *users}):
        kinds: list[Any] = []
        lines: list[str] = []
        if name in leaf:
            kinds.append(leaf[name].annotation)
            lines.append(f"`input`, `constant`: {leaf[name].description}")
        kinds += [attribute.annotation for _, attribute in users.get(name, ())]
        lines += _attribute_lines(users.get(name, ()))
        kind = Tensor if name == "value" else _any_of(kinds)
        fields[name] = (kind, Field(None, description="\n\n".join(lines)))
    return create_model("Node", __config__=STRICT, __doc__="A leaf, or a gate.", **fields)


def _any_of(annotations: Iterable[Any]) -> Any:
    """The union of the types, with one Literal for all strings that stand for themselves."""
    types: dict[Any, None] = {}
    words: dict[str, None] = {}
    for annotation in annotations:
        union = get_origin(annotation) in (Union, UnionType)
        for kind in get_args(annotation) if union else (annotation,):
            if get_origin(kind) is Literal:
                words.update(dict.fromkeys(get_args(kind)))
            else:
                types[list[int] if kind == list[Size] else kind] = None
    return reduce(or_, [*types, *([Literal[tuple(words)]] if words else [])])


def _attribute_lines(users: Iterable[tuple[str, Attribute]]) -> Iterator[str]:
    """What an attribute means, with the operators that it means this for."""
    meanings: dict[str, list[str]] = {}
    for operator, attribute in users:
        needed = "required"
        if not attribute.required:
            default = attribute.default
            needed = "optional" if default is None else f"default {json.dumps(default)}"
        floor = "" if attribute.minimum is None else f", at least {attribute.minimum:g}"
        meanings.setdefault(f"{attribute.doc} ({needed}{floor})", []).append(f"`{operator}`")
    for meaning, operators in meanings.items():
        yield f"{', '.join(operators)}: {meaning}"


if TYPE_CHECKING:
    Node = BaseModel
else:
    Node = _node()

OutputNames = Annotated[
    str | list[str] | None,
    Field(
        description="A node id or a list of them. Left out, it is the one node that no other "
        "consumes."
    ),
]
_CIRCUIT: Any = {
    "nodes": [
        {"id": "x", "op": "input", "value": -2},
        {"id": "y", "op": "input", "value": 5},
        {"id": "z", "op": "input"},
        {"id": "q", "op": "add", "inputs": ["x", "y"]},
        {"id": "f", "op": "mul", "inputs": ["q", "z"]},
    ],
    "output": "f",
}


class NodesForm(BaseModel):
    """What stands in a graph of nodes, before each of them is looked at."""

    model_config = STRICT

    nodes: list[Any]
    output: OutputNames = None


class NodesGraph(NodesForm):
    """A graph as nodes in any order."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CIRCUIT]})

    nodes: list[Node] = Field(min_length=1)


class ExpressionGraph(BaseModel):
    """A graph as source text: assignments in Python's syntax, the last one its output.

    It is parsed, never executed.
    """

    model_config = STRICT

    expression: str = Field(examples=["(x + y) * z", "q = x + y\nf = q * z"])
    output: OutputNames = None


def _same(value: Any) -> Any:
    return value


Graph = TypeAliasType(
    "Graph",
    Annotated[
        Any,
        PlainValidator(_same, json_schema_input_type=NodesGraph | ExpressionGraph | str),
        Field(description="Nodes, source text, or the id or name of a registered graph."),
    ],
)
"""A graph wherever one is taken: written out, or registered; `service.wire.decode` reads it."""
