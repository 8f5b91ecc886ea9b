"""Nodes that don't lead to the output: their gradient is 0, and asking for it breaks nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.app import make_context, operations
from service.settings import Settings

GRAPHS = (
    "b = x * 3\nf = y * x",
    "a = x + y\nb = exp(a)\nc = b * 2\nf = x * y",
    "b = max(x, y)\nc = b > 0\nf = x * y",
    "b = softmax(stack([x, y]))\nf = x * y",
)


def graded(text: str, gradients: dict[str, Any]) -> dict[str, Any]:
    body = {
        "graph": {"expression": text, "output": "f"},
        "inputs": {"x": 1.0, "y": 2.0},
        "submission": {"gradients": gradients},
        "reveal": "full",
    }
    operation = operations()["/v1/grade"]
    context = make_context(Settings())
    answer: dict[str, Any] = json.loads(operation.compute(json.dumps(body).encode(), context))
    return answer


@pytest.mark.parametrize("text", GRAPHS)
def test_zero_is_right_and_anything_else_is_wrong(text: str) -> None:
    zero: Any = [0.0, 0.0] if "softmax" in text else 0.0
    one: Any = [0.0, 1.0] if "softmax" in text else 1.0
    right = {
        node["node"]: node["verdict"] for node in graded(text, {"b": zero, "x": 2, "y": 1})["nodes"]
    }
    assert right == dict.fromkeys(("b", "x", "y"), "correct")
    wrong = {
        node["node"]: node["verdict"] for node in graded(text, {"b": one, "x": 2, "y": 1})["nodes"]
    }
    assert wrong["b"] == "wrong"
    assert wrong["x"] == "correct"
