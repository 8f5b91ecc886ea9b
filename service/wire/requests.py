"""Requests as JSON: the members that stand beside a graph, and how a body is read.

A request is a msgspec struct with defaults. Two views are derived from it: the struct that
the quick reader decodes, in which what was not given can be told from what was; and the
Pydantic model that documents it and explains refusals (`service.wire.models`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from service.engine.control import Limits
from service.engine.errors import Fault, GraphError, escaped
from service.engine.graph import Graph
from service.wire.context import Context, WouldBlock
from service.wire.explain import explain_request
from service.wire.graphs import Unreadable, check_dtype, find_graph
from service.wire.json_text import CollectorHeldBack, check_members_once, count_members
from service.wire.tensors import (
    TENSOR,
    TENSORS,
    TensorJson,
    Tensors,
    read_tensor,
    without_notes,
)

GraphField = Annotated[Raw, Meta(description="The graph: nodes, source text, or a registered id.")]
Sizes = list[Annotated[int, Meta(ge=0)]]


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every request for a computation takes."""

    graph: GraphField
    inputs: Annotated[
        Tensors, Meta(description="Values of inputs, by name; they override the nodes' own.")
    ] = {}
    dtype: Annotated[
        Literal["float64", "float32"], Meta(description="The floating dtype of the computation.")
    ] = "float64"
    encoding: Annotated[
        Literal["json", "base64"],
        Meta(description="How tensors come out: nested lists, or array objects with base64."),
    ] = "json"


Wanted = Annotated[
    list[str] | None,
    Meta(description="The inputs wanted; every floating input where it is left out."),
]
Output = Annotated[
    str | None, Meta(description="The output meant; needed only when the graph has several.")
]
Outputs = Annotated[
    list[str] | None, Meta(description="The outputs meant; all of the graph's where left out.")
]
Values = Annotated[
    Literal["all", "output"],
    Meta(description="Whether the values of all nodes are returned, or the outputs' alone."),
]

R = TypeVar("R", bound=msgspec.Struct)


class _Reader:
    """How a request class is decoded: made once for each."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self.names: list[str] = []
        self.tensors: list[str] = []
        self.mappings: list[str] = []
        self.tensor_mappings: list[str] = []
        fields: list[tuple[Any, ...]] = []
        for field in msgspec.structs.fields(kind):
            self.names.append(field.name)
            plain = without_notes(field.type)
            if plain in TENSOR:
                self.tensors.append(field.name)
            elif plain in TENSORS:
                self.tensor_mappings.append(field.name)
                self.mappings.append(field.name)
            elif getattr(plain, "__origin__", None) is dict:
                self.mappings.append(field.name)
            if field.required:
                fields.append((field.name, field.type))
            else:
                fields.append((field.name, field.type | UnsetType, UNSET))
        wire = msgspec.defstruct(
            kind.__name__, fields, forbid_unknown_fields=True, frozen=True, kw_only=True
        )
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(wire).decode


_reader = cache(_Reader)


def read_request(
    body: bytes, kind: type[R], context: Context, may_block: bool = True
) -> tuple[R, Graph]:
    """The request in `body` with its tensors read, and its graph.

    Raises MalformedJson, TooDeep, GraphNotFound, LimitExceeded, GraphError with every fault
    that one pass finds; WouldBlock when it may not block and would have to.
    """
    reader = _reader(kind)
    graph: Graph | None
    try:
        with CollectorHeldBack(len(body)):
            try:
                decoded = reader.decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                raise Unreadable from None
            given = {
                name: value
                for name, value in zip(reader.names, msgspec.structs.astuple(decoded), strict=True)
                if value is not UNSET
            }
            text = bytes(given["graph"])
            members = len(given)
            for name in (*reader.mappings, *reader.tensors):
                if name in given:
                    members += count_members(given[name])
            # The members of the graph are counted when it is read for the first time.
            check_members_once(body, colons_beside(body, text), members)
            graph = find_graph(text, context, may_block)
    except Unreadable:
        if not may_block:
            raise WouldBlock from None
        explain_request(body, kind, context)
    faults: list[Fault] = []
    for name in reader.tensors:
        if name in given and type(given[name]) is not float:
            _read_one(given, name, f"#/{name}", context.limits, faults)
    for name in reader.tensor_mappings:
        mapping = given.get(name)
        if mapping is not None:
            for key, value in mapping.items():
                if type(value) is not float:
                    place = f"#/{name}/{escaped(key)}"
                    _read_one(mapping, key, place, context.limits, faults)
    if not graph.scalar and "inputs" in given:
        _check_dtypes(graph, given["inputs"], faults)
    if faults:
        raise GraphError(faults)
    return kind(**given), graph


def _read_one(
    holder: dict[str, Any], name: str, pointer: str, limits: Limits, faults: list[Fault]
) -> None:
    value = holder[name]
    if value is None:
        return
    try:
        holder[name] = read_tensor(value, pointer, limits)
    except GraphError as error:
        faults.extend(error.faults)


def _check_dtypes(graph: Graph, inputs: Mapping[str, Any], faults: list[Fault]) -> None:
    """Values for inputs that are declared as integers or truth values must be such."""
    for name, value in inputs.items():
        position = graph.index.get(name)
        leaf = graph.leaves.get(position) if position is not None else None
        if leaf is not None and leaf.dtype is not None:
            try:
                check_dtype(value, leaf.dtype, f"#/inputs/{escaped(name)}")
            except GraphError as error:
                faults.extend(replace(fault, node=name) for fault in error.faults)


def colons_beside(body: bytes, text: bytes) -> int:
    """The colons of `body` outside of `text`, which stands somewhere in it.

    A large text is found and left out, for to count its colons takes as long as to skip it.
    """
    if len(text) > 4096:
        start = body.find(text[:256])
        if body.startswith(text, start):
            return body.count(b":", 0, start) + body.count(b":", start + len(text))
    return body.count(b":") - text.count(b":")


class ForwardRequest(Request):
    """A graph to be run forward."""

    values: Values = "all"


class GradientRequest(Request):
    """A graph to be run forward and backward."""

    output: Output = None
    wrt: Wanted = None
    cotangent: Annotated[
        TensorJson | None,
        Meta(description="The gradient that arrives at the output, of its shape; 1 for a scalar."),
    ] = None
    values: Values = "all"
    node_gradients: Annotated[
        bool, Meta(description="Whether the gradient on every node is returned too.")
    ] = False
    batch: Annotated[
        bool | list[str],
        Meta(
            description="The inputs that carry a leading batch axis of one common length, or true "
            "for every input given. Values and gradients then carry it too."
        ),
    ] = False
    reduce: Annotated[
        Literal["none", "sum", "mean"],
        Meta(description="Over the batch: the gradients of the inputs that all points share."),
    ] = "none"


class VjpRequest(Request):
    """Cotangents to be pulled back from outputs to inputs."""

    cotangents: Annotated[
        Tensors, Meta(description="By output: a cotangent of its shape, or a batch of them.")
    ]
    wrt: Wanted = None
    batch_cotangents: Annotated[
        bool,
        Meta(description="Whether the cotangents carry a leading axis, as the gradients then do."),
    ] = False


class JvpRequest(Request):
    """Tangents to be pushed forward from inputs to outputs."""

    tangents: Annotated[
        Tensors, Meta(description="By input: a tangent of its shape. Others stay put.")
    ]
    outputs: Outputs = None


class JacobianRequest(Request):
    """All partial derivatives of outputs with respect to inputs."""

    outputs: Outputs = None
    wrt: Wanted = None


class HessianRequest(Request):
    """All second derivatives of a scalar output."""

    output: Output = None
    wrt: Wanted = None


class HvpRequest(Request):
    """The Hessian of a scalar output times a vector."""

    vector: Annotated[
        Tensors, Meta(description="By input: a tensor of its shape. These are the variables.")
    ]
    output: Output = None


class CheckRequest(Request):
    """Gradients to be held against differences of values."""

    output: Output = None
    wrt: Wanted = None
    cotangent: Annotated[
        TensorJson | None,
        Meta(description="What a non-scalar output is contracted with; drawn where left out."),
    ] = None
    gradients: Annotated[
        Tensors | None,
        Meta(description="Gradients to be checked, by input, in place of the graph's own."),
    ] = None
    method: Annotated[
        Literal["central", "five_point", "complex_step"],
        Meta(description="How the numerical gradient is made."),
    ] = "central"
    step: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="The step, relative to max(1, |x|); chosen by method where left out."),
    ] = None
    tolerance: Annotated[float, Meta(gt=0, le=1, description="The relative error that passes.")] = (
        1e-5
    )
    seed: Annotated[
        int, Meta(ge=0, le=2**63 - 1, description="Of the directions that are drawn.")
    ] = 0


class AnalyzeRequest(Request):
    """A graph to be looked at: nothing is computed."""

    shapes: Annotated[
        dict[str, Sizes],
        Meta(description="Shapes of inputs, in place of values. Scalar where neither is given."),
    ] = {}


class GradientGraphRequest(Request):
    """A graph whose derivatives are wanted as a graph."""

    output: Output = None
    wrt: Wanted = None
    order: Annotated[int, Meta(ge=1, description="The order of the derivative.")] = 1
