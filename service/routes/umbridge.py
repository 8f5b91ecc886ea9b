"""`/umbridge`: every registered graph as a model of UM-Bridge 1.0.

For clients of that protocol (uncertainty quantification, MCMC, in Python, R, Julia, MATLAB
and C++): `umbridge.HTTPModel("http://…/umbridge", "NAME")`. The model named "graph" takes
its graph from `config`, without registering.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from fastapi import Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from service.engine import derivatives
from service.engine.compute import forward
from service.engine.control import Control, Limits
from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.program import program_for
from service.errors import problem, responses
from service.http.operation import Operation
from service.http.prepared import Answer, Cost, PreparedRequest
from service.http.routing import Router
from service.routes._describe import own_refusals
from service.routes._pages import store_of
from service.store import Store
from service.wire import umbridge_documents as documents
from service.wire.context import Context
from service.wire.umbridge import (
    UNREGISTERED,
    Call,
    Model,
    ProtocolError,
    flat,
    read_call,
    shaped,
    size,
)

Run = Callable[[Control | None], dict[str, Any]]


def models(store: Store) -> list[str]:
    """The names of all models."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = store.list_graphs(1000, cursor)
        for entry in page.items:
            found.extend(entry.names or (entry.id,))
        cursor = page.cursor
        if cursor is None:
            return [name for name in found if name != UNREGISTERED] + [UNREGISTERED]


def _model_info(call: Call, model: Model) -> Run:
    derivable = model.differentiable and bool(model.inputs)
    support = {
        "Evaluate": True,
        "Gradient": derivable,
        "ApplyJacobian": derivable,
        "ApplyHessian": derivable,
    }
    return lambda _: {"support": support}


def _input_sizes(call: Call, model: Model) -> Run:
    return lambda _: {"inputSizes": [size(shape) for shape in model.inputs.values()]}


def _output_sizes(call: Call, model: Model) -> Run:
    return lambda _: {"outputSizes": [size(shape) for shape in model.results.values()]}


def _evaluate(call: Call, model: Model) -> Run:
    values = model.values(call.input)
    program = model.program(values)

    def run(control: Control | None) -> dict[str, Any]:
        found = forward(program, values, control=control).values or {}
        return {"output": [flat(found[_whole(name, found)], name) for name in model.outputs]}

    return run


def _whole(name: str, found: dict[str, Any]) -> str:
    """The name under which a node's (first) output stands among the values."""
    return name if name in found else f"{name}.0"


def _gradient(call: Call, model: Model) -> Run:
    _supported(model, "Gradient")
    values = model.values(call.input)
    output = model.output_at(call.outWrt, "outWrt")
    wrt = model.input_at(call.inWrt, "inWrt")
    sens = shaped(call.sens, model.results[output], "sens")
    program = model.program(values)

    def run(control: Control | None) -> dict[str, Any]:
        made = derivatives.vjp(program, values, {output: sens}, wrt=[wrt], control=control)
        return {"output": flat(made.gradients[wrt], wrt)}

    return run


def _apply_jacobian(call: Call, model: Model) -> Run:
    _supported(model, "ApplyJacobian")
    values = model.values(call.input)
    output = model.output_at(call.outWrt, "outWrt")
    wrt = model.input_at(call.inWrt, "inWrt")
    vec = shaped(call.vec, model.inputs[wrt], "vec")
    program = model.program(values)

    def run(control: Control | None) -> dict[str, Any]:
        made = derivatives.jvp(program, values, {wrt: vec}, outputs=[output], control=control)
        return {"output": flat(made.tangents[output], output)}

    return run


def _apply_hessian(call: Call, model: Model) -> Run:
    _supported(model, "ApplyHessian")
    values = model.values(call.input)
    output = model.output_at(call.outWrt, "outWrt")
    first = model.input_at(call.inWrt1, "inWrt1")
    second = model.input_at(call.inWrt2, "inWrt2")
    sens = shaped(call.sens, model.results[output], "sens")
    vec = shaped(call.vec, model.inputs[second], "vec")
    weighted = model.derived.get(output)
    if weighted is None:
        weighted = _weighted(model.graph, output, model.limits)
        model.derived.put(output, weighted, weighted[0].nbytes)
    graph, weights, total = weighted
    values[weights] = sens
    program = program_for(graph, values, "float64", model.limits)
    vector = {first: _zeros(model.inputs[first]), second: vec}

    def run(control: Control | None) -> dict[str, Any]:
        made = derivatives.hvp(program, values, vector, output=total, control=control)
        return {"output": flat(made.hvp[first], first)}

    return run


def _zeros(shape: tuple[int, ...]) -> Any:
    return np.zeros(shape) if shape else 0.0


def _weighted(graph: Graph, output: str, limits: Limits) -> tuple[Graph, str, str]:
    """The graph with the sum of `weights * output` as its scalar output: (graph, weights, sum)."""
    free = "_"
    while any(name.startswith(free) for name in graph.ids):
        free += "_"
    weights, product, total = free + "w", free + "p", free + "s"
    ids = graph.ids
    spec = GraphSpec([*ids, weights, product, total], [], [], output=total)
    for position in range(len(ids)):
        spec.ops.append(graph.operator(position).name)
        spec.inputs.append([_name(graph, source) for source in graph.sources(position)])
        if position in graph.attrs:
            spec.attrs[position] = dict(graph.attrs[position])
    spec.leaves = {**graph.leaves, len(ids): Leaf("input")}
    spec.ops += ["input", "multiply", "sum"]
    spec.inputs += [(), [output, weights], [product]]
    return resolve(spec, limits), weights, total


def _name(graph: Graph, source: int) -> str | float:
    """What an input position stands for: a node, one of its further outputs, a number."""
    if source >= 0:
        return graph.ids[source]
    if source in graph.projections:
        position, index = graph.projections[source]
        return f"{graph.ids[position]}.{index}"
    return graph.literal(source)


def _supported(model: Model, feature: str) -> None:
    if not model.differentiable or not model.inputs:
        raise ProtocolError("UnsupportedFeature", f"this model has no {feature}")


def _operation(
    path: str,
    summary: str,
    prepare: Callable[[Call, Model], Run],
    sweeps: int,
    request: type[BaseModel],
    response: type[BaseModel],
) -> Operation:
    """One endpoint of the protocol; `sweeps` is what it costs in forward runs."""

    def parse(body: bytes, context: Context, may_block: bool = True, /) -> PreparedRequest:
        # In the protocol's order: name, support, the rest.
        call, model = read_call(body, context, may_block)
        run = prepare(call, model)
        known = model.cost
        context.limits.check("flops", sweeps * known.flops)
        work = known.nanoseconds(sweeps, traced=prepare in (_apply_jacobian, _apply_hessian))
        return PreparedRequest(
            Cost(work + 10_000, 22 * known.elements, known.nodes),
            lambda control: orjson.dumps(run(control)),
        )

    return Operation(
        path,
        parse,
        summary=summary,
        description="UM-Bridge 1.0; errors are in that protocol's form.",
        refuse=_refuse,
        request=request,
        response_model=response,
        responses=own_refusals(documents.UmbridgeRefusal),
        name=path.strip("/").replace("/", "-"),
    )


def _refuse(error: Exception) -> Answer:
    """The protocol's own form of an error, for whatever went wrong."""
    if isinstance(error, ProtocolError):
        return _error(error.kind, error.message, error.status)
    refusal = problem(error)
    if refusal.status in (400, 404, 413, 415, 422):
        return _error("InvalidInput", refusal.detail, 400)
    kind = "".join(part.capitalize() for part in refusal.code.name.split("_"))
    return _error(kind, refusal.detail, refusal.status)


def _error(kind: str, message: str, status: int) -> Answer:
    body = orjson.dumps({"error": {"type": kind, "message": message}})
    return Answer(body, "application/json", status)


router = Router(
    _operation(
        "/umbridge/ModelInfo",
        "What a model can do",
        _model_info,
        0,
        documents.UmbridgeNameRequest,
        documents.UmbridgeModelInfo,
    ),
    _operation(
        "/umbridge/InputSizes",
        "Lengths of the input vectors",
        _input_sizes,
        0,
        documents.UmbridgeSizesRequest,
        documents.UmbridgeInputSizes,
    ),
    _operation(
        "/umbridge/OutputSizes",
        "Lengths of the output vectors",
        _output_sizes,
        0,
        documents.UmbridgeSizesRequest,
        documents.UmbridgeOutputSizes,
    ),
    _operation(
        "/umbridge/Evaluate",
        "The output vectors",
        _evaluate,
        1,
        documents.UmbridgeEvaluateRequest,
        documents.UmbridgeOutputs,
    ),
    _operation(
        "/umbridge/Gradient",
        "`sens` times the Jacobian",
        _gradient,
        3,
        documents.UmbridgeGradientRequest,
        documents.UmbridgeOutput,
    ),
    _operation(
        "/umbridge/ApplyJacobian",
        "The Jacobian times `vec`",
        _apply_jacobian,
        4,
        documents.UmbridgeApplyJacobianRequest,
        documents.UmbridgeOutput,
    ),
    _operation(
        "/umbridge/ApplyHessian",
        "The Hessian of `sens` times the output, times `vec`",
        _apply_hessian,
        8,
        documents.UmbridgeApplyHessianRequest,
        documents.UmbridgeOutput,
    ),
    access="compute",
    offers=None,
    prefix="/umbridge",
    tags=["UM-Bridge"],
)


class Info(BaseModel):
    """The models."""

    protocolVersion: float = Field(1.0, description="Of UM-Bridge.")
    models: list[str]


@router.get("/Info", summary="The models", responses=responses(503))
async def info(request: Request) -> Info:
    """Every registered graph is a model, by its names or else its id.

    The model `graph` takes its graph from `config`: `{"graph": …, "inputs": {…},
    "shapes": {…}, "outputs": […]}`, where `inputs` fixes values of inputs and `shapes`
    declares those that the graph leaves open.
    """
    return Info(protocolVersion=1.0, models=await run_in_threadpool(models, store_of(request)))
