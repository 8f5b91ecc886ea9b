"""The documented view of the wire: Pydantic models, derived from the same sources as the
quick reader's structs.

The models of nodes come from the operator registry, those of requests from the structs of
`service.wire.requests`. They are made when they are first asked for: for the OpenAPI
document, and to explain why a body was refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    create_model,
)
from typing_extensions import TypeAliasType

from service.engine.operators import REGISTRY
from service.engine.registry import Attribute, Operator
from service.wire.nodes import written_attributes, written_operators
from service.wire.tensors import Dtype, TensorJson

REFERENCE = "#/components/schemas/"
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

Size = Annotated[int, Field(ge=0)]


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


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _attribute_field(attribute: Attribute) -> Any:
    extra: Any = {} if attribute.minimum is None else {"minimum": attribute.minimum}
    default: Any = ... if attribute.required else attribute.default
    notes = Field(default, description=attribute.doc or None, json_schema_extra=extra or None)
    return attribute.annotation, notes


class NodeBase(BaseModel):
    """What every node has."""

    model_config = STRICT

    id: str = Field(min_length=1, description="The node's name, unique in the graph.")


InputOf = Annotated[
    str | float | bool,
    Field(description="A node's id (`node.1` for a further output), or a literal number."),
]


@cache
def _operator_model(operator: Operator) -> type[NodeBase]:
    least, most = operator.arity
    if operator.gate:
        most = None
    what = ", ".join(operator.inputs) + (", …" if most is None else "")
    fields: dict[str, Any] = {
        "op": (Literal[(operator.name, *operator.aliases)], ...),
        "inputs": (
            list[InputOf],
            Field(
                description=f"In order: {what}.",
                json_schema_extra={"minItems": least, **({"maxItems": most} if most else {})},
            ),
        ),
    }
    for name, attribute in written_attributes(operator).items():
        fields[name] = _attribute_field(attribute)
    doc = f"{operator.summary}\n\n`{operator.formula}`"
    return create_model(f"{_camel(operator.name)}Node", __base__=NodeBase, __doc__=doc, **fields)


class _LeafNode(NodeBase):
    shape: list[Size] | None = Field(None, description="The shape that the value must have.")
    dtype: Dtype | None = Field(
        None, description="The value's dtype; the request's floating dtype where left out."
    )


class InputNode(_LeafNode):
    """A leaf with a gradient."""

    op: Literal["input"]
    value: Tensor = Field(None, description="A default; the request's `inputs` override it.")


class ConstantNode(_LeafNode):
    """A leaf without a gradient."""

    op: Literal["constant"]
    value: Tensor = Field(description="The value.")


def node_model(name: str) -> type[NodeBase] | None:
    """The model of the nodes of the operator of this name; None when none may be written."""
    if name == "input":
        return InputNode
    if name == "constant":
        return ConstantNode
    if name not in REGISTRY or REGISTRY[name].internal:
        return None
    return _operator_model(REGISTRY[name])


NodeInput = TypeAliasType(
    "NodeInput",
    Annotated[
        str | float | bool,
        Field(description="A node's id (`node.1` for a further output), or a literal number."),
    ],
)


def _node() -> type[BaseModel]:
    """Any node: one model, with every operator's attributes side by side."""
    users: dict[str, list[tuple[str, Attribute]]] = {}
    names = ["input", "constant"]
    for operator in written_operators():
        names += [operator.name, *operator.aliases]
        for name, attribute in written_attributes(operator).items():
            users.setdefault(name, []).append((operator.name, attribute))
    fields: dict[str, Any] = {
        "id": (str, Field(min_length=1, description="The node's name, unique in the graph.")),
        "op": (
            Literal[tuple(names)],
            Field(
                description="`input` is a leaf with a gradient, `constant` one without. "
                "`/v1/operators` describes all others."
            ),
        ),
        "inputs": (list[NodeInput], Field([], description="In order; a leaf has none.")),
    }
    leaf = {name: field for name, field in InputNode.model_fields.items() if name not in fields}
    for name in sorted({*leaf, *users}):
        kinds, lines = [], []
        if name in leaf:
            kinds.append(list[int] | None if name == "shape" else leaf[name].annotation)
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
                types[kind] = None
    return reduce(or_, [*types, *([Literal[tuple(words)]] if words else [])])


def _attribute_lines(users: Iterable[tuple[str, Attribute]]) -> Iterator[str]:
    """What an attribute means, with the operators that it means this for."""
    meanings: dict[str, list[str]] = {}
    for operator, attribute in users:
        needed = "required"
        if not attribute.required:
            needed = (
                "optional"
                if attribute.default is None
                else f"default {json.dumps(attribute.default)}"
            )
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


class GraphMembers(BaseModel):
    """What may stand in a graph, before its nodes are looked at."""

    model_config = STRICT

    nodes: list[Any] = []
    expression: str = ""
    output: OutputNames = None


class NodesGraph(BaseModel):
    """A graph as nodes in any order."""

    model_config = ConfigDict(**STRICT, json_schema_extra={"examples": [_CIRCUIT]})

    nodes: list[Node] = Field(min_length=1)
    output: OutputNames = None


class ExpressionGraph(BaseModel):
    """A graph as source text: assignments in Python's syntax, the last one its output.

    It is parsed, never executed.
    """

    model_config = STRICT

    expression: str = Field(examples=["(x + y) * z", "q = x + y\nf = q * z"])
    output: OutputNames = None


Graph = TypeAliasType(
    "Graph",
    Annotated[
        NodesGraph | ExpressionGraph | str,
        Field(description="Nodes, source text, or the id or name of a registered graph."),
    ],
)
"""A graph wherever one is taken: written out, or registered."""


def _documented(annotation: Any, graph: Any) -> Any:
    """A struct's annotation with the documented types in the place of the decoded ones."""
    if annotation is msgspec.Raw:
        return graph
    if annotation == TensorJson:
        return Tensor
    if annotation == TensorJson | None:
        return Tensor
    if hasattr(annotation, "__metadata__"):
        notes: dict[str, Any] = {}
        for note in annotation.__metadata__:
            if note.description is not None:
                notes["description"] = note.description
            for limit in ("ge", "gt", "le", "lt", "min_length", "max_length"):
                if getattr(note, limit) is not None:
                    notes[limit] = getattr(note, limit)
        return Annotated[_documented(annotation.__origin__, graph), Field(**notes)]
    origin = get_origin(annotation)
    if origin in (dict, list):
        return origin[tuple(_documented(part, graph) for part in get_args(annotation))]
    if origin is not None and type(annotation).__name__ in ("UnionType", "_UnionGenericAlias"):
        return reduce(or_, (_documented(part, graph) for part in get_args(annotation)))
    return annotation


def _model_of(kind: type[msgspec.Struct], graph: Any) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for field in sorted(msgspec.structs.fields(kind), key=lambda one: one.name != "graph"):
        default: Any = ...
        if not field.required:
            default = field.default
            if default is msgspec.NODEFAULT:
                default = field.default_factory()
        fields[field.name] = (_documented(field.type, graph), default)
    return create_model(kind.__name__, __config__=STRICT, __doc__=kind.__doc__, **fields)


@cache
def request_model(kind: type[msgspec.Struct]) -> type[BaseModel]:
    """The model that documents a request struct."""
    return _model_of(kind, Graph)


@cache
def envelope_model(kind: type[msgspec.Struct]) -> type[BaseModel]:
    """The same for what stands beside the graph: any graph will do."""
    return _model_of(kind, Any)


def written_attribute(operator: str, name: str) -> Attribute | None:
    """The attribute of this name of an operator."""
    return written_attributes(REGISTRY[operator]).get(name)
