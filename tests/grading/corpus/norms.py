"""Normalisation: the statistics depend on the input too."""

from __future__ import annotations

import numpy as np

from tests.grading.corpus import Circuit
from tests.grading.corpus.dense import n

_BATCH = """
mu = x.mean(axis=0)
xc = x - mu
var = (xc ** 2).mean(axis=0)
std = np.sqrt(var + 1e-5)
xhat = xc / std
dout = t * 1.0
dbeta = dout.sum(axis=0)
dgamma = (dout * xhat).sum(axis=0)
dxhat = dout * gamma
dstd = (-dxhat * xc / std ** 2).sum(axis=0)
dvar = 0.5 * dstd / std
dxc = dxhat / std + 2 * xc * dvar / 6
dmu = -dxc.sum(axis=0)
dx = dxc + dmu / 6
"""
_LAYER = (
    _BATCH.replace("dbeta = dout.sum(axis=0)", "dbeta = dout.SUM")
    .replace("dgamma = (dout * xhat).sum(axis=0)", "dgamma = (dout * xhat).SUM")
    .replace("axis=0", "axis=1, keepdims=True")
    .replace("SUM", "sum(axis=0)")
    .replace("/ 6", "/ 4")
)


def _draw(r: np.random.Generator) -> dict[str, np.ndarray]:
    return {"x": n(r, 6, 4), "gamma": n(r, 4), "beta": n(r, 4), "t": n(r, 6, 4)}


CIRCUITS = [
    Circuit(
        "batch norm",
        "mu = mean(x, axis=0)\nxc = x - mu\nvar = mean(xc ** 2, axis=0)\nstd = sqrt(var + 1e-5)\n"
        "xhat = xc / std\nout = gamma * xhat + beta\nL = sum(out * t)",
        _draw,
        _BATCH,
        (
            (
                "mean and variance constants",
                "dx = dxc + dmu / 6",
                "dx = dxhat / std",
                "normalisation_path_dropped",
            ),
            ("variance a constant", " + 2 * xc * dvar / 6", "", "normalisation_path_dropped"),
            ("mean a constant", "dx = dxc + dmu / 6", "dx = dxc", "normalisation_path_dropped"),
            ("γ left out", "dxhat = dout * gamma", "dxhat = dout", "missing_local"),
            ("x for x̂ in dγ", "(dout * xhat)", "(dout * x)", "wrong_operand mul_not_swapped"),
            (
                "centred x for x̂ in dγ",
                "(dout * xhat)",
                "(dout * xc)",
                "wrong_operand mul_not_swapped",
            ),
            ("dγ like dβ", "(dout * xhat).sum(axis=0)", "dout.sum(axis=0)", "missing_local"),
            (
                "N - 1 for N",
                "2 * xc * dvar / 6",
                "2 * xc * dvar / 5",
                "scale normalisation_path_dropped",
            ),
            (
                "1/N of both means forgotten",
                "dvar / 6\ndmu = -dxc.sum(axis=0)\ndx = dxc + dmu / 6",
                "dvar\ndmu = -dxc.sum(axis=0)\ndx = dxc + dmu",
                "scale missing_local normalisation_path_dropped",
            ),
            (
                "1/N of the variance forgotten",
                "dvar / 6",
                "dvar",
                "scale missing_local normalisation_path_dropped",
            ),
            ("half of the root forgotten", "0.5 * dstd / std", "dstd / std", "power_rule scale"),
            (
                "minus of the quotient",
                "(-dxhat * xc / std ** 2)",
                "(dxhat * xc / std ** 2)",
                "reciprocal sign",
            ),
            (
                "2 of the square forgotten",
                "2 * xc * dvar",
                "xc * dvar",
                "power_rule scale missing_accumulation",
            ),
            ("minus of the mean", "dmu = -dxc", "dmu = dxc", "sign"),
            (
                "not divided by the deviation",
                "dxhat / std + ",
                "dxhat + ",
                "missing_local reciprocal",
            ),
        ),
        "out = batch_norm(x, gamma, beta)\nL = sum(out * t)",
    ),
    Circuit(
        "layer norm",
        "mu = mean(x, axis=1, keepdims=True)\nxc = x - mu\n"
        "var = mean(xc ** 2, axis=1, keepdims=True)\nstd = sqrt(var + 1e-5)\nxhat = xc / std\n"
        "out = gamma * xhat + beta\nL = sum(out * t)",
        _draw,
        _LAYER,
        (
            (
                "mean and variance constants",
                "dx = dxc + dmu / 4",
                "dx = dxhat / std",
                "normalisation_path_dropped",
            ),
            ("variance a constant", " + 2 * xc * dvar / 4", "", "normalisation_path_dropped"),
            ("γ left out", "dxhat = dout * gamma", "dxhat = dout", "missing_local"),
            ("dγ not summed", "(dout * xhat).sum(axis=0)", "dout * xhat", "missing_unbroadcast"),
            (
                "dβ over the features",
                "dbeta = dout.sum(axis=0)",
                "dbeta = dout.sum(axis=1)",
                "missing_unbroadcast",
            ),
            ("divided by the rows", "dvar / 4", "dvar / 6", "scale normalisation_path_dropped"),
            (
                "statistics over the batch, as in batch norm",
                "dx = dxc + dmu / 4",
                "b = xhat * (dxhat * xhat).mean(axis=0)\n"
                "dx = (dxhat - dxhat.mean(axis=0) - b) / std",
                "normalisation_path_dropped",
            ),
        ),
        "out = layer_norm(x, gamma, beta)\nL = sum(out * t)",
    ),
    Circuit(
        "dropout",
        "h = tanh(x)\no = h * mask / 0.8\nL = sum(o * t)",
        lambda r: {"x": n(r, 3, 4), "mask": (r.uniform(size=(3, 4)) < 0.7) * 1.0, "t": n(r, 3, 4)},
        "h = np.tanh(x)\ndo = t * 1.0\ndh = do * mask / 0.8\ndx = dh * (1 - h ** 2)\n",
        (
            ("not scaled up", "mask / 0.8", "mask", "missing_local reciprocal scale"),
            ("no mask", "do * mask / 0.8", "do / 0.8", "missing_local"),
            ("scaled down", "mask / 0.8", "mask * 0.8", "reciprocal scale"),
        ),
    ),
]
