"""Convolutions, pools and tables of embeddings: places that are used more than once."""

from __future__ import annotations

import numpy as np

from tests.grading.corpus import Circuit
from tests.grading.corpus.dense import n

_CONV = """
def windows(a, k):
    return [(i, j) for i in range(a - k + 1) for j in range(a - k + 1)]
c = np.zeros((2, 3, 4, 4))
for i, j in windows(6, 3):
    c[:, :, i, j] = np.einsum("nchw,fchw->nf", x[:, :, i:i+3, j:j+3], w) + b
r = np.maximum(0, c)
flat = np.zeros((2, 12))
def cells(v, i, j):
    return v[:, :, 2*i:2*i+2, 2*j:2*j+2]
p = np.zeros((2, 3, 2, 2))
for i in range(2):
    for j in range(2):
        p[:, :, i, j] = cells(r, i, j).max(axis=(2, 3))
dout = t * 1.0
dV = p.reshape(2, 12).T @ dout
dp = (dout @ V.T).reshape(2, 3, 2, 2)
dr = np.zeros(r.shape)
for i in range(2):
    for j in range(2):
        top = cells(r, i, j) == p[:, :, i:i+1, j:j+1]
        cells(dr, i, j)[...] = top * dp[:, :, i:i+1, j:j+1]
dc = dr * (c > 0)
db = dc.sum(axis=(0, 2, 3))
dw = np.zeros(w.shape)
dx = np.zeros(x.shape)
for i, j in windows(6, 3):
    dw += np.einsum("nf,nchw->fchw", dc[:, :, i, j], x[:, :, i:i+3, j:j+3])
    dx[:, :, i:i+3, j:j+3] += np.einsum("nf,fchw->nchw", dc[:, :, i, j], w)
"""
CIRCUITS = [
    Circuit(
        "convolution, relu and pool",
        "c = conv(x, w, b)\nr = relu(c)\np = max_pool(r, kernel_shape=[2, 2], strides=[2, 2])\n"
        "out = reshape(p, shape=[2, 12]) @ V\nL = sum(out * t)",
        lambda r: {
            "x": n(r, 2, 2, 6, 6),
            "w": n(r, 3, 2, 3, 3),
            "b": 0.5 + n(r, 3),
            "V": n(r, 12, 2),
            "t": n(r, 2, 2),
        },
        _CONV,
        (
            ("pool to the whole window", "top * dp", "np.ones(top.shape) * dp", "max_broadcast"),
            (
                "pool shared by the window",
                "top * dp",
                "0.25 * np.ones(top.shape) * dp",
                "max_broadcast",
            ),
            ("mask forgotten", "dc = dr * (c > 0)", "dc = dr", "relu_mask_missing missing_local"),
            (
                "bias over the batch alone",
                "dc.sum(axis=(0, 2, 3))",
                "dc.sum(axis=0)",
                "missing_unbroadcast",
            ),
            (
                "bias averaged",
                "dc.sum(axis=(0, 2, 3))",
                "dc.mean(axis=(0, 2, 3))",
                "missing_unbroadcast scale",
            ),
            (
                "dx assigned where windows overlap",
                'j:j+3] += np.einsum("nf,fchw',
                'j:j+3] = np.einsum("nf,fchw',
                "missing_accumulation",
            ),
            ("dw assigned", "dw += np", "dw = np", "missing_accumulation"),
        ),
    ),
    Circuit(
        "overlapping pool",
        "p = max_pool(x, kernel_shape=[3, 3], strides=[1, 1])\nL = sum(p * t)",
        lambda r: {"x": n(r, 1, 1, 5, 5), "t": n(r, 1, 1, 3, 3)},
        "dp = t * 1.0\ndx = np.zeros(x.shape)\nfor i in range(3):\n    for j in range(3):\n"
        "        win = x[0, 0, i:i+3, j:j+3]\n"
        "        a, b = np.unravel_index(win.argmax(), (3, 3))\n"
        "        dx[0, 0, i + a, j + b] += dp[0, 0, i, j]\n",
        (
            (
                "assigned where windows overlap",
                "j + b] += dp",
                "j + b] = dp",
                "missing_accumulation",
            ),
            ("to the smallest", "win.argmax()", "win.argmin()", "max_misrouted"),
            ("to the first", "win.argmax()", "0", "max_misrouted"),
        ),
    ),
    Circuit(
        "table of embeddings",
        "v = E[idx]\nh = mean(v, axis=0)\nL = sum(h * g)",
        lambda r: {"E": n(r, 7, 3), "idx": np.array([1, 4, 1, 2, 4]), "g": n(r, 3)},
        "dh = g * 1.0\ndv = np.ones((5, 1)) * dh / 5\ndE = np.zeros((7, 3))\n"
        "np.add.at(dE, idx, dv)\n",
        (
            (
                "assigned where words repeat",
                "np.add.at(dE, idx, dv)",
                "dE[idx] = dv",
                "missing_accumulation",
            ),
            (
                "+= where words repeat",
                "np.add.at(dE, idx, dv)",
                "dE[idx] += dv",
                "missing_accumulation",
            ),
            ("mean's 1/n forgotten", "dh / 5", "dh", "missing_local scale"),
        ),
        "v = embedding(E, idx)\nh = mean(v, axis=0)\nL = sum(h * g)",
    ),
    Circuit(
        "elements taken by number",
        "y = x[idx]\nu = y ** 2\nL = sum(u * g)",
        lambda r: {"x": n(r, 5), "idx": np.array([0, 2, 2, 4, 2]), "g": n(r, 5)},
        "y = x[idx]\ndu = g * 1.0\ndy = du * 2 * y\ndx = np.zeros(5)\nnp.add.at(dx, idx, dy)\n",
        (
            ("assigned", "np.add.at(dx, idx, dy)", "dx[idx] = dy", "missing_accumulation"),
            ("2 forgotten", "du * 2 * y", "du * y", "power_rule scale"),
            ("not put back in place", "np.add.at(dx, idx, dy)", "dx = dy", "missing_local unknown"),
        ),
    ),
]
