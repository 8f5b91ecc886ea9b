"""The quick reader: msgspec decoders made from the fields of the models.

It takes what is right and refuses the rest without a word: `service.wire.faults`, which reads
by the models themselves, says what is wrong. Without this module every answer is the same,
only slower. An operator's nodes are one struct, with the types that the model of a node has.

msgspec lets the last of several members of one name win, so the members that were decoded
are counted against the colons of the text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from itertools import compress
from operator import attrgetter, or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from annotated_types import Ge, Gt, Le, Lt
from msgspec import UNSET, Raw, UnsetType
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from service.engine.collector import CollectorHeldBack
from service.engine.control import Limits
from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.registry import Operator
from service.wire import models
from service.wire.expressions import read_expression
from service.wire.json_text import check_members_once
from service.wire.models import CONTROL, written_attributes, written_operators
from service.wire.tensors import read_leaf, tensor_members

_OPTIONS: dict[str, Any] = {"forbid_unknown_fields": True, "frozen": True, "kw_only": True}
_LIMITS = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt"}


class Unreadable(Exception):
    """The text is not taken; whether and why it is wrong is another's to say."""


def _decoded(annotation: Any, notes: tuple[Any, ...] = ()) -> Any:
    """A model's annotation as the type that msgspec decodes."""
    if annotation is models.Graph:
        return Raw
    if annotation is models.Tensor:
        return _TENSOR
    if isinstance(annotation, TypeAliasType):
        return _decoded(annotation.__value__)
    if hasattr(annotation, "__metadata__"):
        return _decoded(annotation.__origin__, annotation.__metadata__)
    bounds = {
        _LIMITS[type(one)]: getattr(one, _LIMITS[type(one)])
        for note in notes
        for one in (*getattr(note, "metadata", ()), note)
        if type(one) in _LIMITS
    }
    if bounds:
        return Annotated[annotation, msgspec.Meta(**bounds)]
    origin = get_origin(annotation)
    if origin in (dict, list):
        return origin[tuple(map(_decoded, get_args(annotation)))]
    if origin in (Union, UnionType):
        return reduce(or_, map(_decoded, get_args(annotation)))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct(annotation)
    return annotation


@cache
def _struct(model: type[BaseModel]) -> type[msgspec.Struct]:
    fields = [_field(name, field) for name, field in model.model_fields.items()]
    return msgspec.defstruct(model.__name__, fields, **_OPTIONS)


def _field(name: str, field: Any) -> tuple[Any, ...]:
    """One member: what was not given can be told from what was."""
    kind = _decoded(field.annotation, tuple(field.metadata))
    if field.is_required():
        return name, kind
    return name, kind | UnsetType, UNSET


_TENSOR: Any = float | bool | str | list[Any] | _struct(models.ArrayObject)


class _Members:
    """How the members of a request are decoded: made once for each model."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.names = tuple(model.model_fields)
        single, named = tensor_members(model)
        kinds = {name: field.annotation for name, field in model.model_fields.items()}
        others = [name for name, kind in kinds.items() if get_origin(kind) is dict]
        self.counted = tuple(dict.fromkeys([*others, *named, *single]))
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(_struct(model)).decode


_members = cache(_Members)


def members(body: bytes, model: type[BaseModel]) -> dict[str, Any]:
    """The members of a request that were given: tensors unread, and the graph as its text.

    Raises Unreadable; MalformedJson for two members of one name. Those of the graph are
    counted when it is read for the first time.
    """
    reader = _members(model)
    try:
        decoded = reader.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unreadable from None
    given = {
        name: value
        for name, value in zip(reader.names, msgspec.structs.astuple(decoded), strict=True)
        if value is not UNSET
    }
    text = given["graph"] = bytes(given["graph"])
    count = len(given)
    for name in reader.counted:
        if name in given:
            count += count_members(given[name])
    check_members_once(body, colons_beside(body, text), count)
    return given


def colons_beside(body: bytes, text: bytes) -> int:
    """The colons of `body` outside of `text`, which stands somewhere in it.

    A large text is found and left out, since counting its colons takes as long as skipping it.
    """
    if len(text) > 4096:
        start = body.find(text[:256])
        if body.startswith(text, start):
            return body.count(b":", 0, start) + body.count(b":", start + len(text))
    return body.count(b":") - text.count(b":")


_PLAIN = frozenset((float, bool, str, list, type(None)))


def count_members(value: Any) -> int:
    """The members of a decoded value: those given of a struct, those of dicts in it.

    Lists are not looked into: no member of a request is a list of objects.
    """
    if isinstance(value, msgspec.Struct):
        total = 0
        for name in value.__struct_fields__:
            member = getattr(value, name)
            if member is not UNSET:
                total += 1 + count_members(member)
        # The tag is a member too.
        return total + (value.__struct_config__.tag is not None)
    if isinstance(value, dict):
        if _PLAIN.issuperset(map(type, value.values())):
            return len(value)
        return len(value) + sum(
            count_members(member)
            for member in value.values()
            if isinstance(member, dict | msgspec.Struct)
        )
    return 0


def _leaf_struct(op: str) -> type[msgspec.Struct]:
    fields = [_field(n, f) for n, f in models.LeafForm.model_fields.items() if n != "op"]
    beside = {"inputs": ()}
    return msgspec.defstruct(
        "Leaf", fields, tag_field="op", tag=op, gc=False, namespace=beside, **_OPTIONS
    )


def _gate_struct(operator: Operator, tag: str) -> type[msgspec.Struct]:
    gate, node = models.GateForm.model_fields, models.Node.model_fields
    least, most = operator.arity
    reference = _decoded(models.NodeInput)
    fixed = least == most and not operator.gate
    inputs: Any = (
        tuple.__class_getitem__((reference,) * least)
        if fixed
        else list.__class_getitem__(reference)
    )
    fields = [_field("id", gate["id"]), ("inputs", inputs)]
    fields += [_field(name, node[name]) for name in written_attributes(operator)]
    return msgspec.defstruct("Node", fields, tag_field="op", tag=tag, gc=False, **_OPTIONS)


_GATES: dict[type[msgspec.Struct], Operator] = {
    _gate_struct(operator, tag): operator
    for operator in written_operators()
    for tag in (operator.name, *operator.aliases)
}
_LEAVES = frozenset(map(_leaf_struct, ("input", "constant")))
_WITH_ATTRIBUTES = {
    struct: tuple(written_attributes(operator))
    for struct, operator in _GATES.items()
    if written_attributes(operator)
}
_NAMES: dict[type[msgspec.Struct], str] = {
    struct: str(struct.__struct_config__.tag) for struct in [*_GATES, *_LEAVES]
}
"""The operator's name as it was written, by struct."""
_NODE: Any = reduce(or_, (*_GATES, *_LEAVES))
_OUTPUT = str | list[str] | UnsetType | None
_GRAPH: Any = msgspec.defstruct(
    "Graph",
    [
        ("nodes", list[_NODE] | UnsetType, UNSET),
        ("expression", str | UnsetType, UNSET),
        ("output", _OUTPUT, UNSET),
    ],
    **_OPTIONS,
)
_decode_graph = msgspec.json.Decoder(_GRAPH).decode
_id, _inputs = attrgetter("id"), attrgetter("inputs")


def read_graph(text: bytes, limits: Limits) -> Graph:
    """The resolved graph that a JSON text describes.

    Raises Unreadable where the form is wrong, GraphError for what is wrong with a graph of the
    right form, MalformedJson for two members of one name.
    """
    with CollectorHeldBack(len(text)):
        try:
            decoded = _decode_graph(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Unreadable from None
        nodes = decoded.nodes
        if (nodes is UNSET) == (decoded.expression is UNSET):
            raise Unreadable
        output = None if decoded.output is UNSET else decoded.output
        if nodes is UNSET:
            check_members_once(text, text.count(b":"), count_members(decoded))
            return read_expression(decoded.expression, output, limits)
        limits.check("nodes", len(nodes))
        outer = 1 + (decoded.output is not UNSET)
        del decoded
        spec, count = _columns(nodes, limits)
        spec.output = output
        del nodes
        check_members_once(text, text.count(b":"), outer + count)
        strange = b"\\" in text or b"\x7f" in text
        if strange and any(map(CONTROL.search, spec.ids)):
            raise Unreadable
        graph = resolve(spec, limits)
    if "" in graph.index:
        raise Unreadable
    return graph


def _columns(nodes: list[Any], limits: Limits) -> tuple[GraphSpec, int]:
    """The nodes as columns, and how many members they have.

    Written as whole-list operations: a loop over a million nodes costs more than parsing them.
    """
    kinds = list(map(type, nodes))
    spec = GraphSpec(
        ids=list(map(_id, nodes)),
        ops=list(map(_NAMES.__getitem__, kinds)),
        inputs=list(map(_inputs, nodes)),
    )
    members = 3 * len(nodes)
    present = set(kinds)
    positions = range(len(nodes))
    if not _LEAVES.isdisjoint(present):
        for position in compress(positions, map(_LEAVES.__contains__, kinds)):
            node = nodes[position]
            members += count_members(node) - 3
            spec.leaves[position] = _leaf(node, spec.ops[position], position, limits)
    if not present.isdisjoint(_WITH_ATTRIBUTES):
        for position in compress(positions, map(_WITH_ATTRIBUTES.__contains__, kinds)):
            node = nodes[position]
            attrs = {}
            for name in _WITH_ATTRIBUTES[kinds[position]]:
                value = getattr(node, name)
                if value is not UNSET:
                    attrs[name] = value
            if attrs:
                members += len(attrs)
                spec.attrs[position] = attrs
    return spec, members


def _leaf(node: Any, op: str, position: int, limits: Limits) -> Leaf:
    value, shape, dtype = node.value, node.shape, node.dtype
    if type(value) is float and shape is UNSET and dtype is UNSET:
        return Leaf("input" if op == "input" else "constant", value)
    value, shape, dtype = (None if one is UNSET else one for one in (value, shape, dtype))
    return read_leaf(op, node.id, value, shape, dtype, f"/nodes/{position}", limits)
