"""What a body says: a request and its graph, or any graph's text.

The quick reader goes first. What it doesn't take is read by the models, which list what is
wrong: the only place where a refusal begins.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel

from service.engine.collector import CollectorHeldBack
from service.engine.control import Limits
from service.engine.errors import Fault, GraphError
from service.engine.graph import Graph
from service.wire import faults, quick
from service.wire.context import Context, WouldBlock
from service.wire.errors import GraphNotFound
from service.wire.json_text import strict_json
from service.wire.requests import GraphRequest
from service.wire.tensors import dtype_faults, read_members

R = TypeVar("R", bound=GraphRequest)
QUICK = True
"""Whether the quick reader is in use. Without it every answer is the same."""

_raw_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_request(
    body: bytes, model: type[R], context: Context, may_block: bool = True
) -> tuple[R, Graph]:
    """The request in `body` with its tensors read, and its graph. `request.graph` is its text.

    Raises MalformedJson, TooDeep, GraphNotFound, LimitExceeded, GraphError with every fault
    that one pass finds; WouldBlock when it may not block and would have to.
    """
    if QUICK:
        try:
            with CollectorHeldBack(len(body)):
                given = quick.members(body, model)
                graph = _find(given["graph"], context, may_block, _read_quickly)
            found = read_members(model, given, context.limits)
            if not found and not graph.scalar and "inputs" in given:
                found = list(dtype_faults(graph.inputs, given["inputs"], "#/inputs"))
            if not found:
                return _request(model, given), graph
        except (quick.Unreadable, GraphError):
            pass
    if not may_block:
        raise WouldBlock
    return _read_thoroughly(body, model, context)


def _read_thoroughly(body: bytes, model: type[R], context: Context) -> tuple[R, Graph]:
    document = faults.read_object(body, context.max_depth, "the body", "#")
    graph: Graph | None = None
    of_graph: tuple[Fault, ...] = ()
    if "graph" in document:
        document["graph"] = bytes(_raw_members(body)["graph"])
        try:
            graph = _find(document["graph"], context, True, _read_by_models)
        except GraphError as error:
            of_graph = error.faults
    given, found = faults.read_members_of(document, model, context.limits)
    if graph is not None and not found and "inputs" in given:
        found += dtype_faults(graph.inputs, given["inputs"], "#/inputs")
    if found or graph is None:
        raise GraphError([*found, *of_graph])
    return _request(model, given), graph


def _request(model: type[R], given: dict[str, Any]) -> R:
    """The request with these members, the others as the model has them by default."""
    request = model.__new__(model)
    object.__setattr__(request, "__dict__", {**_defaults(model), **given})
    object.__setattr__(request, "__pydantic_fields_set__", given.keys())
    return request


@cache
def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """What members are that were not given. A request is not written to, so all share them."""
    return {name: field.default for name, field in model.model_fields.items()}


def find_graph(text: bytes, context: Context, may_block: bool = True) -> Graph:
    """The graph of a `graph` member's text: seen before, registered, or read now.

    Raises what `read_graph` does, GraphNotFound, and WouldBlock.
    """
    if QUICK:
        try:
            return _find(text, context, may_block, _read_quickly)
        except (quick.Unreadable, GraphError):
            pass
    if not may_block:
        raise WouldBlock
    return _find(text, context, True, _read_by_models)


def read_graph(text: bytes, limits: Limits, max_depth: int = 64) -> Graph:
    """The resolved graph of a JSON text.

    Raises GraphError with all faults that one pass finds, MalformedJson, LimitExceeded.
    """
    return find_graph(text, Context(limits=limits, max_depth=max_depth))


Read = Callable[[bytes, Context], Graph]


def _read_quickly(text: bytes, context: Context) -> Graph:
    return quick.read_graph(text, context.limits)


def _read_by_models(text: bytes, context: Context) -> Graph:
    return faults.read_graph(text, context.limits, context.max_depth)


def _find(text: bytes, context: Context, may_block: bool, read: Read) -> Graph:
    graph = context.graphs.get(text)
    if graph is not None:
        if graph.text is not None and graph.text.slow and not may_block:
            raise WouldBlock
        return graph
    registered = text[:1] == b'"'
    if registered:
        if context.find_graph is None:
            raise GraphNotFound
        if not may_block:
            raise WouldBlock
        text = context.find_graph(strict_json(text, context.max_depth))
        graph = context.graphs.get(text)
        if graph is not None:
            return graph
    # A loop is short to write and long to read; JSON may spell its word with escapes.
    if not may_block and (b"for" in text or b"\\u" in text) and b"expression" in text:
        raise WouldBlock
    try:
        graph = read(text, context)
    except GraphError:
        if registered:
            detail = "the registered graph can not be read any more: register it again"
            raise GraphError([Fault("invalid_request", detail, pointer="")]) from None
        raise
    context.graphs.put(text, graph, 2 * len(text) + graph.nbytes)
    return graph
