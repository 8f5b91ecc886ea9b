"""Minimising with SciPy: values and exact gradients come from the service."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from gradient_client import Client, Var
from scipy.optimize import minimize


def main(url: str) -> None:
    # Rosenbrock's valley in ten dimensions; its minimum is at (1, …, 1).
    x = Var("x", shape=(10,))
    valley = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    with Client(url) as client:
        # Registered once, so that the graph doesn't travel with every step.
        graph = client.register(valley, "rosenbrock")

        def value_and_gradient(point: Any) -> tuple[float, Any]:
            answer = client.gradient(graph, {"x": point})
            return answer.value, answer.gradients["x"]

        found = minimize(value_and_gradient, np.zeros(10), jac=True, method="L-BFGS-B")
    print(f"{found.nit} steps, {found.nfev} evaluations, minimum {found.fun:.2e} at {found.x}")
    np.testing.assert_allclose(found.x, 1, atol=1e-4)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
