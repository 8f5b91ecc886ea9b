"""Evals in the manner of GradBench, each a text that the service reads and Python runs.

`text` computes `y` with NumPy's names, so that NumPy, autograd, JAX and torch run it as it
stands; `arrays` are its inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Eval:
    """A function of the inputs `wrt`, and of the others as data."""

    text: str
    arrays: dict[str, Any]
    wrt: tuple[str, ...]
    hvp: bool = False
    """Whether a Hessian-vector product with ones is asked for, in place of the gradient."""


def lstm(layers: int, steps: int) -> Eval:
    """ADBench's: a loss of a network that predicts the next letter of a sequence, of 14."""
    rng, width = np.random.default_rng(1), 14
    lines = ["total = 0.0"]
    for layer in range(layers):
        lines += [f"h{layer} = state[{2 * layer}]", f"c{layer} = state[{2 * layer + 1}]"]
    lines.append(f"for t in range({steps}):")
    body = ["x = sequence[t] * extra[0]"]
    for layer in range(layers):
        w, b = (f"main[{2 * layer + part}, {{}}]" for part in (0, 1))
        sigmoid = "1.0 / (1.0 + np.exp(-({})))".format
        body += [
            f"f = {sigmoid(f'x * {w.format(0)} + {b.format(0)}')}",
            f"i = {sigmoid(f'h{layer} * {w.format(1)} + {b.format(1)}')}",
            f"o = {sigmoid(f'x * {w.format(2)} + {b.format(2)}')}",
            f"c{layer} = c{layer} * f + i * np.tanh(h{layer} * {w.format(3)} + {b.format(3)})",
            f"h{layer} = o * np.tanh(c{layer})",
            f"x = h{layer}",
        ]
    body += [
        "p = x * extra[1] + extra[2]",
        "total = total + np.sum(sequence[t + 1] * (p - np.log(2.0 + np.sum(np.exp(p)))))",
    ]
    lines += [f"    {line}" for line in body]
    lines.append(f"y = -total / {steps * width}.0")
    arrays = {
        "main": rng.normal(size=(2 * layers, 4, width)),
        "extra": rng.normal(size=(3, width)),
        "state": rng.normal(size=(2 * layers, width)),
        "sequence": rng.integers(0, 2, (steps + 1, width)).astype(float),
    }
    return Eval("\n".join(lines), arrays, ("main", "extra"))


def ode(size: int, steps: int) -> Eval:
    """Runge and Kutta's method for y'_0 = x_0, y'_i = x_i y_(i-1), from 1."""
    rng = np.random.default_rng(2)
    slope = "np.concatenate([x[:1], x[1:] * ({})[:-1]])".format
    half = f"{0.5 / steps!r}"
    text = f"""
v = x * 0.0 + 1.0
for t in range({steps}):
    k1 = {slope("v")}
    k2 = {slope(f"v + {half} * k1")}
    k3 = {slope(f"v + {half} * k2")}
    k4 = {slope(f"v + {1.0 / steps!r} * k3")}
    v = v + {1.0 / steps / 6.0!r} * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
y = np.sum(v)
"""
    return Eval(text.strip(), {"x": rng.uniform(0.5, 1.5, size)}, ("x",))


def gmm(points: int, width: int, parts: int) -> Eval:
    """ADBench's: the log-likelihood of a mixture of Gaussians, with a Wishart prior."""
    rng = np.random.default_rng(3)
    lower = width * (width - 1) // 2
    select = np.zeros((lower, width * width))
    rows, columns = np.tril_indices(width, -1)
    select[np.arange(lower), rows * width + columns] = 1.0
    constant = -0.5 * points * width * np.log(2.0 * np.pi)
    prior = parts * (width * (width + 1)) * np.log(1.0 / np.sqrt(2.0))
    text = f"""
logs = icf[:, :{width}]
tri = (icf[:, {width}:] @ select).reshape({parts}, {width}, {width})
apart = x.reshape({points}, 1, {width}) - means
scaled = apart * np.exp(logs) + np.einsum("kij,nkj->nki", tri, apart)
main = alphas + np.sum(logs, axis=1) - 0.5 * np.sum(scaled * scaled, axis=2)
top = np.max(main, axis=1, keepdims=True)
slse = np.sum(np.log(np.sum(np.exp(main - top), axis=1)) + top.reshape({points}))
most = np.max(alphas)
weights = {points}.0 * (np.log(np.sum(np.exp(alphas - most))) + most)
spread = np.exp(logs)
frobenius = 0.5 * (np.sum(spread * spread) + np.sum(tri * tri))
y = {float(constant + prior)!r} + slse - weights + frobenius - np.sum(logs)
"""
    arrays = {
        "alphas": rng.normal(size=parts),
        "means": rng.normal(size=(parts, width)),
        "icf": rng.normal(size=(parts, width + lower)) * 0.3,
        "x": rng.normal(size=(points, width)),
        "select": select,
    }
    return Eval(text.strip(), arrays, ("alphas", "means", "icf"))


def lse(size: int) -> Eval:
    """The logarithm of a sum of exponentials."""
    x = np.random.default_rng(4).normal(size=size)
    return Eval("top = np.max(x)\ny = np.log(np.sum(np.exp(x - top))) + top", {"x": x}, ("x",))


def llsq(points: int, powers: int) -> Eval:
    """A polynomial fitted to a sign by least squares; its powers are computed in the graph."""
    lines = [f"t = np.linspace(-1.0, 1.0, {points})", "s = x[0] + 0.0 * t"]
    lines += [f"s = s + x[{j}] * t ** {j}.0" for j in range(1, powers)]
    lines.append("y = 0.5 * np.sum((s - np.sign(t)) * (s - np.sign(t)))")
    return Eval("\n".join(lines), {"x": 1.0 / np.arange(1.0, powers + 1)}, ("x",))


def kmeans(points: int, width: int, parts: int) -> Eval:
    """The squared distances to the nearest of some centres; the diagonal of its Hessian."""
    rng = np.random.default_rng(5)
    text = f"""
apart = points.reshape({points}, 1, {width}) - centres
y = np.sum(np.min(np.sum(apart * apart, axis=2), axis=1))
"""
    arrays = {
        "centres": rng.normal(size=(parts, width)),
        "points": rng.normal(size=(points, width)),
    }
    return Eval(text.strip(), arrays, ("centres",), hvp=True)


def det(size: int) -> Eval:
    """The determinant of a matrix by its minors, nothing computed twice being kept."""
    lines: list[str] = []

    def minor(row: int, columns: tuple[int, ...]) -> str:
        if len(columns) == 1:
            return f"a[{row}, {columns[0]}]"
        text = ""
        for i, column in enumerate(columns):
            rest = minor(row + 1, columns[:i] + columns[i + 1 :])
            text += f"{' - ' if i % 2 else ' + ' if i else ''}a[{row}, {column}] * {rest}"
        lines.append(f"m{len(lines)} = {text}")
        return f"m{len(lines) - 1}"

    lines.append(f"y = {minor(0, tuple(range(size)))} * 1.0")
    a = np.random.default_rng(6).normal(size=(size, size))
    return Eval("\n".join(lines), {"a": a}, ("a",))


EVALS: dict[str, Callable[..., Eval]] = {
    "lstm": lstm,
    "ode": ode,
    "gmm": gmm,
    "lse": lse,
    "llsq": llsq,
    "kmeans": kmeans,
    "det": det,
}
