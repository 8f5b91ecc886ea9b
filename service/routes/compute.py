"""The compute operations: a checked request, one call of the engine, its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from service.engine import derivatives
from service.engine.check import check, check_runs
from service.engine.compute import NotFinite, forward, gradient, not_finite
from service.engine.control import Control
from service.engine.errors import Fault, GraphError, LimitExceeded, escaped
from service.engine.gradient_graph import gradient_graph
from service.engine.graph import Graph
from service.engine.kinks import at_kinks
from service.engine.program import Program, program_for
from service.engine.run.batch import batch, batch_gradient, first_not_finite
from service.errors import responses as refusals
from service.http.operation import Operation
from service.http.prepared import Cost, PreparedRequest
from service.http.routing import Router
from service.wire import responses
from service.wire.analysis import analysis
from service.wire.answers import encode
from service.wire.context import Context
from service.wire.decode import read_request
from service.wire.graph_json import graph_document
from service.wire.requests import (
    AnalyzeRequest,
    CheckRequest,
    ForwardRequest,
    GradientGraphRequest,
    GradientRequest,
    HessianRequest,
    HvpRequest,
    JacobianRequest,
    JvpRequest,
    Request,
    VjpRequest,
)

_ELEMENT_NANOSECONDS = 30
_ELEMENT_BYTES = {"json": 22, "base64": 11}


def _cost(
    program: Program,
    request: Request,
    context: Context,
    *,
    sweeps: float,
    elements: int,
    points: int = 1,
    traced: bool = False,
) -> Cost:
    """The cost of `sweeps` forward runs over `points`, and of `elements` in the answer.

    With `traced` rules are traced to code first, which takes far longer than a node does.
    Raises LimitExceeded when there is too much to compute or to write.
    """
    known = program.cost
    work = known.nanoseconds(sweeps, traced=traced)
    rows = int(known.flops * sweeps * (points - 1))
    context.limits.check("flops", int(known.flops * sweeps) + rows)
    size = elements * _ELEMENT_BYTES[request.encoding] + 16 * known.nodes
    if size > context.max_output_bytes:
        raise LimitExceeded("output_bytes", context.max_output_bytes, size)
    return Cost(work + rows + _ELEMENT_NANOSECONDS * elements, size, known.nodes)


def _sizes(program: Program, names: Iterable[str] | None) -> int:
    """The elements of all the named nodes that there are; of every input for None."""
    graph = program.graph
    if program.floats:
        return len(graph.leaves) if names is None else len(list(names))
    found = graph.inputs if names is None else names
    return sum(program.spec(name).size for name in found if name in program.code.names)


def _outputs(program: Program, names: Sequence[str] | None) -> Sequence[str]:
    return program.outputs if names is None else names


def _warnings(found: Sequence[NotFinite]) -> dict[str, Any]:
    """The member that names where values or gradients stopped being finite, if they did."""
    if not found:
        return {}
    shown: list[dict[str, Any]] = []
    for one in found:
        shown.append({"kind": one.kind, "node": one.node, "detail": one.detail})
        if one.point is not None:
            shown[-1]["point"] = one.point
    return {"warnings": shown}


def _parse_forward(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, ForwardRequest, context, may_block)
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    everything = request.values == "all"
    elements = program.cost.elements if everything else _sizes(program, program.outputs)

    def execute(control: Control | None) -> bytes:
        made = forward(program, request.inputs, values=everything, control=control)
        answer: dict[str, Any] = {"outputs": program.graph.labelled(made.outputs)}
        if made.values is not None:
            answer["values"] = program.graph.labelled(made.values)
        return encode(answer | _warnings(made.warnings), request.encoding)

    return PreparedRequest(_cost(program, request, context, sweeps=1, elements=elements), execute)


def _parse_gradient(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, GradientRequest, context, may_block)
    if request.batch:
        return _batched_gradient(request, graph, context)
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    everything = request.values == "all"
    whole = program.cost.elements
    elements = whole * (everything + request.node_gradients) + _sizes(program, request.wrt)

    def execute(control: Control | None) -> bytes:
        made = gradient(
            program,
            request.inputs,
            output=request.output,
            wrt=request.wrt,
            cotangent=request.cotangent,
            values=everything,
            node_gradients=request.node_gradients,
            control=control,
        )
        return encode(_gradient_answer(made, program.graph), request.encoding)

    return PreparedRequest(_cost(program, request, context, sweeps=3, elements=elements), execute)


def _gradient_answer(made: Any, graph: Graph) -> Mapping[str, Any]:
    answer = {"output": graph.label(made.output), "value": made.value, "gradients": made.gradients}
    if made.values is not None:
        answer["values"] = graph.labelled(made.values)
    if made.node_gradients is not None:
        answer["node_gradients"] = graph.labelled(made.node_gradients)
    if made.warnings:
        answer |= _warnings(made.warnings)
    return answer


def _batched_gradient(request: GradientRequest, graph: Any, context: Context) -> PreparedRequest:
    """A gradient at every point of a batch."""
    points = batch(graph, request.inputs, request.batch, request.dtype, context.limits)
    if points.size > context.max_batch:
        raise LimitExceeded("batch", context.max_batch, points.size)
    program = points.program
    everything = request.values == "all"
    each = program.cost.elements * (everything + request.node_gradients)
    elements = points.size * (each + _sizes(program, request.wrt) + 1)
    context.limits.check("elements_total", elements)

    def execute(control: Control | None) -> bytes:
        made = batch_gradient(
            points,
            output=request.output,
            wrt=request.wrt,
            cotangent=request.cotangent,
            reduce=request.reduce,
            values=everything,
            node_gradients=request.node_gradients,
            control=control,
        )
        made.warnings = first_not_finite(points, made, request.cotangent)
        return encode(_gradient_answer(made, program.graph), request.encoding)

    cost = _cost(program, request, context, sweeps=3, elements=elements, points=points.size)
    return PreparedRequest(cost, execute)


def _length(tensor: Any) -> int:
    """The size of a tensor's first axis."""
    return int(np.shape(tensor)[0]) if np.ndim(tensor) else 1


@contextmanager
def _blaming(member: str, names: Iterable[str]) -> Iterator[None]:
    """Faults of `wrt` point at the member whose names stood for it."""
    try:
        yield
    except GraphError as error:
        places = {f"#/wrt/{i}": f"#/{member}/{escaped(name)}" for i, name in enumerate(names)}
        raise GraphError(
            replace(fault, pointer=places.get(fault.pointer or "", fault.pointer))
            for fault in error.faults
        ) from None


def _derivatives(
    program: Program,
    request: Request,
    values: Mapping[str, Any],
    found: Mapping[str, Mapping[str, Any]],
    second: bool = False,
) -> bytes:
    """The answer with values and derivatives, and with what is to be said of them."""

    def named(tensors: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, tensor in tensors.items():
            if isinstance(tensor, Mapping):
                yield from named(tensor)
            else:
                yield name, tensor

    flat = (tensor for _, tensor in named(values))
    by_name = (pair for member in found.values() for pair in named(member))
    said = not_finite(program, request.inputs, flat, by_name)
    warnings = _warnings([*said, *(at_kinks(program, request.inputs) if second else ())])
    return encode({**values, **found, **warnings}, request.encoding)


def _parse_vjp(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, VjpRequest, context, may_block)
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    rows = 1
    if request.batch_cotangents:
        rows = max((_length(tensor) for tensor in request.cotangents.values()), default=1)
    elements = rows * _sizes(program, request.wrt) + _sizes(program, request.cotangents)

    def execute(control: Control | None) -> bytes:
        made = derivatives.vjp(
            program,
            request.inputs,
            request.cotangents,
            wrt=request.wrt,
            batch=request.batch_cotangents,
            control=control,
        )
        values, found = (
            {"outputs": program.graph.labelled(made.outputs)},
            {"gradients": made.gradients},
        )
        return _derivatives(program, request, values, found)

    cost = _cost(
        program,
        request,
        context,
        sweeps=3,
        elements=elements,
        points=rows,
        traced=request.batch_cotangents,
    )
    return PreparedRequest(cost, execute)


def _parse_jvp(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, JvpRequest, context, may_block)
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    elements = 2 * _sizes(program, _outputs(program, request.outputs))

    def execute(control: Control | None) -> bytes:
        with _blaming("tangents", request.tangents):
            made = derivatives.jvp(
                program, request.inputs, request.tangents, outputs=request.outputs, control=control
            )
        values, found = (
            {"outputs": program.graph.labelled(made.outputs)},
            {"tangents": program.graph.labelled(made.tangents)},
        )
        return _derivatives(program, request, values, found)

    cost = _cost(program, request, context, sweeps=4, elements=elements, traced=True)
    return PreparedRequest(cost, execute)


def _parse_jacobian(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, JacobianRequest, context, may_block)
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    rows = _sizes(program, _outputs(program, request.outputs))
    columns = _sizes(program, request.wrt)
    context.limits.check("elements_total", rows * columns)

    def execute(control: Control | None) -> bytes:
        made = derivatives.jacobian(
            program, request.inputs, outputs=request.outputs, wrt=request.wrt, control=control
        )
        values, found = (
            {"outputs": program.graph.labelled(made.outputs)},
            {"jacobian": program.graph.labelled(made.jacobian)},
        )
        return _derivatives(program, request, values, found)

    cost = _cost(
        program,
        request,
        context,
        sweeps=4,
        elements=rows * columns + rows,
        points=max(1, min(rows, columns)),
        traced=True,
    )
    return PreparedRequest(cost, execute)


def _parse_hessian(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, HessianRequest, context, may_block)
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    size = _sizes(program, request.wrt)
    context.limits.check("elements_total", size * size)

    def execute(control: Control | None) -> bytes:
        made = derivatives.hessian(
            program, request.inputs, output=request.output, wrt=request.wrt, control=control
        )
        found = {"gradients": made.gradients, "hessian": made.hessian}
        return _derivatives(program, request, {"value": made.value}, found, second=True)

    elements = size * size + size
    cost = _cost(
        program,
        request,
        context,
        sweeps=8,
        elements=elements,
        points=max(1, size),
        traced=True,
    )
    return PreparedRequest(cost, execute)


def _parse_hvp(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, HvpRequest, context, may_block)
    program = program_for(graph, request.inputs, request.dtype, context.limits)

    def execute(control: Control | None) -> bytes:
        with _blaming("vector", request.vector):
            made = derivatives.hvp(
                program, request.inputs, request.vector, output=request.output, control=control
            )
        found = {"gradients": made.gradients, "hvp": made.hvp}
        return _derivatives(program, request, {"value": made.value}, found, second=True)

    elements = 2 * _sizes(program, request.vector)
    cost = _cost(program, request, context, sweeps=8, elements=elements, traced=True)
    return PreparedRequest(cost, execute)


def _require_gradients(names: Iterable[str]) -> None:
    """Raise GraphError for inputs whose gradient should be checked, and wasn't given."""
    faults = [
        Fault(
            "missing_input",
            f"the gradient of '{name[:64]}' is not given",
            node=name[:64],
            pointer=f"#/gradients/{escaped(name)}",
        )
        for name in names
    ]
    if faults:
        raise GraphError(faults)


def _parse_check(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, CheckRequest, context, may_block)
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    wanted = request.wrt if request.wrt is not None else request.gradients
    names = graph.inputs if wanted is None else [name for name in wanted if name in graph.inputs]
    if request.wrt is not None and request.gradients is not None:
        _require_gradients(name for name in request.wrt if name not in request.gradients)

    def execute(control: Control | None) -> bytes:
        with _blaming("gradients", () if request.wrt else request.gradients or ()):
            made = check(
                program,
                request.inputs,
                output=request.output,
                wrt=request.wrt,
                cotangent=request.cotangent,
                gradients=request.gradients,
                method=request.method,
                step=request.step,
                tolerance=request.tolerance,
                seed=request.seed,
                control=control,
            )
        return encode(asdict(made))

    runs = check_runs(program, list(names))
    return PreparedRequest(
        _cost(program, request, context, sweeps=runs, elements=20 * len(names)), execute
    )


def _parse_analyze(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
    request, graph = read_request(body, AnalyzeRequest, context, may_block)
    cost = Cost(20_000 * len(graph), 100 * len(graph), len(graph))

    def execute(_: Control | None) -> bytes:
        return encode(
            analysis(graph, request.shapes, request.inputs, request.dtype, context.limits)
        )

    return PreparedRequest(cost, execute)


def _parse_gradient_graph(
    body: bytes, context: Context, may_block: bool = True, /
) -> PreparedRequest:
    request, graph = read_request(body, GradientGraphRequest, context, may_block)
    program = program_for(graph, request.inputs, request.dtype, context.limits)
    growth = 4 ** min(request.order, context.limits.order)

    def execute(control: Control | None) -> bytes:
        made = gradient_graph(
            program,
            output=request.output,
            wrt=request.wrt,
            order=request.order,
            control=control,
        )
        written = graph_document(made.spec, request.encoding)
        return encode({"graph": written, "gradients": made.gradients})

    work = program.cost.nanoseconds(growth, traced=True)
    cost = Cost(work, 100 * program.cost.edges * growth, len(graph))
    return PreparedRequest(cost, execute)


router = Router(
    Operation(
        "/v1/forward",
        _parse_forward,
        summary="Run a graph forward",
        description="The values of the outputs, and of every node unless `values` is `output`.",
        request=ForwardRequest,
        response_model=responses.ForwardResponse,
        responses=refusals(404),
        examples=("forward-staged-text",),
    ),
    Operation(
        "/v1/gradient",
        _parse_gradient,
        summary="Gradients of one output with respect to the inputs",
        description=(
            "One forward and one backward sweep. The output is a scalar, or comes with a "
            "`cotangent` of its shape. With `batch`, value and gradients at every point of a "
            "batch."
        ),
        request=GradientRequest,
        response_model=responses.GradientResponse,
        responses=refusals(404),
        examples=(
            "gradient-product",
            "gradient-compound",
            "gradient-neuron-gates",
            "gradient-neuron-sigmoid",
            "gradient-staged-nodes",
            "gradient-staged-text",
            "gradient-patterns",
            "gradient-matmul",
            "gradient-branch",
            "gradient-batch",
            "gradient-base64",
            "gradient-warning",
        ),
    ),
    Operation(
        "/v1/vjp",
        _parse_vjp,
        summary="Vector-Jacobian products",
        description=(
            "Pulls cotangents of one or more outputs back to the inputs; with `batch_cotangents` "
            "many at once."
        ),
        request=VjpRequest,
        response_model=responses.VjpResponse,
        responses=refusals(404),
        examples=("vjp-matmul",),
    ),
    Operation(
        "/v1/jvp",
        _parse_jvp,
        summary="Jacobian-vector products",
        description="How the outputs move when the inputs move along the tangents.",
        request=JvpRequest,
        response_model=responses.JvpResponse,
        responses=refusals(404),
        examples=("jvp-compound",),
    ),
    Operation(
        "/v1/jacobian",
        _parse_jacobian,
        summary="All partial derivatives",
        description=(
            "One tensor for every pair of output and input, of the output's shape followed by the "
            "input's."
        ),
        request=JacobianRequest,
        response_model=responses.JacobianResponse,
        responses=refusals(404),
        examples=("jacobian-elementwise",),
    ),
    Operation(
        "/v1/hessian",
        _parse_hessian,
        summary="All second derivatives of a scalar output",
        description=(
            "One tensor for every pair of inputs. Where only products with vectors are needed, "
            "`/v1/hvp` is much cheaper."
        ),
        request=HessianRequest,
        response_model=responses.HessianResponse,
        responses=refusals(404),
        examples=("hessian-product",),
    ),
    Operation(
        "/v1/hvp",
        _parse_hvp,
        summary="Hessian-vector products",
        description=(
            "The Hessian of a scalar output times a vector, without the Hessian being formed."
        ),
        request=HvpRequest,
        response_model=responses.HvpResponse,
        responses=refusals(404),
        examples=("hvp-product",),
    ),
    Operation(
        "/v1/check",
        _parse_check,
        summary="Gradients against differences of values",
        description=(
            "Each element of each input is moved, and the values' differences are compared with "
            "the gradient, or with the `gradients` given. A Taylor test along a random direction "
            "judges without any tolerance."
        ),
        request=CheckRequest,
        response_model=responses.CheckResponse,
        responses=refusals(404),
        examples=("check-compound",),
    ),
    Operation(
        "/v1/analyze",
        _parse_analyze,
        summary="Shapes, order and cost of a graph",
        description=(
            "Nothing is computed. `shapes` stand in place of values; an input with neither is a "
            "scalar."
        ),
        request=AnalyzeRequest,
        response_model=responses.AnalyzeResponse,
        responses=refusals(404),
        examples=("analyze-matmul",),
    ),
    Operation(
        "/v1/gradient-graph",
        _parse_gradient_graph,
        summary="The graph that computes the gradients",
        description=(
            "In the form in which graphs are sent: send it to /v1/forward to evaluate the "
            "derivatives, or here again for the next order."
        ),
        request=GradientGraphRequest,
        response_model=responses.GradientGraphResponse,
        responses=refusals(404),
        examples=("gradient-graph-compound",),
    ),
    access="compute",
    tags=["compute"],
)
