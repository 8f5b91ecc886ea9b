"""Two networks and their inputs."""

from itertools import pairwise
from typing import Any

import numpy as np

MLP = """
h1 = relu(X @ W1 + b1)
h2 = relu(h1 @ W2 + b2)
loss = cross_entropy(h2 @ W3 + b3, labels)
"""
CONV = "loss = sum(conv(x, w, pads=[1, 1, 1, 1]) ** 2)"


def mlp_inputs(dtype: str) -> dict[str, Any]:
    """784-256-128-10, batch 256."""
    rng = np.random.default_rng(0)
    sizes = (784, 256, 128, 10)
    inputs: dict[str, Any] = {"X": rng.normal(size=(256, 784)).astype(dtype)}
    for layer, (rows, columns) in enumerate(pairwise(sizes), 1):
        inputs[f"W{layer}"] = (0.05 * rng.normal(size=(rows, columns))).astype(dtype)
        inputs[f"b{layer}"] = np.zeros(columns, dtype)
    inputs["labels"] = rng.integers(0, 10, 256)
    return inputs


def conv_inputs(dtype: str) -> dict[str, Any]:
    """16 images of 16 channels, 32 by 32; 16 filters of 3 by 3."""
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=(16, 16, 32, 32)).astype(dtype),
        "w": rng.normal(size=(16, 16, 3, 3)).astype(dtype),
    }
