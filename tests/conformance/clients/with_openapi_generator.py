"""A client made by openapi-generator for Python, run against the service."""

import json
import sys

import openapi_client as generated

client = generated.ApiClient(generated.Configuration(host=sys.argv[1]))
api = generated.ComputeApi(client)
Input = generated.NodeInput
graph = generated.NodesGraph(
    nodes=[
        generated.Node(id="x", op="input"),
        generated.Node(id="y", op="constant", value=[[1, 2], [3, 4]]),
        generated.Node(id="p", op="mul", inputs=[Input("x"), Input("y")]),
        generated.Node(
            id="s", op="sum", inputs=[Input("p")], axis=generated.NodeAxis([0, 1]), keepdims=False
        ),
    ],
    output=generated.NodesGraphOutput("s"),
)
answer = api.gradient(
    generated.GradientRequest(graph=generated.Graph(graph), inputs={"x": [[1, 1], [1, "Infinity"]]})
)
assert answer.gradients["x"] == [[1, 2], [3, 4]]
assert answer.value == "Infinity"
second = api.hessian(
    generated.HessianRequest(
        graph=generated.Graph(generated.ExpressionGraph(expression="x * x * y")),
        inputs={"x": 3.0, "y": 2.0},
    )
)
assert second.hessian["x"]["y"] == 6
code = ""
try:
    api.forward(
        generated.ForwardRequest(
            graph=generated.Graph(generated.ExpressionGraph(expression="foo(x)"))
        )
    )
except generated.ApiException as error:
    code = json.loads(error.body)["code"]
assert code == "unknown_operator"
print("ok")
