"""A client in Python: graphs by writing Python, NumPy arrays in and out.

    from gradient_client import Client, Var

    x, y, z = Var("x"), Var("y"), Var("z")
    with Client("http://127.0.0.1:8000") as client:
        answer = client.gradient((x + y) * z, {"x": -2, "y": 5, "z": -4})
    answer.value, answer.gradients["x"]

Needs httpx, NumPy and orjson, and nothing of the service's own code.
"""

from gradient_client.calls import Circuit, Gradient, GradientGraph, Registered, Result, expression
from gradient_client.errors import (
    DeadlineExceeded,
    Fault,
    InvalidRequest,
    NotAuthorized,
    NotFound,
    Overloaded,
    ServiceError,
    TooLarge,
    Unreachable,
)
from gradient_client.http import AsyncClient, Client
from gradient_client.var import Var, constant, graph, ops

__all__ = [
    "AsyncClient",
    "Circuit",
    "Client",
    "DeadlineExceeded",
    "Fault",
    "Gradient",
    "GradientGraph",
    "InvalidRequest",
    "NotAuthorized",
    "NotFound",
    "Overloaded",
    "Registered",
    "Result",
    "ServiceError",
    "TooLarge",
    "Unreachable",
    "Var",
    "constant",
    "expression",
    "graph",
    "ops",
]
