"""The requests of the load test, each with the answer it must get."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from tests.load.clients import Case

GRADIENT = "/v1/gradient"
STAGED = """
sigy = 1 / (1 + exp(-y))
num = x + sigy
sigx = 1 / (1 + exp(-x))
xpy = x + y
xpysqr = xpy ** 2
den = sigx + xpysqr
f = num / den
"""


def mix() -> list[Case]:
    """Small, middling and large requests, refused ones, and ones whose client hangs up.

    A case stands in the list as often as it is to be drawn.
    """
    return [
        *[small(-2, 5, -4), small(1, 2, 3), small(0.5, -0.25, 8)] * 30,
        *[staged(3.0, -4.0)] * 20,
        *[chain(400)] * 10,
        *[matmul(400)] * 4,
        *[chain(20_000), squares(50_000)] * 2,
        *refused() * 4,
        *hung_up(),
        too_many_bytes(),
    ]


def small(x: float, y: float, z: float) -> Case:
    """The note's circuit (x + y) z."""
    nodes = [
        {"id": "x", "op": "input", "value": x},
        {"id": "y", "op": "input", "value": y},
        {"id": "z", "op": "input"},
        {"id": "q", "op": "add", "inputs": ["x", "y"]},
        {"id": "f", "op": "mul", "inputs": ["q", "z"]},
    ]
    expected = {
        "output": "f",
        "value": (x + y) * z,
        "gradients": {"x": z, "y": z, "z": x + y},
        "values": {"x": x, "y": y, "z": z, "q": x + y, "f": (x + y) * z},
    }
    body = {"graph": {"nodes": nodes, "output": "f"}, "inputs": {"z": z}}
    return _case("small", body, lambda answer: answer == expected)


def staged(x: float, y: float) -> Case:
    """The note's staged function, as text; its gradient by central differences."""

    def f(x: float, y: float) -> float:
        sigmoid = 1 / (1 + math.exp(-y))
        return (x + sigmoid) / (1 / (1 + math.exp(-x)) + (x + y) ** 2)

    h = 1e-6
    dx = (f(x + h, y) - f(x - h, y)) / (2 * h)
    dy = (f(x, y + h) - f(x, y - h)) / (2 * h)

    def right(answer: dict[str, Any]) -> bool:
        gradients = answer["gradients"]
        return (
            math.isclose(answer["value"], f(x, y), rel_tol=1e-12)
            and math.isclose(gradients["x"], dx, rel_tol=1e-6)
            and math.isclose(gradients["y"], dy, rel_tol=1e-6)
        )

    return _case("staged", {"graph": {"expression": STAGED}, "inputs": {"x": x, "y": y}}, right)


def chain(length: int) -> Case:
    """A chain of additions of 1: the gradient is 1, the value its length."""
    nodes: list[dict[str, Any]] = [{"id": "n0", "op": "input", "value": 0}]
    nodes += [{"id": f"n{i}", "op": "add", "inputs": [f"n{i - 1}", 1]} for i in range(1, length)]
    body = {"graph": {"nodes": nodes}, "values": "output"}

    def right(answer: dict[str, Any]) -> bool:
        return bool(answer["value"] == length - 1 and answer["gradients"] == {"n0": 1.0})

    return _case(f"chain of {length}", body, right)


def matmul(size: int) -> Case:
    """The sum of A A for A full of a: its gradient by a is 2 a n^3."""
    text = f"m = broadcast_to(a, shape=[{size}, {size}])\nf = sum(m @ m)"
    body = {"graph": {"expression": text}, "inputs": {"a": 1.0}, "values": "output"}

    def right(answer: dict[str, Any]) -> bool:
        return math.isclose(answer["gradients"]["a"], 2.0 * size**3, rel_tol=1e-9)

    return _case(f"matmul of {size}", body, right)


def squares(count: int) -> Case:
    """The sum of squares of many numbers sent as JSON; all gradients come back."""
    x = [i / 7 for i in range(count)]
    expected = [2 * value for value in x]
    body = {"graph": {"expression": "sum(x * x)"}, "inputs": {"x": x}, "values": "output"}
    return _case(f"{count} squares", body, lambda answer: answer["gradients"]["x"] == expected)


def refused() -> list[Case]:
    """Requests that are wrong, each in another way."""
    cycle = {
        "nodes": [{"id": name, "op": "neg", "inputs": [other]} for name, other in ("ab", "ba")]
    }
    bomb = "sum(broadcast_to(x, shape=[1000000, 1000000]))"
    return [
        Case("not JSON", GRADIENT, b"{", 400, _has_code("malformed_json")),
        _case("cycle", {"graph": cycle}, _code("cycle"), 422),
        _case("unknown operator", {"graph": {"expression": "frob(x)"}}, None, 422),
        _case("no value", {"graph": {"expression": "x * y"}}, _code("missing_input"), 422),
        _case(
            "too large",
            {"graph": {"expression": bomb}, "inputs": {"x": 1}},
            _code("limit_exceeded"),
            413,
        ),
    ]


def too_many_bytes() -> Case:
    """A body beyond the limit."""
    return Case("too many bytes", GRADIENT, b" " * 17_000_000, 413, _has_code("body_too_large"))


def hung_up() -> list[Case]:
    """Requests whose client does not wait for the answer."""
    heavy, long, light = matmul(1200), chain(20_000), small(1, 2, 3)
    return [
        Case(f"hung up: {case.name}", case.path, case.body, 0, case.check, hang_up=seconds)
        for case, seconds in ((heavy, 0.05), (long, 0.0), (light, 0.0))
    ]


def _case(
    name: str,
    body: Any,
    right: Callable[[dict[str, Any]], bool] | None,
    status: int = 200,
) -> Case:
    def check(content: bytes) -> bool:
        return right is None or right(json.loads(content))

    return Case(name, GRADIENT, json.dumps(body).encode(), status, check)


def _code(code: str) -> Callable[[dict[str, Any]], bool]:
    return lambda answer: answer["code"] == code


def _has_code(code: str) -> Callable[[bytes], bool]:
    return lambda content: json.loads(content)["code"] == code
