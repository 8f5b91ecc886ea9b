"""Why a body was refused: every fault that one pass finds, each with its place.

The quick reader stops at the first thing that it doesn't take, and says little about it.
Here the body is read once more, its form is held against the models, and what is well
formed goes on to the engine's resolver, so that a misspelt attribute does not hide a cycle.
Nothing that was sent is repeated but the names of places.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec
from pydantic import BaseModel, ValidationError

from service.engine.control import Limits
from service.engine.errors import Fault, GraphError, escaped
from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.operators import REGISTRY
from service.wire.context import MAX_FAULTS, Context
from service.wire.graphs import (
    Unreadable,
    control_characters,
    find_graph,
    read_expression,
    read_leaf,
)
from service.wire.json_text import shown, strict_json
from service.wire.models import (
    GraphMembers,
    NodeBase,
    envelope_model,
    node_model,
    written_attribute,
)
from service.wire.tensors import (
    TENSOR,
    TENSORS,
    ArrayObject,
    as_array_object,
    read_tensor,
    without_notes,
)

_UNREADABLE = Fault("invalid_request", "the request can not be read", pointer="#")


def explain_request(body: bytes, kind: type[msgspec.Struct], context: Context) -> NoReturn:
    """Raise what is wrong with a body that the quick reader refused as a `kind`."""
    document = strict_json(body, context.max_depth)
    if not isinstance(document, dict):
        raise GraphError([Fault("invalid_request", "the body is a JSON object", pointer="#")])
    faults = list(_envelope_faults(document, kind, context.limits))
    graph = document.get("graph")
    if isinstance(graph, dict):
        faults += graph_faults(graph, context.limits)
    elif isinstance(graph, str):
        try:
            find_graph(msgspec.json.encode(graph), context)
        except GraphError as error:
            faults += error.faults
        except Unreadable:
            detail = "the registered graph can not be read any more: register it again"
            faults.append(Fault("invalid_request", detail, pointer=""))
    elif "graph" in document:
        detail = "a graph is an object with nodes or an expression, or the id of a registered one"
        faults.append(Fault("invalid_request", detail, pointer=""))
    raise GraphError(faults or [_UNREADABLE])


def explain_graph(text: bytes, limits: Limits, max_depth: int) -> NoReturn:
    """Raise what is wrong with a graph's text that the quick reader refused."""
    document = strict_json(text, max_depth)
    if not isinstance(document, dict):
        raise GraphError([Fault("invalid_request", "a graph is a JSON object", pointer="")])
    raise GraphError(graph_faults(document, limits) or [_UNREADABLE])


def _envelope_faults(
    document: Mapping[str, Any], kind: type[msgspec.Struct], limits: Limits
) -> Iterable[Fault]:
    """What is wrong beside the graph."""
    model = envelope_model(kind)
    yield from _form_faults(model, document, "#", list(model.model_fields))
    for field in msgspec.structs.fields(kind):
        value = document.get(field.name)
        plain = without_notes(field.type)
        if value is None:
            continue
        if plain in TENSOR:
            yield from _tensor_faults(value, f"#/{field.name}", limits)
        elif plain in TENSORS and isinstance(value, dict):
            for name, item in value.items():
                yield from _tensor_faults(item, f"#/{field.name}/{escaped(name)}", limits)


def _form_faults(
    model: type[BaseModel], document: Mapping[str, Any], pointer: str, known: Sequence[str]
) -> Iterable[Fault]:
    """What the model has against the document, one fault for each place."""
    try:
        model.model_validate(document)
    except ValidationError as error:
        places: set[str] = set()
        for found in error.errors(include_url=False, include_context=True, include_input=False):
            place = _place(found["loc"], document)
            if place not in places and len(places) < MAX_FAULTS:
                places.add(place)
                yield _form_fault(found, pointer + place, known)


def _place(location: Sequence[int | str], document: Any) -> str:
    """The pointer to a location: parts that only name a branch of a union are left out."""
    parts: list[str] = []
    value = document
    for part in location:
        if isinstance(value, dict) and (part in value or not parts):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        parts.append("/" + escaped(str(part)))
    return "".join(parts)


def _form_fault(found: Mapping[str, Any], pointer: str, known: Sequence[str]) -> Fault:
    name = str(found["loc"][-1])
    kind = found["type"]
    if kind == "missing":
        return Fault("invalid_request", f"'{name}' is missing", pointer=pointer)
    if kind == "extra_forbidden":
        hint = suggestion(name, known)
        return Fault(
            "invalid_request", "there is no member of this name", pointer=pointer, hint=hint
        )
    return Fault("invalid_request", _words(found), pointer=pointer)


def suggestion(name: str, known: Sequence[str]) -> str:
    """The known name nearest to a misspelt one, or all of them."""
    near = difflib.get_close_matches(name[:64], known, 1, 0.6)
    return f"did you mean '{near[0]}'?" if near else "it takes " + ", ".join(known)


def _words(found: Mapping[str, Any]) -> str:
    """What a member should be."""
    message = str(found["msg"])
    return message.replace("Input should be", "this should be").replace(
        "Input should", "this should"
    )


def _tensor_faults(value: Any, pointer: str, limits: Limits) -> Iterable[Fault]:
    """What is wrong with a tensor's JSON."""
    try:
        read_tensor(tensor_document(value, pointer), pointer, limits)
    except GraphError as error:
        yield from error.faults


def tensor_document(value: Any, pointer: str) -> Any:
    """A tensor's JSON as the quick reader decodes it; GraphError for a broken array object."""
    if not isinstance(value, dict):
        return value
    try:
        return as_array_object(value)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        if message.startswith("Invalid enum value"):
            message = "Invalid value"
        place = pointer + path.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        detail = f"not an array object: {shown(message)}"
        raise GraphError(
            [
                Fault(
                    "invalid_tensor",
                    detail,
                    pointer=place,
                    hint="it has " + ", ".join(ArrayObject.__struct_fields__),
                )
            ]
        ) from None


def graph_faults(document: Mapping[str, Any], limits: Limits) -> list[Fault]:
    """What is wrong with a graph."""
    forms = {"nodes", "expression"} & document.keys()
    if len(forms) != 1:
        detail = "a graph has either nodes or an expression" + (", not both" if forms else "")
        return [Fault("invalid_request", detail, pointer="")]
    known = [*forms, "output"]
    faults = list(_form_faults(GraphMembers, document, "", known))
    output = document.get("output") if not faults else None
    if "expression" in document:
        if not faults:
            try:
                read_expression(document["expression"], output, limits)
            except GraphError as error:
                faults += error.faults
        return faults
    nodes = document["nodes"]
    if not isinstance(nodes, list):
        return faults
    limits.check("nodes", len(nodes))
    return faults + _Nodes(nodes, limits).faults_with(output, blame_output=not faults)


class _Nodes:
    """The nodes of a graph: each is looked at alone, then all go to the resolver.

    A node that is out of form is a constant there, so that others may refer to it.
    """

    def __init__(self, nodes: Sequence[Any], limits: Limits) -> None:
        self.nodes = nodes
        self.limits = limits
        self.faults: list[Fault] = []
        self.spec = GraphSpec([], [], [])
        self.blamed: dict[int, set[str]] = {}
        for position, node in enumerate(nodes):
            self._add(position, node)

    def faults_with(self, output: Any, blame_output: bool) -> list[Fault]:
        """All faults, those of the resolver included."""
        self.spec.output = output
        faults = self.faults + control_characters(self.spec.ids)
        try:
            resolve(self.spec, self.limits)
        except GraphError as error:
            for fault in error.faults:
                # Which output was meant can't be told as long as nodes are not understood.
                guessed = fault.code == "ambiguous_output" and output is None
                if guessed and (faults or not blame_output):
                    continue
                if not self._known_already(fault):
                    faults.append(fault)
        return faults

    def _known_already(self, fault: Fault) -> bool:
        """Whether the node was blamed for the same already."""
        parts = (fault.pointer or "").split("/")
        if len(parts) < 3 or parts[1] != "nodes" or not parts[2].isdigit():
            return False
        return fault.code in self.blamed.get(int(parts[2]), ())

    def _blame(
        self,
        position: int,
        code: str,
        detail: str,
        place: str = "",
        hint: str | None = None,
    ) -> None:
        self.blamed.setdefault(position, set()).add(code)
        if len(self.faults) >= MAX_FAULTS:
            return
        node = self.nodes[position]
        name = node.get("id") if isinstance(node, dict) else None
        op = node.get("op") if isinstance(node, dict) else None
        self.faults.append(
            Fault(
                code,
                detail,
                node=shown(name) if isinstance(name, str) else None,
                op=shown(op) if isinstance(op, str) else None,
                pointer=f"/nodes/{position}{place}",
                hint=hint,
            )
        )

    def _add(self, position: int, node: Any) -> None:
        """Append one node to the columns."""
        name, op, inputs = f"\x00{position}", "constant", []
        leaf: Leaf | None = Leaf("constant", 0.0)
        if not isinstance(node, dict):
            self._blame(position, "invalid_request", "a node is an object")
        else:
            if isinstance(node.get("id"), str) and node["id"]:
                name = node["id"]
            written = node.get("op")
            if not isinstance(written, str):
                what = "'op' is missing" if "op" not in node else "this should be a valid string"
                place = "" if "op" not in node else "/op"
                self._blame(position, "invalid_request", what, place)
            elif (model := node_model(written)) is None:
                self._unknown(position, node, written)
                if isinstance(node.get("inputs"), list):
                    op, leaf, inputs = written, None, _references(node["inputs"])
            else:
                self._known(position, node, written, model)
                if written in ("input", "constant"):
                    op, leaf = written, self._leaf(position, node, written, name)
                elif isinstance(node.get("inputs"), list):
                    op, leaf, inputs = written, None, _references(node["inputs"])
                    self._attributes(position, node, written)
        self.spec.ids.append(name)
        self.spec.ops.append(op)
        self.spec.inputs.append(inputs)
        if leaf is not None:
            self.spec.leaves[position] = leaf

    def _unknown(self, position: int, node: Mapping[str, Any], op: str) -> None:
        """What can be said of a node whose operator nobody knows.

        Where it has inputs the resolver says so; without any it may be a misspelt leaf.
        """
        if op in REGISTRY or "inputs" not in node:
            near = REGISTRY.suggest(op) if op and op not in REGISTRY else None
            hint = f"did you mean '{near}'?" if near else "GET /v1/operators lists them all"
            self._blame(position, "unknown_operator", f"no operator '{shown(op)}'", "/op", hint)
        elif not isinstance(node["inputs"], list):
            self._blame(position, "invalid_request", "this should be a valid list", "/inputs")
        if not isinstance(node.get("id"), str):
            what = "this should be a valid string" if "id" in node else "'id' is missing"
            self._blame(position, "invalid_request", what, "/id")

    def _known(
        self, position: int, node: Mapping[str, Any], op: str, model: type[NodeBase]
    ) -> None:
        """Hold a node against the model of its operator."""
        try:
            model.model_validate(node)
        except ValidationError as error:
            places: set[str] = set()
            for found in error.errors(include_url=False, include_input=False):
                place = _place(found["loc"], node)
                if place not in places and len(places) < MAX_FAULTS:
                    places.add(place)
                    self._blame_form(position, op, found, place, list(model.model_fields))

    def _blame_form(
        self,
        position: int,
        op: str,
        found: Mapping[str, Any],
        place: str,
        known: Sequence[str],
    ) -> None:
        member = str(found["loc"][0]) if found["loc"] else ""
        attribute = written_attribute(op, member)
        if attribute is not None:
            detail = f"attribute '{member}' must be {attribute.expected}"
            if found["type"] == "missing":
                detail, place = f"attribute '{member}' is missing", ""
            self._blame(position, "attribute", detail, place)
        elif found["type"] == "extra_forbidden":
            hint = suggestion(member, known)
            detail = f"unknown attribute '{shown(member)}'"
            self._blame(position, "attribute", detail, place, hint)
        elif found["type"] == "missing":
            code = "attribute" if member == "value" else "invalid_request"
            self._blame(position, code, f"'{member}' is missing", "")
        elif member == "inputs" and len(found["loc"]) > 1:
            detail = "an input is a node's id or a finite number"
            self._blame(position, "invalid_request", detail, place)
        else:
            self._blame(position, "invalid_request", _words(found), place)

    def _leaf(self, position: int, node: Mapping[str, Any], op: str, name: str) -> Leaf:
        """The leaf, with a number in the place of a value that can't be read."""
        if self.blamed.get(position):
            return Leaf("input" if op == "input" else "constant", 0.0)
        found: list[Fault] = []
        try:
            value = tensor_document(node.get("value"), f"/nodes/{position}/value")
        except GraphError as error:
            found, value = list(error.faults), 0.0
        shape, dtype = node.get("shape"), node.get("dtype")
        leaf = read_leaf(_LeafView(name, value, shape, dtype), op, position, self.limits, found)
        self.faults += found[: max(0, MAX_FAULTS - len(self.faults))]
        if found and leaf.value is None:
            leaf.value = 0.0
        return leaf

    def _attributes(self, position: int, node: Mapping[str, Any], op: str) -> None:
        """Hand the attributes on, unless they have been found wrong already."""
        given = {k: v for k, v in node.items() if k not in ("id", "op", "inputs")}
        if "attribute" in self.blamed.get(position, ()):
            given = {name: value for name, value in given.items() if written_attribute(op, name)}
        if given:
            self.spec.attrs[position] = given


class _LeafView:
    """A leaf's members, by the names that the quick reader's struct has for them."""

    __slots__ = ("dtype", "id", "shape", "value")

    def __init__(self, name: str, value: Any, shape: Any, dtype: Any) -> None:
        self.id = name
        self.value = value
        self.shape = shape
        self.dtype = dtype


def _references(inputs: Sequence[Any]) -> list[str | float]:
    """The inputs, with a number in the place of what is none."""
    return [item if isinstance(item, str | int | float) else 0.0 for item in inputs]
