"""POST /v1/diagram: the circuit as a picture, or in a format that others draw."""

from __future__ import annotations

import orjson

from service.diagrams.build import MAX_NODES, circuit_of, is_large, plain
from service.diagrams.circuit import Circuit
from service.diagrams.formats import dot, mermaid, node_link
from service.diagrams.summary import summarised
from service.diagrams.svg import draw
from service.engine.control import Control
from service.engine.program import abstract_program, program_for
from service.errors import responses
from service.http.operation import Operation
from service.http.prepared import Answer, Cost, PreparedRequest
from service.http.routing import Router
from service.wire.context import Context
from service.wire.decode import read_request
from service.wire.explaining import DiagramRequest, NodeLinkResponse

MEDIA = {
    "svg": "image/svg+xml",
    "dot": "text/vnd.graphviz",
    "mermaid": "text/vnd.mermaid",
    "node-link": "application/json",
}
_PICTURES = {kind: {"schema": {"type": "string"}} for kind in MEDIA.values() if "json" not in kind}
_DRAWN_NANOSECONDS = 400_000
_READ_NANOSECONDS = 40_000
_NODE_BYTES = 2_000


def written(circuit: Circuit, form: str) -> bytes:
    """A circuit in one of the formats of `MEDIA`."""
    match form:
        case "svg":
            return draw(circuit).encode()
        case "dot":
            return dot(circuit).encode()
        case "mermaid":
            return mermaid(circuit).encode()
    return orjson.dumps(node_link(circuit))


def _parse(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, DiagramRequest, context, may_block)
    if request.values:
        program = program_for(graph, request.inputs, request.dtype, context.limits)
    else:
        program = abstract_program(graph, {}, request.dtype, context.limits)

    def execute(control: Control | None) -> Answer:
        if request.values:
            circuit = circuit_of(
                program,
                request.inputs,
                output=request.output,
                gradients=request.gradients,
                cotangent=request.cotangent,
                tensors=request.tensors,
                control=control,
            )
        else:
            circuit = plain(program, request.output)
            if is_large(program):
                circuit = summarised(circuit, MAX_NODES)
        return Answer(written(circuit, request.format), MEDIA[request.format])

    known = program.cost
    parts = max(known.nodes, known.edges)
    drawn = (_READ_NANOSECONDS if is_large(program) else _DRAWN_NANOSECONDS) * parts
    return PreparedRequest(Cost(4 * known.flops + drawn, _NODE_BYTES * parts, known.nodes), execute)


router = Router(
    Operation(
        "/v1/diagram",
        _parse,
        summary="The circuit as a picture",
        description=(
            "Gates as circles, wires from left to right, values in green above the wires and "
            "gradients in red below. `format`: `svg` (the default), `dot`, `mermaid`, or "
            "`node-link` (JSON, a multigraph that keeps parallel edges). Above 300 nodes gates "
            "are grouped and counted. The SVG stands alone: it can be an image, a data URL, or "
            "part of a page, and follows the reader's dark mode."
        ),
        media=tuple(MEDIA.values()),
        request=DiagramRequest,
        response_model=NodeLinkResponse,
        responses={**responses(404), 200: {"content": _PICTURES}},
        examples=("diagram-product",),
    ),
    access="compute",
    tags=["compute"],
)
