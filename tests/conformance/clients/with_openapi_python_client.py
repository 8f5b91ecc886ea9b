"""A client made by openapi-python-client, run against the service."""

import sys

from gradient_service_client import Client
from gradient_service_client.api.compute import forward, gradient, hessian
from gradient_service_client.models import (
    ExpressionGraph,
    ForwardRequest,
    GradientRequest,
    GradientRequestInputs,
    GradientResponse,
    HessianRequest,
    HessianRequestInputs,
    HessianResponse,
    Node,
    NodeOp,
    NodesGraph,
    Problem,
)

client = Client(base_url=sys.argv[1])
graph = NodesGraph(
    nodes=[
        Node(id="x", op=NodeOp.INPUT),
        Node(id="y", op=NodeOp.CONSTANT, value=[[1, 2], [3, 4]]),
        Node(id="p", op=NodeOp.MUL, inputs=["x", "y"]),
        Node(id="s", op=NodeOp.SUM, inputs=["p"], axis=[0, 1], keepdims=False),
    ],
    output="s",
)
inputs = GradientRequestInputs.from_dict({"x": [[1, 1], [1, "Infinity"]]})
answer = gradient.sync(client=client, body=GradientRequest(graph=graph, inputs=inputs))
assert isinstance(answer, GradientResponse), answer
assert answer.gradients.to_dict() == {"x": [[1, 2], [3, 4]]}
assert answer.to_dict()["value"] == "Infinity"
second = hessian.sync(
    client=client,
    body=HessianRequest(
        graph=ExpressionGraph(expression="x * x * y"),
        inputs=HessianRequestInputs.from_dict({"x": 3, "y": 2}),
    ),
)
assert isinstance(second, HessianResponse), second
assert second.hessian.to_dict() == {"x": {"x": 4, "y": 6}, "y": {"x": 6, "y": 0}}
refused = forward.sync(
    client=client, body=ForwardRequest(graph=ExpressionGraph(expression="foo(x)"))
)
assert isinstance(refused, Problem), refused
assert refused.code == "unknown_operator"
print("ok")
