"""POST /v1/explain: both passes step by step, and the staged code."""

from __future__ import annotations

from service.engine.control import Control
from service.engine.errors import LimitExceeded
from service.engine.program import program_for
from service.explain.explanation import explain
from service.routes._endpoint import Context, Cost, Endpoint, Work
from service.wire.answers import encode
from service.wire.explaining import ExplainRequest, ExplainResponse
from service.wire.requests import read_request

MAX_NODES = 5_000
"""A longer explanation is read by nobody."""
_NODE_NANOSECONDS = 300_000
_NODE_BYTES = 1_500
_ELEMENT_BYTES = 22 * 8


def _read(body: bytes, context: Context, may_block: bool = True, /) -> Work:
    request, graph = read_request(body, ExplainRequest, context, may_block)
    if len(graph) > MAX_NODES:
        raise LimitExceeded("explained_nodes", MAX_NODES, len(graph))
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    known = program.cost
    size = _NODE_BYTES * known.nodes + _ELEMENT_BYTES * known.elements
    if size > context.max_output_bytes:
        raise LimitExceeded("output_bytes", context.max_output_bytes, size)

    def run(control: Control | None) -> bytes:
        made = explain(
            program,
            request.inputs,
            output=request.output,
            cotangent=request.cotangent,
            control=control,
        )
        return encode(made, request.encoding)

    flops = 4 * known.flops + _NODE_NANOSECONDS * known.nodes
    return Work(Cost(flops, size, known.nodes), run)


endpoints: tuple[Endpoint, ...] = (
    Endpoint(
        "/v1/explain",
        "Both passes explained, step by step",
        "The forward and the backward steps in order: per edge the local gradient, the "
        "contribution and the accumulation where a wire branches, the gate's pattern and a "
        "sentence on what happened, dimension analysis for tensors; the staged code, which runs "
        "as it stands, and the formulas in LaTeX.",
        _read,
        ExplainRequest,
        ExplainResponse,
        ("explain-patterns", "explain-matmul"),
    ),
)
