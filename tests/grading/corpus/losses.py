"""Losses and class scores."""

from __future__ import annotations

import numpy as np

from tests.grading.corpus import Circuit
from tests.grading.corpus.dense import n

CIRCUITS = [
    Circuit(
        "logistic regression",
        "z = w.T @ X + b\nA = sigmoid(z)\nJ = -mean(Y * log(A) + (1 - Y) * log(1 - A))",
        lambda r: {"w": n(r, 3, 1), "X": n(r, 3, 5), "b": 0.2, "Y": np.array([[1.0, 0, 1, 1, 0]])},
        "A = sigmoid(w.T @ X + b)\ndz = (A - Y) / 5\ndw = X @ dz.T\ndb = dz.sum()\n",
        (
            ("1/m forgotten", "(A - Y) / 5", "(A - Y)", "scale softmax_ce missing_local"),
            ("turned", "(A - Y) / 5", "(Y - A) / 5", "sign softmax_ce"),
            (
                "slope once too often",
                "(A - Y) / 5",
                "(A - Y) * A * (1 - A) / 5",
                "extra_local softmax_ce",
            ),
            ("labels forgotten", "(A - Y) / 5", "A / 5", "softmax_ce missing_accumulation"),
            ("bias averaged", "dz.sum()", "dz.mean()", "missing_unbroadcast scale"),
            ("1/m forgotten in dw alone", "X @ dz.T", "X @ dz.T * 5", "scale"),
        ),
        "z = w.T @ X + b\nJ = binary_cross_entropy(z, Y)",
    ),
    Circuit(
        "softmax classifier with penalty",
        "s = X @ W\ns0 = s - max(s, axis=1, keepdims=True)\ne = exp(s0)\n"
        "p = e / sum(e, axis=1, keepdims=True)\n"
        "L = -mean(log(p[range(6), y])) + 0.25 * sum(W * W)",
        lambda r: {"X": n(r, 6, 4), "W": n(r, 4, 3), "y": np.array([0, 2, 1, 1, 2, 0])},
        "e = np.exp(X @ W)\np = e / e.sum(axis=1, keepdims=True)\nds = p.copy()\n"
        "ds[np.arange(6), y] -= 1\nds /= 6\ndW = X.T @ ds + 2 * 0.25 * W\n",
        (
            ("λW for 2λW", "2 * 0.25 * W", "0.25 * W", "regularisation"),
            ("penalty forgotten", " + 2 * 0.25 * W", "", "regularisation"),
            ("penalty twice", "2 * 0.25 * W", "4 * 0.25 * W", "regularisation"),
            ("penalty averaged too", "2 * 0.25 * W", "2 * 0.25 * W / 6", "regularisation"),
            ("mean forgotten", "ds /= 6\n", "", "softmax_ce scale missing_local"),
            ("onehot forgotten", "ds[np.arange(6), y] -= 1\n", "", "softmax_ce"),
            ("turned", "ds /= 6", "ds /= -6", "sign softmax_ce"),
            ("-onehot alone", "ds = p.copy()", "ds = np.zeros((6, 3))", "softmax_ce"),
            (
                "p (1 - p) times",
                "ds /= 6",
                "ds *= p * (1 - p) / 6",
                "extra_local softmax_ce softmax_jacobian",
            ),
        ),
        "s = X @ W\nL = cross_entropy(s, y) + 0.25 * sum(W ** 2)",
    ),
    Circuit(
        "support vector machine",
        "s = X @ W\ncorrect = sum(s * Y, axis=1, keepdims=True)\nm = s - correct + 1\n"
        "over = maximum(0, m) * (1 - Y)\nL = sum(over) / 5 + 0.05 * sum(W * W)",
        lambda r: {"X": n(r, 5, 4), "W": 0.3 * n(r, 4, 3), "Y": np.eye(3)[[0, 2, 1, 2, 0]]},
        "s = X @ W\nm = s - (s * Y).sum(axis=1, keepdims=True) + 1\n"
        "k = (m > 0) * (1 - Y)\nds = (k - Y * k.sum(axis=1, keepdims=True)) / 5\n"
        "dW = X.T @ ds + 0.1 * W\n",
        (
            (
                "right class forgotten",
                "(k - Y * k.sum(axis=1, keepdims=True))",
                "k",
                "hinge missing_accumulation normalisation_path_dropped",
            ),
            (
                "not averaged",
                "(k - Y * k.sum(axis=1, keepdims=True)) / 5",
                "(k - Y * k.sum(axis=1, keepdims=True))",
                "hinge scale reciprocal missing_local",
            ),
            ("penalty's 2", "0.1 * W", "0.05 * W", "regularisation"),
            ("1 for the right class", "k.sum(axis=1, keepdims=True)", "1.0", "hinge"),
            ("no mask", "k = (m > 0) * (1 - Y)", "k = 1 - Y", "relu_mask_missing hinge"),
        ),
    ),
    Circuit(
        "hinge loss",
        "s = X @ W\nc = s[range(5), y]\nm = maximum(0, s - c[:, None] + 1)\nL = (sum(m) - 5) / 5",
        lambda r: {"X": n(r, 5, 4), "W": 0.3 * n(r, 4, 3), "y": np.array([0, 2, 1, 2, 0])},
        "s = X @ W\nY = np.eye(3)[y]\nm = s - (s * Y).sum(axis=1, keepdims=True) + 1\n"
        "k = (m > 0) * (1 - Y)\nds = (k - Y * k.sum(axis=1, keepdims=True)) / 5\n"
        "dW = X.T @ ds\n",
        (
            (
                "right class forgotten",
                "(k - Y * k.sum(axis=1, keepdims=True))",
                "k",
                "hinge missing_accumulation",
            ),
            (
                "not averaged",
                "(k - Y * k.sum(axis=1, keepdims=True)) / 5",
                "(k - Y * k.sum(axis=1, keepdims=True))",
                "hinge scale missing_local reciprocal",
            ),
            ("1 for the right class", "k.sum(axis=1, keepdims=True)", "1.0", "hinge"),
        ),
        "s = X @ W\nL = hinge(s, y)",
    ),
    Circuit(
        "softmax alone",
        "e = exp(z)\nt = sum(e)\np = e / t\nL = sum(p * g)",
        lambda r: {"z": n(r, 4), "g": n(r, 4)},
        "p = np.exp(z) / np.exp(z).sum()\ndp = g * 1.0\ndz = p * (dp - (dp * p).sum())\n",
        (
            ("diagonal alone", "p * (dp - (dp * p).sum())", "dp * p * (1 - p)", "softmax_jacobian"),
            ("p times g", "p * (dp - (dp * p).sum())", "dp * p", "softmax_jacobian"),
            (
                "normaliser a constant",
                "p * (dp - (dp * p).sum())",
                "dp * p",
                "softmax_jacobian normalisation_path_dropped missing_accumulation",
            ),
            (
                "off-diagonal alone",
                "p * (dp - (dp * p).sum())",
                "p * (dp * p - (dp * p).sum())",
                "softmax_jacobian",
            ),
            (
                "sign of the off-diagonal",
                "(dp - (dp * p).sum())",
                "(dp + (dp * p).sum())",
                "softmax_jacobian sign reciprocal",
            ),
        ),
        "p = softmax(z)\nL = sum(p * g)",
    ),
    Circuit(
        "log-sum-exp",
        "e = exp(x)\ns = sum(e)\nL = log(s)",
        lambda r: {"x": n(r, 4)},
        "s = np.exp(x).sum()\nds = 1 / s\nde = ds * np.ones(4)\ndx = de * np.exp(x)\n",
        (
            ("exp's slope forgotten", "de * np.exp(x)", "de * 1.0", "missing_local"),
            (
                "log's slope forgotten",
                "ds = 1 / s",
                "ds = 1.0",
                "missing_local missing_upstream pre_vs_post_activation",
            ),
            ("x for exp(x)", "de * np.exp(x)", "de * x", "pre_vs_post_activation"),
        ),
    ),
    Circuit(
        "variational autoencoder's divergence",
        "std = exp(0.5 * logvar)\nz = mu + std * eps\nrec = 0.5 * sum((z - x) ** 2)\n"
        "kl = -0.5 * sum(1 + logvar - mu ** 2 - exp(logvar))\nL = rec + kl",
        lambda r: {"mu": n(r, 4), "logvar": 0.5 * n(r, 4), "eps": n(r, 4), "x": n(r, 4)},
        "std = np.exp(0.5 * logvar)\nz = mu + std * eps\ndz = z - x\n"
        "dmu = dz + mu\ndlogvar = dz * eps * std * 0.5 - 0.5 * (1 - np.exp(logvar))\n",
        (
            (
                "divergence forgotten in mu",
                "dmu = dz + mu",
                "dmu = dz",
                "missing_accumulation regularisation",
            ),
            ("half forgotten in the sample", "eps * std * 0.5", "eps * std", "missing_local scale"),
            (
                "divergence turned",
                "- 0.5 * (1 - np.exp(logvar))",
                "+ 0.5 * (1 - np.exp(logvar))",
                "sign",
            ),
            ("sample's path forgotten", "dz * eps * std * 0.5 - ", "-", "missing_accumulation"),
            ("exp's slope forgotten", "dz * eps * std * 0.5", "dz * eps * 0.5", "missing_local"),
        ),
    ),
    Circuit(
        "unit vector",
        "s = sum(x * x)\nr = sqrt(s)\ny = x / r\nL = sum(y * g)",
        lambda r: {"x": n(r, 4), "g": n(r, 4)},
        "r = np.sqrt((x * x).sum())\ndy = g * 1.0\ndr = -(dy * x).sum() / r ** 2\n"
        "ds = dr / (2 * r)\ndx = dy / r + 2 * x * ds\n",
        (
            (
                "norm a constant",
                " + 2 * x * ds",
                "",
                "normalisation_path_dropped missing_accumulation",
            ),
            ("root's half forgotten", "dr / (2 * r)", "dr / r", "power_rule scale"),
            (
                "2 of the square forgotten",
                "2 * x * ds",
                "x * ds",
                "power_rule scale missing_accumulation",
            ),
            ("minus of the quotient", "dr = -(dy", "dr = (dy", "reciprocal sign"),
        ),
    ),
]
