"""POST /v1/explain: both passes step by step, and the staged code."""

from __future__ import annotations

from service.engine.control import Control
from service.engine.errors import LimitExceeded
from service.engine.program import program_for
from service.errors import responses
from service.explain.explanation import explain
from service.http.operation import Operation
from service.http.prepared import Cost, PreparedRequest
from service.http.routing import Router
from service.wire.answers import encode
from service.wire.context import Context
from service.wire.decode import read_request
from service.wire.explaining import ExplainRequest, ExplainResponse

MAX_NODES, MAX_EDGES = 5_000, 20_000
"""A longer explanation is read by nobody."""
_NODE_NANOSECONDS = 300_000
_NODE_BYTES = 1_500
_ELEMENT_BYTES = 22 * 4


def _parse(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, ExplainRequest, context, may_block)
    if len(graph) > MAX_NODES:
        raise LimitExceeded("explained_nodes", MAX_NODES, len(graph))
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    known = program.cost
    if known.edges > MAX_EDGES:
        raise LimitExceeded("explained_edges", MAX_EDGES, known.edges)
    size = _NODE_BYTES * known.edges + _ELEMENT_BYTES * (known.elements + known.read)
    if size > context.max_output_bytes:
        raise LimitExceeded("output_bytes", context.max_output_bytes, size)

    def execute(control: Control | None) -> bytes:
        made = explain(
            program,
            request.inputs,
            output=request.output,
            cotangent=request.cotangent,
            control=control,
        )
        return encode(made, request.encoding)

    flops = 4 * known.flops + _NODE_NANOSECONDS * max(known.nodes, known.edges)
    return PreparedRequest(Cost(flops, size, known.nodes), execute)


router = Router(
    Operation(
        "/v1/explain",
        _parse,
        summary="Both passes explained, step by step",
        description=(
            "The forward and the backward steps in order: per edge the local gradient, the "
            "contribution and the accumulation where a wire branches, the gate's pattern and a "
            "sentence on what happened, dimension analysis for tensors; the staged code, which "
            "runs as it stands, and the formulas in LaTeX."
        ),
        request=ExplainRequest,
        response_model=ExplainResponse,
        responses=responses(404),
        examples=("explain-patterns", "explain-matmul"),
    ),
    access="compute",
    tags=["compute"],
)
