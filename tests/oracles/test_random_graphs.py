"""Random graphs, scalars and tensors mixed, against torch, with JAX where the two differ."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from service.engine.compute import gradient  # noqa: E402
from service.engine.graph import resolve  # noqa: E402
from service.engine.program import program_for  # noqa: E402
from tests.engine.graphs import leaf, node, spec_of  # noqa: E402
from tests.oracles.comparing import COUNTED  # noqa: E402

pytestmark = pytest.mark.oracle
jax.config.update("jax_enable_x64", True)
GRAPHS = int(os.environ.get("GRADIENT_FUZZ_GRAPHS", "2000"))

# name → (how many inputs, torch, jax.numpy); all of them bounded, so that depth does no harm
GATES: dict[str, tuple[int, Callable[..., Any], Callable[..., Any]]] = {
    "add": (2, torch.add, jax.numpy.add),
    "subtract": (2, torch.sub, jax.numpy.subtract),
    "multiply": (2, torch.mul, jax.numpy.multiply),
    "maximum": (2, torch.maximum, jax.numpy.maximum),
    "minimum": (2, torch.minimum, jax.numpy.minimum),
    "tanh": (1, torch.tanh, jax.numpy.tanh),
    "sin": (1, torch.sin, jax.numpy.sin),
    "cos": (1, torch.cos, jax.numpy.cos),
    "sigmoid": (1, torch.sigmoid, jax.nn.sigmoid),
    "softplus": (1, torch.nn.functional.softplus, jax.nn.softplus),
    "relu": (1, torch.relu, jax.nn.relu),
    "square": (1, torch.square, jax.numpy.square),
    "atan": (1, torch.atan, jax.numpy.arctan),
    "erf": (1, torch.erf, jax.scipy.special.erf),
    "expm1": (
        1,
        lambda x: torch.expm1(torch.tanh(x)),
        lambda x: jax.numpy.expm1(jax.numpy.tanh(x)),
    ),
    "mean": (1, torch.mean, jax.numpy.mean),
    "max": (1, torch.amax, jax.numpy.max),
    "logsumexp": (1, lambda x: torch.logsumexp(x.reshape(-1), 0), jax.scipy.special.logsumexp),
    "softmax": (1, lambda x: torch.softmax(x, -1), lambda x: jax.nn.softmax(x, -1)),
    "matmul": (2, torch.matmul, jax.numpy.matmul),
}
SHAPES = [(), (3,), (2, 3), (3, 3), (2, 1, 3)]


def drawn(seed: int, size: int) -> tuple[list[dict[str, Any]], list[Any], dict[str, Any]]:
    """Nodes for us, a recipe (gate, sources) for the others, and the inputs."""
    rng = random.Random(seed)
    scalar = rng.random() < 0.4
    values = np.random.default_rng(seed)
    inputs: dict[str, Any] = {}
    nodes: list[dict[str, Any]] = []
    shapes: list[tuple[int, ...]] = []
    recipe: list[Any] = []
    for i in range(rng.randint(1, 5)):
        shape = () if scalar else rng.choice(SHAPES)
        inputs[f"x{i}"] = values.uniform(-1.5, 1.5, shape)
        nodes.append(leaf(f"x{i}"))
        shapes.append(shape)
        recipe.append(None)
    while len(nodes) < size:
        name = rng.choice(list(GATES))
        count = GATES[name][0]
        sources = [rng.randrange(len(nodes)) for _ in range(count)]
        try:
            shape = result_shape(name, [shapes[s] for s in sources])
        except ValueError:
            continue
        if name == "expm1":  # kept small by a tanh in front of it
            nodes.append(node(f"n{len(nodes)}", "tanh", nodes[sources[0]]["id"]))
            shapes.append(shape)
            recipe.append(("tanh", sources))
            nodes.append(node(f"n{len(nodes)}", "expm1", nodes[-1]["id"]))
            recipe.append(("expm1", sources))
        else:
            nodes.append(node(f"n{len(nodes)}", name, *(nodes[s]["id"] for s in sources)))
            recipe.append((name, sources))
        shapes.append(shape)
        if name in ("multiply", "square", "matmul", "softplus", "add"):
            nodes.append(node(f"n{len(nodes)}", "tanh", nodes[-1]["id"]))
            shapes.append(shape)
            recipe.append(("tanh", [len(nodes) - 2]))
    nodes.append(node("out", "sum", nodes[-1]["id"]))
    recipe.append(("sum", [len(nodes) - 2]))
    return nodes, recipe, inputs


def result_shape(name: str, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of a gate's result; ValueError where the inputs do not fit."""
    if name in ("mean", "max", "logsumexp"):
        return ()
    if name == "softmax":
        if not shapes[0]:
            raise ValueError("a scalar has no axis")
        return shapes[0]
    if name == "matmul":
        if not all(shapes):
            raise ValueError("scalars")
        return np.matmul(*(np.empty(s) for s in shapes)).shape
    return np.broadcast_shapes(*shapes)


def total(recipe: list[Any], inputs: list[Any], which: int, add: Callable[[Any], Any]) -> Any:
    """The recipe run by another library: `which` is 1 for torch, 2 for JAX."""
    values: list[Any] = list(inputs)
    for step in recipe[len(inputs) :]:
        name, sources = step
        arguments = [values[s] for s in sources]
        values.append(add(arguments[0]) if name == "sum" else GATES[name][which](*arguments))
    return values[-1]


def agree(ours: dict[str, Any], theirs: list[Any]) -> bool:
    scale = max(1.0, *(float(np.max(np.abs(t), initial=0.0)) for t in theirs))
    return all(
        np.allclose(a, b, rtol=1e-8, atol=1e-10 * scale, equal_nan=True)
        for a, b in zip(ours.values(), theirs, strict=True)
    )


@settings(
    max_examples=GRAPHS,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(2, 200))
def test_random_graph(seed: int, size: int) -> None:
    nodes, recipe, inputs = drawn(seed, size)
    program = program_for(
        resolve(spec_of(nodes, "out")),
        {k: float(v) if v.shape == () else v for k, v in inputs.items()},
    )
    ours = gradient(program, inputs).gradients
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs.values()]
    y = total(recipe, tensors, 1, torch.sum)
    grads = torch.autograd.grad(y, tensors, allow_unused=True)
    theirs = [
        np.zeros(t.shape) if g is None else g.numpy() for t, g in zip(tensors, grads, strict=True)
    ]
    COUNTED["random graphs compared with torch"] += 1
    if agree(ours, theirs):
        return
    arrays = [jax.numpy.asarray(x) for x in inputs.values()]
    third = jax.grad(lambda xs: total(recipe, xs, 2, jax.numpy.sum))(arrays)
    COUNTED["random graphs decided by JAX"] += 1
    assert agree(ours, [np.asarray(t) for t in third]), f"seed {seed}, size {size}"
