"""The graphs that mistakes are planted in, with drawn inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.grading.task import Rubric, Task
from service.grading.tolerance import Tolerance
from service.grading.truth import Truth

Inputs = dict[str, Any]


def _normal(seed: int, *shape: int, scale: float = 1.0) -> Any:
    return np.random.default_rng(seed).normal(0.0, scale, shape)


def _product(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {name: float(rng.uniform(-4, 4)) for name in "xyz"}


def _neuron(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {name: float(rng.uniform(-1.5, 1.5)) for name in ("w0", "x0", "w1", "x1", "w2")}


def _staged(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {name: float(rng.uniform(-2, 2)) for name in "xy"}


def _gates(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {name: float(rng.uniform(-3, 3)) for name in "xyzw"}


def _two_layer(seed: int) -> Inputs:
    return {
        "X": _normal(seed, 5, 4),
        "W1": _normal(seed + 1, 4, 6),
        "b1": _normal(seed + 2, 6),
        "W2": _normal(seed + 3, 6, 3),
        "b2": _normal(seed + 4, 3),
        "labels": np.array([0, 2, 1, 2, 0]),
    }


def _norm(seed: int) -> Inputs:
    return {
        "x": _normal(seed, 6, 4),
        "gamma": _normal(seed + 1, 4),
        "beta": _normal(seed + 2, 4),
        "t": _normal(seed + 3, 6, 4),
    }


def _attention(seed: int) -> Inputs:
    return {
        "x": _normal(seed, 4, 5),
        "Wq": _normal(seed + 1, 5, 3),
        "Wk": _normal(seed + 2, 5, 3),
        "Wv": _normal(seed + 3, 5, 2),
        "t": _normal(seed + 4, 4, 2),
    }


def _conv(seed: int) -> Inputs:
    return {
        "x": _normal(seed, 2, 2, 6, 6),
        "w": _normal(seed + 1, 3, 2, 3, 3),
        "b": _normal(seed + 2, 3),
        "V": _normal(seed + 3, 12, 2),
        "t": _normal(seed + 4, 2, 2),
    }


def _svm(seed: int) -> Inputs:
    return {
        "X": _normal(seed, 5, 4),
        "W": _normal(seed + 1, 4, 3),
        "b": _normal(seed + 2, 3),
        "labels": np.array([0, 2, 1, 2, 0]),
    }


def _fan_out(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {name: float(rng.uniform(0.4, 1.6)) for name in "ab"}


def _rnn(seed: int) -> Inputs:
    return {
        "x1": _normal(seed, 2, 3),
        "x2": _normal(seed + 1, 2, 3),
        "x3": _normal(seed + 2, 2, 3),
        "h0": _normal(seed + 3, 2, 4),
        "Wx": _normal(seed + 4, 3, 4, scale=0.6),
        "Wh": _normal(seed + 5, 4, 4, scale=0.6),
        "b": _normal(seed + 6, 4),
        "t": _normal(seed + 7, 2, 4),
    }


def _mixed(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(0.5, 2.0, (3,)) for name in "uv"}


CIRCUITS: dict[str, tuple[str, Callable[[int], Inputs]]] = {
    "product of a sum": ("q = x + y\nf = q * z", _product),
    "sigmoid neuron": (
        "a = w0 * x0\nb = w1 * x1\ns = a + b\ndot = s + w2\nn = -dot\ne = exp(n)\nd = e + 1\n"
        "f = 1 / d",
        _neuron,
    ),
    "staged": (
        "sigy = sigmoid(y)\nnum = x + sigy\nsigx = sigmoid(x)\nxpy = x + y\nxpysqr = xpy ** 2\n"
        "den = sigx + xpysqr\ninvden = 1 / den\nf = num * invden",
        _staged,
    ),
    "add, max and mul": ("p = x * y\nm = maximum(z, w)\ns = p + m\nf = s * 2", _gates),
    "affine, relu, affine, softmax": (
        "z1 = X @ W1\na1 = z1 + b1\nh = relu(a1)\nz2 = h @ W2\nscores = z2 + b2\n"
        "loss = cross_entropy(scores, labels)",
        _two_layer,
    ),
    "batch norm": (
        "mu = mean(x, axis=0)\nxc = x - mu\nsq = xc ** 2\nvar = mean(sq, axis=0)\n"
        "std = sqrt(var + 0.01)\nxhat = xc / std\nscaled = gamma * xhat\nout = scaled + beta\n"
        "loss = sum(out * t)",
        _norm,
    ),
    "batch norm in one gate": ("out = batch_norm(x, gamma, beta)\nloss = sum(out * t)", _norm),
    "layer norm": (
        "mu = mean(x, axis=1, keepdims=True)\nxc = x - mu\nvar = mean(xc * xc, axis=1, "
        "keepdims=True)\nstd = sqrt(var + 0.01)\nxhat = xc / std\nout = gamma * xhat + beta\n"
        "loss = sum(out * t)",
        _norm,
    ),
    "attention head": (
        "q = x @ Wq\nk = x @ Wk\nv = x @ Wv\nqk = q @ k.T\nscores = qk * 0.57\n"
        "p = softmax(scores)\nout = p @ v\nloss = sum(out * t)",
        _attention,
    ),
    "conv and pool": (
        "c = conv(x, w, b)\nr = relu(c)\np = max_pool(r, kernel_shape=[2, 2], strides=[2, 2])\n"
        "flat = reshape(p, shape=[2, 12])\nout = flat @ V\nloss = sum(out * t)",
        _conv,
    ),
    "hinge with penalty": (
        "z = X @ W\nscores = z + b\ndata = hinge(scores, labels)\nsq = W * W\nnorm = sum(sq)\n"
        "penalty = 0.3 * norm\nloss = data + penalty",
        _svm,
    ),
    "heavy fan-out": (
        "p = a * b\nq = a + b\nr = exp(a)\ns = a * p\nt = log(a)\nu = q * r\nv = s + t\n"
        "w = u * v\nf = w + a * q",
        _fan_out,
    ),
    "three steps of an RNN": (
        "p1 = x1 @ Wx\nq1 = h0 @ Wh\nz1 = p1 + q1 + b\nh1 = tanh(z1)\n"
        "p2 = x2 @ Wx\nq2 = h1 @ Wh\nz2 = p2 + q2 + b\nh2 = tanh(z2)\n"
        "p3 = x3 @ Wx\nq3 = h2 @ Wh\nz3 = p3 + q3 + b\nh3 = tanh(z3)\nloss = sum(h3 * t)",
        _rnn,
    ),
    "functions of one number": (
        "a = tanh(u)\nb = sqrt(v)\nc = a / b\nd = log(v)\ne = c * d\ng = sin(u)\nh = cos(v)\n"
        "i = g * h\nj = e + i\nk = max(j)\nm = sum(j)\nf = k * m",
        _mixed,
    ),
}


@cache
def truth_of(
    name: str, seed: int = 7, more: int = 0, metric: str = "analytic", reveal: Any = "diagnosis"
) -> Truth:
    """A circuit as a task in which every wire earns a point; at `more` further points."""
    source, draw = CIRCUITS[name]
    graph = resolve(parse_expression(source))
    inputs = draw(seed)
    task = Task(
        graph,
        inputs,
        more=tuple(draw(seed + 100 * (n + 1)) for n in range(more)),
        tolerance=Tolerance(metric),
        reveal=reveal,
    )
    wires = Truth(task).circuit.wires
    rubric = Rubric(points=dict.fromkeys(wires, 1.0))
    return Truth(
        Task(graph, inputs, task.more, rubric=rubric, tolerance=task.tolerance, reveal=reveal)
    )
