"""The documented view of the wire: Pydantic models, derived from the same sources as the
quick reader's structs.

The models of nodes come from the operator registry, those of requests from the structs of
`service.wire.requests`. They are made when they are first asked for: for the OpenAPI
document, and to explain why a body was refused.
"""

from __future__ import annotations

from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from service.engine.operators import REGISTRY
from service.engine.registry import Attribute, Operator
from service.wire.nodes import written_attributes, written_operators
from service.wire.tensors import DTYPES, Dtype, TensorJson

REFERENCE = "#/components/schemas/"
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

_COMPONENT = "x-component"
Tensor = Annotated[Any, WithJsonSchema({_COMPONENT: "Tensor"})]
"""Any tensor; `service.wire.tensors` reads it."""

_SENTENCE = "The three strings stand for the floating-point numbers that JSON lacks."
TENSOR_SCHEMAS: dict[str, Any] = {
    "Tensor": {
        "title": "Tensor",
        "description": f"A number, a truth value, a rectangular nested list of them, or an array "
        f"object. {_SENTENCE}",
        "anyOf": [
            {"type": "number"},
            {"type": "boolean"},
            {"$ref": f"{REFERENCE}NonFinite"},
            {"type": "array", "items": {"$ref": f"{REFERENCE}TensorElement"}},
            {"$ref": f"{REFERENCE}ArrayObject"},
        ],
        "examples": [-2, [[1, 2], [3, 4]], "NaN"],
    },
    "TensorElement": {
        "title": "TensorElement",
        "anyOf": [
            {"type": "number"},
            {"type": "boolean"},
            {"$ref": f"{REFERENCE}NonFinite"},
            {"type": "array", "items": {"$ref": f"{REFERENCE}TensorElement"}},
        ],
    },
    "NonFinite": {
        "title": "NonFinite",
        "type": "string",
        "enum": ["NaN", "Infinity", "-Infinity"],
        "description": _SENTENCE,
    },
    "ArrayObject": {
        "title": "ArrayObject",
        "type": "object",
        "description": "A tensor whose elements are bytes: C order, little endian.",
        "required": ["shape", "dtype", "data"],
        "additionalProperties": False,
        "properties": {
            "object_type": {"const": "array"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "dtype": {"type": "string", "enum": list(DTYPES)},
            "data": {
                "type": "object",
                "required": ["encoding", "buffer"],
                "additionalProperties": False,
                "properties": {
                    "encoding": {"const": "base64"},
                    "buffer": {"type": "string", "contentEncoding": "base64"},
                },
            },
        },
        "examples": [
            {
                "object_type": "array",
                "shape": [2],
                "dtype": "float64",
                "data": {"encoding": "base64", "buffer": "AAAAAAAA8D8AAAAAAAAAQA=="},
            }
        ],
    },
}
"""Components that are written by hand: what a tensor looks like."""


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
    shape: list[Annotated[int, Field(ge=0)]] | None = Field(
        None, description="The shape that the value must have."
    )
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


@cache
def node_type() -> Any:
    """Any node: a union discriminated on `op`."""
    models = [InputNode, ConstantNode, *map(_operator_model, written_operators())]
    return Annotated[reduce(or_, models), Field(discriminator="op")]


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


@cache
def graph_models() -> tuple[type[BaseModel], type[BaseModel]]:
    """The two written forms of a graph: nodes, and source text."""
    nodes = create_model(
        "NodesGraph",
        __config__=ConfigDict(**STRICT, json_schema_extra={"examples": [_CIRCUIT]}),
        __doc__="A graph as nodes in any order.",
        nodes=(list[node_type()], Field(min_length=1)),  # type: ignore[arg-type,misc]
        output=(OutputNames, None),
    )
    text = create_model(
        "ExpressionGraph",
        __config__=STRICT,
        __doc__="A graph as source text: assignments in Python's syntax, the last one its output. "
        "It is parsed, never executed.",
        expression=(str, Field(examples=["(x + y) * z", "q = x + y\nf = q * z"])),
        output=(OutputNames, None),
    )
    return nodes, text


GraphId = Annotated[
    str, Field(description="The id (`sha256:…`) or the name of a registered graph.")
]


@cache
def graph_type() -> Any:
    """A graph wherever one is taken: written out, or registered."""
    nodes, text = graph_models()
    return nodes | text | GraphId


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
    return _model_of(kind, graph_type())


@cache
def envelope_model(kind: type[msgspec.Struct]) -> type[BaseModel]:
    """The same for what stands beside the graph: any graph will do."""
    return _model_of(kind, Any)


def written_attribute(operator: str, name: str) -> Attribute | None:
    """The attribute of this name of an operator."""
    return written_attributes(REGISTRY[operator]).get(name)


def with_components(schema: Any) -> Any:
    """A JSON schema with references to the hand-written components where they belong.

    Pydantic takes no reference to what it has not made itself, so they are marked until then.
    """
    if isinstance(schema, dict):
        made = {key: with_components(value) for key, value in schema.items()}
        name = made.pop(_COMPONENT, None)
        return made if name is None else {"$ref": REFERENCE + name, **made}
    if isinstance(schema, list):
        return [with_components(item) for item in schema]
    return schema
