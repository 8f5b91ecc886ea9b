"""A graph that lives in the service, as a function of JAX, under `grad` and `jit`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gradient_client import Client, Var, ops

jax.config.update("jax_enable_x64", True)


def remote(client: Client, graph: Any) -> Callable[[dict[str, Any]], Any]:
    """A function from a dict of arrays to the graph's scalar output."""

    def value(inputs: dict[str, Any]) -> Any:
        (output,) = client.forward(graph, inputs).outputs.values()
        return np.asarray(output)

    def gradients(inputs: dict[str, Any]) -> dict[str, Any]:
        found = client.gradient(graph, inputs).gradients
        return {name: np.asarray(array) for name, array in found.items()}

    @jax.custom_vjp
    def function(inputs: dict[str, Any]) -> Any:
        return jax.pure_callback(value, jax.ShapeDtypeStruct((), jnp.float64), inputs)

    def forward(inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        shapes = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in inputs.items()}
        return function(inputs), jax.pure_callback(gradients, shapes, inputs)

    def backward(found: dict[str, Any], upstream: Any) -> tuple[dict[str, Any]]:
        return ({name: upstream * gradient for name, gradient in found.items()},)

    function.defvjp(forward, backward)
    return function


def main(url: str) -> None:
    W, x = Var("W"), Var("x")
    rng = np.random.default_rng(231)
    point = {"W": jnp.array(rng.normal(size=(4, 3))), "x": jnp.array(rng.normal(size=3))}
    with Client(url) as client:
        energy = remote(client, ops.square(ops.tanh(W @ x)).sum())
        gradient = jax.jit(jax.grad(lambda inputs: 2 * energy(inputs)))(point)
    print("dW", gradient["W"])
    print("dx", gradient["x"])

    # The same in JAX alone.
    local = jax.grad(lambda p: 2 * jnp.sum(jnp.tanh(p["W"] @ p["x"]) ** 2))(point)
    for name in point:
        np.testing.assert_allclose(gradient[name], local[name], rtol=1e-12, atol=1e-14)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
