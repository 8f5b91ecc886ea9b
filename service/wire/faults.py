"""Why a body is refused: every fault that one pass finds, each with its place.

The models judge forms, the engine's resolver judges graphs: what is out of form is told here,
and something well formed takes its place, so that a misspelt member does not hide a cycle.
Nothing that was sent is repeated but the names of places. A body without faults comes out
read, the same as the quick reader reads it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from service.engine.control import Limits
from service.engine.errors import Fault, GraphError, escaped
from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.operators import REGISTRY
from service.wire.context import MAX_FAULTS
from service.wire.expressions import read_expression
from service.wire.json_text import shown, strict_json
from service.wire.models import ExpressionGraph, GateForm, LeafForm, NodesForm, written_attributes
from service.wire.tensors import read_leaf, read_members


def read_members_of(
    document: Mapping[str, Any], model: type[BaseModel], limits: Limits
) -> tuple[dict[str, Any], list[Fault]]:
    """The members that a request's JSON object gives, as the model has them, and its faults."""
    faults: list[Fault] = []
    try:
        request = model.model_validate(document)
    except ValidationError as error:
        faults += _form_faults(error, document, "#", list(model.model_fields))
        given = {name: document[name] for name in model.model_fields if name in document}
    else:
        given = {name: getattr(request, name) for name in request.model_fields_set}
    return given, faults + read_members(model, given, limits)


def read_object(text: bytes, max_depth: int, what: str, pointer: str) -> dict[str, Any]:
    """The JSON object that a text is. Raises MalformedJson, TooDeep, GraphError."""
    document = strict_json(text, max_depth)
    if not isinstance(document, dict):
        raise GraphError([Fault("invalid_request", f"{what} is a JSON object", pointer=pointer)])
    return document


def read_graph(text: bytes, limits: Limits, max_depth: int) -> Graph:
    """The resolved graph that a JSON text describes.

    Raises GraphError with all faults, MalformedJson, TooDeep, LimitExceeded.
    """
    document = strict_json(text, max_depth)
    if not isinstance(document, dict):
        detail = "a graph is an object with nodes or an expression, or the id of a registered one"
        raise GraphError([Fault("invalid_request", detail, pointer="")])
    forms = {"nodes", "expression"} & document.keys()
    if len(forms) != 1:
        detail = "a graph has either nodes or an expression" + (", not both" if forms else "")
        raise GraphError([Fault("invalid_request", detail, pointer="")])
    form = NodesForm if "nodes" in document else ExpressionGraph
    faults: list[Fault] = []
    try:
        form.model_validate(document)
    except ValidationError as error:
        faults += _form_faults(error, document, "", list(form.model_fields))
    output = document.get("output") if not faults else None
    if form is ExpressionGraph:
        if faults:
            raise GraphError(faults)
        return read_expression(document["expression"], output, limits)
    if not isinstance(document["nodes"], list):
        raise GraphError(faults)
    limits.check("nodes", len(document["nodes"]))
    return _Nodes(document["nodes"], limits, faults).resolved(output)


class _Nodes:
    """The nodes of a graph: the form of each is looked at, then all go to the resolver.

    A node that is out of form is a constant there, so that others may refer to it.
    """

    def __init__(self, nodes: Sequence[Any], limits: Limits, faults: list[Fault]) -> None:
        self.limits = limits
        self.faults = faults
        self.spec = GraphSpec([], [], [])
        for position, node in enumerate(nodes):
            self._add(position, node)

    def resolved(self, output: Any) -> Graph:
        """The graph, or all faults, those of the resolver included."""
        self.spec.output = output
        try:
            graph = resolve(self.spec, self.limits)
        except GraphError as error:
            # Which output was meant can't be told as long as nodes are not understood.
            guessed = bool(self.faults) and output is None
            self.faults += [
                fault
                for fault in error.faults
                if not (guessed and fault.code == "ambiguous_output")
            ]
        if self.faults:
            raise GraphError(self.faults)
        return graph

    def _add(self, position: int, node: Any) -> None:
        """Append one node to the columns."""
        name: Any = None
        op = "constant"
        inputs: list[str | float] = []
        leaf: Leaf | None = Leaf("constant", 0.0)
        if not isinstance(node, dict):
            self._blame(position, node, "invalid_request", "a node is an object")
        else:
            name, written, given = node.get("id"), node.get("op"), node.get("inputs")
            if written in ("input", "constant"):
                fine = self._judge(position, node, LeafForm)
                op, leaf = written, self._leaf(position, node, fine)
            else:
                self._judge(position, node, GateForm)
                unknown = isinstance(written, str) and written not in REGISTRY
                if isinstance(written, str) and (unknown or isinstance(given, list)):
                    op, leaf = written, None
                    inputs = _references(given) if isinstance(given, list) else []
                    self._add_attributes(position, node)
        self.spec.ids.append(name if isinstance(name, str) and name else f"\x00{position}")
        self.spec.ops.append(op)
        self.spec.inputs.append(inputs)
        if leaf is not None:
            self.spec.leaves[position] = leaf

    def _judge(self, position: int, node: dict[str, Any], form: type[BaseModel]) -> bool:
        """Whether the node has the form; what it lacks of it is noted."""
        try:
            form.model_validate(node)
        except ValidationError as error:
            faults = 0
            op = node.get("op")
            known = isinstance(op, str) and op in REGISTRY
            for found, place in _places(error, node):
                if found["type"] == "missing" and place == "/inputs" and not known:
                    continue  # it may be a misspelt leaf: its operator is enough
                faults += 1
                member = str(found["loc"][0])
                code, detail, hint = "invalid_request", _words(found), None
                if found["type"] == "missing":
                    detail, place = f"'{member}' is missing", ""
                elif found["type"] == "extra_forbidden":
                    code, detail = "attribute", f"unknown attribute '{shown(member)}'"
                    hint = suggestion(member, list(form.model_fields))
                elif member == "inputs" and len(found["loc"]) > 1:
                    detail = "an input is a node's id or a finite number"
                self._blame(position, node, code, detail, place, hint)
            return not faults
        return True

    def _blame(
        self,
        position: int,
        node: Any,
        code: str,
        detail: str,
        place: str = "",
        hint: str | None = None,
    ) -> None:
        if len(self.faults) < MAX_FAULTS:
            names = node if isinstance(node, dict) else {}
            name, op = names.get("id"), names.get("op")
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

    def _leaf(self, position: int, node: dict[str, Any], fine: bool) -> Leaf:
        """The leaf, with a number in the place of a value that can't be read."""
        if fine:
            try:
                value, shape, dtype = map(node.get, ("value", "shape", "dtype"))
                place = f"/nodes/{position}"
                return read_leaf(node["op"], node["id"], value, shape, dtype, place, self.limits)
            except GraphError as error:
                self.faults += error.faults[: max(0, MAX_FAULTS - len(self.faults))]
        return Leaf("input" if node["op"] == "input" else "constant", 0.0)

    def _add_attributes(self, position: int, node: dict[str, Any]) -> None:
        """Hand the attributes on, numbers as the operator's attribute has them."""
        given = {k: v for k, v in node.items() if k not in ("id", "op", "inputs")}
        if given:
            op = node["op"]
            known = written_attributes(REGISTRY[op]) if op in REGISTRY else {}
            for name, attribute in known.items():
                if name in given and attribute.kind in ("float", "number"):
                    given[name] = _as_float(given[name])
            self.spec.attrs[position] = given


_NO_NUMBER = object()
"""What stands for a number that float64 doesn't hold: no attribute takes it."""


def _as_float(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            return _NO_NUMBER
        return value if math.isfinite(value) else _NO_NUMBER
    return value


def _references(inputs: Sequence[Any]) -> list[str | float]:
    """The inputs, with a number in the place of what is none."""
    return [
        item if isinstance(item, str | bool | float) else 0.0 for item in map(_as_float, inputs)
    ]


def _form_faults(
    error: ValidationError, document: Mapping[str, Any], pointer: str, known: Sequence[str]
) -> Iterator[Fault]:
    """What a model has against a document, one fault for each place."""
    for found, place in _places(error, document):
        detail, hint = _words(found), None
        if found["type"] == "missing":
            detail = f"'{found['loc'][-1]}' is missing"
        elif found["type"] == "extra_forbidden":
            detail = "there is no member of this name"
            hint = suggestion(str(found["loc"][-1]), known)
        yield Fault("invalid_request", detail, pointer=pointer + place, hint=hint)


def _places(error: ValidationError, document: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """The errors with their pointers, the first for each place."""
    places: set[str] = set()
    for found in error.errors(include_url=False, include_input=False):
        place = _place(found["loc"], document)
        if place not in places and len(places) < MAX_FAULTS:
            places.add(place)
            yield dict(found), place


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


def suggestion(name: str, known: Sequence[str]) -> str:
    """The known name nearest to a misspelt one, or all of them."""
    near = difflib.get_close_matches(name[:64], known, 1, 0.6)
    return f"did you mean '{near[0]}'?" if near else "it takes " + ", ".join(known)


def _words(found: Mapping[str, Any]) -> str:
    """What a member should be."""
    return str(found["msg"]).replace("Input should", "this should")
