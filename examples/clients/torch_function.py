"""A graph that lives in the service, as a function of PyTorch: `backward()` goes through it."""

from __future__ import annotations

import sys
from typing import Any

import torch
from gradient_client import Client, Var, ops


class Remote(torch.autograd.Function):
    """`Remote.apply(client, graph, names, *tensors)` is the graph's output."""

    @staticmethod
    def forward(ctx: Any, client: Client, graph: Any, names: list[str], *tensors: Any) -> Any:
        ctx.client, ctx.graph, ctx.names = client, graph, names
        ctx.save_for_backward(*tensors)
        inputs = {n: t.detach().numpy() for n, t in zip(names, tensors, strict=True)}
        (output,) = client.forward(graph, inputs).outputs.values()
        return torch.as_tensor(output, dtype=tensors[0].dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        inputs = {n: t.detach().numpy() for n, t in zip(ctx.names, ctx.saved_tensors, strict=True)}
        answer = ctx.client.gradient(ctx.graph, inputs, cotangent=upstream[0].numpy())
        gradients = [torch.as_tensor(answer.gradients[n]) for n in ctx.names]
        return None, None, None, *gradients


def main(url: str) -> None:
    W, x = Var("W"), Var("x")
    layer = ops.tanh(W @ x)

    torch.manual_seed(231)
    weights = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    point = torch.randn(3, dtype=torch.float64, requires_grad=True)
    with Client(url) as client:
        loss = (Remote.apply(client, layer, ["W", "x"], weights, point) ** 2).sum()
        loss.backward()
    print("loss", loss.item())
    print("dW", weights.grad)
    print("dx", point.grad)

    # The same in PyTorch alone.
    again = weights.detach().requires_grad_(), point.detach().requires_grad_()
    torch.tanh(again[0] @ again[1]).square().sum().backward()
    assert weights.grad is not None
    assert point.grad is not None
    torch.testing.assert_close(weights.grad, again[0].grad)
    torch.testing.assert_close(point.grad, again[1].grad)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
