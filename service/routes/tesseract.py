"""`/tesseract/{graph}`: every registered graph as a Tesseract.

`Tesseract.from_url("http://…/tesseract/NAME")` drives it, and with tesseract-jax a graph
that lives here is a function of JAX, under `jit`, `grad` and `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import orjson
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.engine import derivatives
from service.engine.compute import forward
from service.engine.control import Control
from service.engine.errors import Fault, GraphError
from service.engine.graph import Graph
from service.engine.program import Program, abstract_program, program_for
from service.engine.registry import TensorSpec
from service.errors import responses
from service.http.operation import Handler, Operation
from service.http.prepared import Answer, Cost, PreparedRequest
from service.http.routing import Router
from service.wire.answers import encode
from service.wire.context import Context, WouldBlock
from service.wire.decode import find_graph
from service.wire.errors import GraphNotFound, MalformedJson
from service.wire.json_text import encoded
from service.wire.tesseract import (
    Encoding,
    array_out,
    errors,
    floating_dtype,
    openapi,
    read_abstract,
    read_arrays,
    wanted_encoding,
)

Document = dict[str, Any]
Run = Callable[[Control | None], Mapping[str, Any]]
Prepare = Callable[[Document, Graph, Context, Encoding], tuple[Program, float, Run]]


def _member(document: Document, name: str, kind: type, what: str) -> Any:
    """A member of the request; GraphError when it isn't there or of another type."""
    if not isinstance(document.get(name), kind):
        fault = Fault("invalid_request", f"{name} is {what}", pointer=f"#/{name}")
        raise GraphError([fault])
    return document[name]


def _names(document: Document, name: str) -> list[str]:
    found = _member(document, name, list, "a list of names")
    if not found or not all(isinstance(item, str) for item in found):
        fault = Fault("invalid_request", f"{name} is a list of names", pointer=f"#/{name}")
        raise GraphError([fault])
    return list(found)


def _inputs(document: Document, graph: Graph, context: Context) -> tuple[dict[str, Any], Program]:
    """The inputs' values, and the program for them."""
    given = _member(document, "inputs", dict, "the arrays by name")
    values = read_arrays(given, "#/inputs", context.limits, graph.inputs)
    return values, program_for(graph, values, floating_dtype(values.values()), context.limits)


def _vector(document: Document, member: str, names: list[str], context: Context) -> dict[str, Any]:
    """The tangents or cotangents: one for every name, and no others."""
    given = _member(document, member, dict, "the arrays by name")
    if set(given) != set(names):
        detail = f"{member} has one array for each of the names, and no others"
        raise GraphError([Fault("invalid_request", detail, pointer=f"#/{member}")])
    return read_arrays(given, f"#/{member}", context.limits)


def _apply(
    document: Document, graph: Graph, context: Context, encoding: Encoding
) -> tuple[Program, float, Run]:
    values, program = _inputs(document, graph, context)

    def run(control: Control | None) -> Mapping[str, Any]:
        made = forward(program, values, values=False, control=control).outputs
        return {name: array_out(tensor, encoding) for name, tensor in made.items()}

    return program, 1, run


def _jacobian(
    document: Document, graph: Graph, context: Context, encoding: Encoding
) -> tuple[Program, float, Run]:
    values, program = _inputs(document, graph, context)
    wrt, outputs = _names(document, "jac_inputs"), _names(document, "jac_outputs")
    rows = sum(_spec(program, name).size for name in outputs)
    columns = sum(_spec(program, name).size for name in wrt)
    context.limits.check("elements_total", rows * columns)

    def run(control: Control | None) -> Mapping[str, Any]:
        made = derivatives.jacobian(program, values, outputs=outputs, wrt=wrt, control=control)
        return {
            output: {name: array_out(tensor, encoding) for name, tensor in row.items()}
            for output, row in made.jacobian.items()
        }

    return program, 4 * max(1, min(rows, columns)), run


def _spec(program: Program, name: str) -> TensorSpec:
    """The node's shape; a scalar's for a name that the engine will refuse."""
    known = name in program.graph.index or name in program.code.names
    return program.spec(name) if known else TensorSpec(())


def _jvp(
    document: Document, graph: Graph, context: Context, encoding: Encoding
) -> tuple[Program, float, Run]:
    values, program = _inputs(document, graph, context)
    moved, outputs = _names(document, "jvp_inputs"), _names(document, "jvp_outputs")
    tangents = _vector(document, "tangent_vector", moved, context)

    def run(control: Control | None) -> Mapping[str, Any]:
        made = derivatives.jvp(program, values, tangents, outputs=outputs, control=control)
        return {name: array_out(tensor, encoding) for name, tensor in made.tangents.items()}

    return program, 4, run


def _vjp(
    document: Document, graph: Graph, context: Context, encoding: Encoding
) -> tuple[Program, float, Run]:
    values, program = _inputs(document, graph, context)
    wrt, outputs = _names(document, "vjp_inputs"), _names(document, "vjp_outputs")
    cotangents = _vector(document, "cotangent_vector", outputs, context)

    def run(control: Control | None) -> Mapping[str, Any]:
        made = derivatives.vjp(program, values, cotangents, wrt=wrt, control=control)
        return {name: array_out(tensor, encoding) for name, tensor in made.gradients.items()}

    return program, 3, run


def _abstract_eval(
    document: Document, graph: Graph, context: Context, encoding: Encoding
) -> tuple[Program, float, Run]:
    given = _member(document, "inputs", dict, "shapes and dtypes by name")
    specs, dtype = read_abstract(given, graph, "#/inputs", context.limits)
    missing = [
        Fault("missing_input", f"input '{name}' has no value", name, pointer=f"#/inputs/{name}")
        for name, leaf in graph.inputs.items()
        if leaf.value is None and name not in specs
    ]
    if missing:
        raise GraphError(missing)
    program = abstract_program(graph, specs, dtype, context.limits)
    found = {
        name: {"shape": list(program.spec(name).shape), "dtype": program.spec(name).dtype}
        for name in program.outputs
    }
    return program, 0, lambda _: found


def _operation(
    name: str, prepare: Prepare, kind: str, schema: str, example: Document, summary: str, text: str
) -> Operation:
    """One call of the protocol; `kind` names what its faults are told of."""

    def handler_for(scope: Mapping[str, Any]) -> Handler:
        def parse(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
            if not may_block:
                raise WouldBlock
            accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1") or None
            reference = scope["path_params"]["graph"]
            return _prepared(body, context, reference, wanted_encoding(accept), prepare)

        return Handler(parse, refuse)

    def refuse(error: Exception) -> Answer | None:
        if not isinstance(error, GraphError):
            return None
        return Answer(orjson.dumps({"detail": errors(error.faults[:100], kind)}), status=422)

    content = {"schema": {"type": "object", "title": schema}, "example": example}
    return Operation(
        f"/tesseract/{{graph}}/{name}",
        _not_alone,
        summary=summary,
        description=f"{text} `/tesseract/{{graph}}/openapi.json` has its schema.",
        media=None,
        handler_for=handler_for,
        name=name,
        responses=responses(404, 422, 503),
        openapi_extra={
            "parameters": [_GRAPH],
            "requestBody": {"required": True, "content": {"application/json": content}},
        },
    )


def _not_alone(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    """A call without a graph in its path, which no request is."""
    raise GraphNotFound


def _prepared(
    body: bytes, context: Context, reference: str, encoding: Encoding, prepare: Prepare
) -> PreparedRequest:
    """Find the graph, read the request, and make it ready. Blocks."""
    graph = registered(reference, context)
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("the body is not valid JSON") from None
    if not isinstance(document, dict):
        raise GraphError([Fault("invalid_request", "the body is an object", pointer="#")])
    program, sweeps, run = prepare(document, graph, context, encoding)
    cost = program.cost
    context.limits.check("flops", int(sweeps * cost.flops))
    work = cost.nanoseconds(sweeps, traced=prepare in (_jacobian, _jvp))
    return PreparedRequest(
        Cost(work, 11 * cost.elements, cost.nodes), lambda control: encode(run(control))
    )


def registered(reference: str, context: Context) -> Graph:
    """The graph with this id or name; raises GraphNotFound. Blocks."""
    if context.find_graph is None:
        raise GraphNotFound
    return find_graph(encoded(reference), context)


_GRAPH: Document = {
    "name": "graph",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "title": "Graph"},
}
_POINT: Document = {"x": -2, "y": 5, "z": -4}

router = Router(
    _operation(
        "apply",
        _apply,
        "",
        "ApplyInputSchema",
        {"inputs": _POINT},
        "Apply",
        "The graph's outputs by name.",
    ),
    _operation(
        "jacobian",
        _jacobian,
        "jac",
        "JacobianInputSchema",
        {"inputs": _POINT, "jac_inputs": ["x"], "jac_outputs": ["output"]},
        "Jacobian",
        "Partial derivatives by output and input.",
    ),
    _operation(
        "jacobian_vector_product",
        _jvp,
        "jvp",
        "JVPInputSchema",
        {
            "inputs": _POINT,
            "jvp_inputs": ["x"],
            "jvp_outputs": ["output"],
            "tangent_vector": {"x": 1},
        },
        "Jacobian-vector product",
        "Tangents of the outputs.",
    ),
    _operation(
        "vector_jacobian_product",
        _vjp,
        "vjp",
        "VJPInputSchema",
        {
            "inputs": _POINT,
            "vjp_inputs": ["x", "z"],
            "vjp_outputs": ["output"],
            "cotangent_vector": {"output": 1},
        },
        "Vector-Jacobian product",
        "Cotangents of the inputs.",
    ),
    _operation(
        "abstract_eval",
        _abstract_eval,
        "",
        "AbstractEvalInputSchema",
        {"inputs": {name: {"shape": [], "dtype": "float64"} for name in _POINT}},
        "Abstract evaluation",
        "Shapes and dtypes of the outputs, from those of the inputs.",
    ),
    access="compute",
    offers=None,
    prefix="/tesseract/{graph}",
    tags=["Tesseract"],
)


@router.get("/health", summary="Whether the graph is there", responses=responses(404, 503))
async def health(request: Request, graph: str) -> dict[str, str]:
    """Answers `ok` when the graph is registered."""
    await run_in_threadpool(registered, graph, request.app.state.context)
    return {"status": "ok"}


@router.get(
    "/openapi.json", summary="The graph's own OpenAPI document", responses=responses(404, 503)
)
async def document(request: Request, graph: str) -> dict[str, Any]:
    """Inputs, outputs and their derivatives, as clients of the protocol read them."""
    return await run_in_threadpool(described, graph, request.app.state.context)


def described(reference: str, context: Context) -> dict[str, Any]:
    """The OpenAPI document of the graph with this id or name. Blocks."""
    graph = registered(reference, context)
    outputs: dict[str, TensorSpec | None] = dict.fromkeys(graph.outputs)
    known = all(leaf.shape is not None or leaf.value is not None for leaf in graph.inputs.values())
    if known:
        program = abstract_program(graph, {}, "float64", context.limits)
        outputs = {name: program.spec(name) for name in graph.outputs}
    return openapi(graph, reference, outputs)
