"""Two networks whose gradients, all of them, are held to torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from service.engine.compute import gradient  # noqa: E402
from service.engine.graph import resolve  # noqa: E402
from service.engine.graph_spec import GraphSpec  # noqa: E402
from service.engine.program import program_for  # noqa: E402
from tests.engine.graphs import leaf, node, spec_of  # noqa: E402

pytestmark = pytest.mark.oracle


def held(spec: GraphSpec, inputs: dict[str, Any], loss: Any) -> None:
    """Compare value and all gradients with those of `loss`, a function of torch tensors."""
    variables = {
        name: torch.tensor(value, requires_grad=value.dtype.kind == "f")
        for name, value in inputs.items()
    }
    theirs = loss(variables)
    theirs.backward()
    ours = gradient(program_for(resolve(spec), inputs), inputs)
    assert float(ours.value) == pytest.approx(theirs.item(), rel=1e-12)
    for name, value in ours.gradients.items():
        expected = variables[name].grad.numpy()
        bound = max(float(np.max(np.abs(expected))), 1e-3)
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9 * bound, err_msg=name)


def test_two_layer_softmax_network() -> None:
    rng = np.random.default_rng(1)
    inputs = {
        "X": rng.standard_normal((16, 12)),
        "W1": rng.standard_normal((12, 8)),
        "b1": rng.standard_normal(8),
        "W2": rng.standard_normal((8, 5)),
        "b2": rng.standard_normal(5),
        "labels": rng.integers(0, 5, 16),
    }
    spec = spec_of(
        [
            *(leaf(name) for name in inputs if name != "labels"),
            {"id": "labels", "op": "input", "dtype": "int64"},
            node("a1", "matmul", "X", "W1"),
            node("z1", "add", "a1", "b1"),
            node("h", "relu", "z1"),
            node("a2", "matmul", "h", "W2"),
            node("scores", "add", "a2", "b2"),
            node("loss", "cross_entropy", "scores", "labels"),
        ],
        "loss",
    )

    def loss(t: dict[str, Any]) -> Any:
        hidden = torch.relu(t["X"] @ t["W1"] + t["b1"])
        return torch.nn.functional.cross_entropy(hidden @ t["W2"] + t["b2"], t["labels"])

    held(spec, inputs, loss)


def test_small_convolutional_network() -> None:
    rng = np.random.default_rng(2)
    inputs = {
        "X": rng.standard_normal((4, 3, 8, 8)),
        "K": rng.standard_normal((6, 3, 3, 3)),
        "kb": rng.standard_normal(6),
        "gamma": rng.uniform(0.5, 1.5, 6),
        "beta": rng.standard_normal(6),
        "W": rng.standard_normal((96, 5)),
        "b": rng.standard_normal(5),
        "labels": rng.integers(0, 5, 4),
    }
    spec = spec_of(
        [
            *(leaf(name) for name in inputs if name != "labels"),
            {"id": "labels", "op": "input", "dtype": "int64"},
            node("conv", "conv", "X", "K", "kb", pads=[1, 1, 1, 1]),
            node("bn", "batch_norm", "conv", "gamma", "beta"),
            node("h", "relu", "bn"),
            node("pool", "max_pool", "h", kernel_shape=[2, 2], strides=[2, 2]),
            node("flat", "reshape", "pool", shape=[4, 96]),
            node("affine", "matmul", "flat", "W"),
            node("scores", "add", "affine", "b"),
            node("loss", "cross_entropy", "scores", "labels"),
        ],
        "loss",
    )

    def loss(t: dict[str, Any]) -> Any:
        f = torch.nn.functional
        y = f.conv2d(t["X"], t["K"], t["kb"], padding=1)
        y = f.batch_norm(y, None, None, t["gamma"], t["beta"], training=True)
        y = f.max_pool2d(torch.relu(y), 2).reshape(4, -1)
        return f.cross_entropy(y @ t["W"] + t["b"], t["labels"])

    held(spec, inputs, loss)
