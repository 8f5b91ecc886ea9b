"""Dense layers: what the forums of courses are full of."""

from __future__ import annotations

import numpy as np

from tests.grading.corpus import Circuit


def n(r: np.random.Generator, *shape: int) -> np.ndarray:
    return r.normal(size=shape)


_PLANAR = """
Z1 = W1 @ X + b1
A1 = np.tanh(Z1)
Z2 = W2 @ A1 + b2
A2 = sigmoid(Z2)
m = 5
dZ2 = (A2 - Y) / m
dW2 = dZ2 @ A1.T
db2 = dZ2.sum(axis=1, keepdims=True)
dA1 = W2.T @ dZ2
dZ1 = dA1 * (1 - A1 ** 2)
dW1 = dZ1 @ X.T
db1 = dZ1.sum(axis=1, keepdims=True)
"""
_RELU = """
z1 = X @ W1 + b1
h = np.maximum(0, z1)
scores = h @ W2 + b2
e = np.exp(scores - scores.max(axis=1, keepdims=True))
p = e / e.sum(axis=1, keepdims=True)
dscores = p.copy()
dscores[np.arange(5), labels] -= 1
dscores /= 5
dW2 = h.T @ dscores + 0.2 * W2
db2 = dscores.sum(axis=0)
dh = dscores @ W2.T
dz1 = dh * (z1 > 0)
dW1 = X.T @ dz1 + 0.2 * W1
db1 = dz1.sum(axis=0)
"""
_NIELSEN = """
z1 = X @ W1 + b1
a1 = sigmoid(z1)
z2 = a1 @ W2 + b2
a2 = sigmoid(z2)
da2 = a2 - t
dz2 = da2 * a2 * (1 - a2)
dW2 = a1.T @ dz2
db2 = dz2.sum(axis=0)
da1 = dz2 @ W2.T
dz1 = da1 * a1 * (1 - a1)
dW1 = X.T @ dz1
db1 = dz1.sum(axis=0)
"""
CIRCUITS = [
    Circuit(
        "linear regression",
        "y = x @ w + b\nr = y - t\nL = 0.5 * sum(r ** 2)",
        lambda r: {"x": n(r, 6, 3), "w": n(r, 3), "b": 0.3, "t": n(r, 6)},
        "dy = x @ w + b - t\ndw = x.T @ dy\ndb = dy.sum()\n",
        (
            (
                "2 of the square not halved",
                "dy = x @ w + b - t",
                "dy = 2 * (x @ w + b - t)",
                "scale power_rule",
            ),
            ("target minus prediction", "dy = x @ w + b - t", "dy = t - x @ w - b", "sign"),
            ("mean for the sum", "dy = x @ w + b - t", "dy = (x @ w + b - t) / 6", "scale"),
            ("mean for the bias", "dy.sum()", "dy.mean()", "missing_unbroadcast scale"),
            (
                "residual taken by the target",
                "dy = x @ w + b - t",
                "dy = x @ w + b",
                "missing_accumulation value_for_gradient wrong_operand",
            ),
        ),
    ),
    Circuit(
        "mean squared error",
        "y = X @ W + b\nL = mean((y - t) ** 2)",
        lambda r: {"X": n(r, 5, 4), "W": n(r, 4, 3), "b": n(r, 3), "t": n(r, 5, 3)},
        "dy = 2 * (X @ W + b - t) / 15\ndW = X.T @ dy\ndb = dy.sum(axis=0)\ndX = dy @ W.T\n",
        (
            ("divided by the rows alone", "/ 15", "/ 5", "scale"),
            ("not divided", "/ 15", "", "scale missing_local"),
            ("2 forgotten", "dy = 2 *", "dy = 1 *", "scale power_rule"),
            ("bias not summed", "dy.sum(axis=0)", "dy", "missing_unbroadcast"),
            (
                "bias summed over the wrong axis",
                "dy.sum(axis=0)",
                "dy.sum(axis=1)",
                "missing_unbroadcast",
            ),
            (
                "gradient of the input by X",
                "dX = dy @ W.T",
                "dX = X * dy.sum()",
                "matmul_transpose elementwise_for_dot unknown",
            ),
            ("sign of the residual", "(X @ W + b - t)", "(t - X @ W - b)", "sign"),
        ),
        "y = X @ W + b\nL = mse(y, t)",
    ),
    Circuit(
        "planar data, one hidden layer",
        "Z1 = W1 @ X + b1\nA1 = tanh(Z1)\nZ2 = W2 @ A1 + b2\nA2 = sigmoid(Z2)\n"
        "J = -mean(Y * log(A2) + (1 - Y) * log(1 - A2))",
        lambda r: {
            "X": n(r, 2, 5),
            "Y": np.array([[0.0, 1, 1, 0, 1]]),
            "W1": n(r, 4, 2),
            "b1": n(r, 4, 1),
            "W2": n(r, 1, 4),
            "b2": n(r, 1, 1),
        },
        _PLANAR,
        (
            ("dZ1 divided by m once more", "(1 - A1 ** 2)", "(1 - A1 ** 2) / m", "scale"),
            ("slope not squared", "(1 - A1 ** 2)", "(1 - A1)", "pre_vs_post_activation"),
            ("slope at Z1", "(1 - A1 ** 2)", "(1 - Z1 ** 2)", "pre_vs_post_activation"),
            ("slope forgotten", " * (1 - A1 ** 2)", "", "missing_local"),
            (
                "sigmoid's slope for tanh",
                "(1 - A1 ** 2)",
                "A1 * (1 - A1)",
                "pre_vs_post_activation",
            ),
            ("dW2 from Z1", "dW2 = dZ2 @ A1.T", "dW2 = dZ2 @ Z1.T", "wrong_operand"),
            ("dZ2 without the labels", "(A2 - Y) / m", "A2 / m", "softmax_ce missing_accumulation"),
            ("labels minus prediction", "(A2 - Y) / m", "(Y - A2) / m", "sign softmax_ce"),
            ("1/m forgotten", "(A2 - Y) / m", "(A2 - Y)", "scale softmax_ce missing_local"),
            (
                "sigmoid's slope once too often",
                "(A2 - Y) / m",
                "(A2 - Y) * A2 * (1 - A2) / m",
                "extra_local pre_vs_post_activation softmax_ce",
            ),
            (
                "b1 not summed",
                "db1 = dZ1.sum(axis=1, keepdims=True)",
                "db1 = dZ1",
                "missing_unbroadcast",
            ),
            (
                "b1 averaged",
                "db1 = dZ1.sum(axis=1, keepdims=True)",
                "db1 = dZ1.mean(axis=1, keepdims=True)",
                "missing_unbroadcast scale",
            ),
            ("4 in db1", "db1 = dZ1.sum", "db1 = 4 * dZ1.sum", "scale"),
            ("dW2 doubled", "dW2 = dZ2 @ A1.T", "dW2 = dZ2 @ A1.T * 2", "scale"),
            (
                "keepdims forgotten",
                "db1 = dZ1.sum(axis=1, keepdims=True)",
                "db1 = dZ1.sum(axis=1)",
                "missing_unbroadcast",
            ),
            ("dW2 for W2 on the way back", "W2.T @ dZ2", "dW2.T @ dZ2", "wrong_operand"),
        ),
        "Z1 = W1 @ X + b1\nA1 = tanh(Z1)\nZ2 = W2 @ A1 + b2\nJ = binary_cross_entropy(Z2, Y)",
    ),
    Circuit(
        "two layers, relu and softmax, with penalty",
        "z1 = X @ W1 + b1\nh = maximum(0, z1)\nscores = h @ W2 + b2\ne = exp(scores)\n"
        "total = sum(e, axis=1, keepdims=True)\np = e / total\n"
        "L = -mean(log(p[range(5), labels])) + 0.1 * sum(W1 * W1) + 0.1 * sum(W2 * W2)",
        lambda r: {
            "X": n(r, 5, 4),
            "W1": n(r, 4, 6),
            "b1": n(r, 6),
            "W2": n(r, 6, 3),
            "b2": n(r, 3),
            "labels": np.array([0, 2, 1, 1, 0]),
        },
        _RELU,
        (
            ("onehot forgotten", "dscores[np.arange(5), labels] -= 1\n", "", "softmax_ce"),
            ("mean forgotten", "dscores /= 5\n", "", "softmax_ce scale missing_local"),
            ("onehot added", "labels] -= 1", "labels] += 1", "softmax_ce"),
            (
                "scores for probabilities",
                "dscores = p.copy()",
                "dscores = scores.copy()",
                "softmax_ce",
            ),
            ("e not normalised", "dscores = p.copy()", "dscores = e.copy()", "softmax_ce"),
            ("mask from the gradient", "dh * (z1 > 0)", "dh * (dh > 0)", "relu_mask_missing"),
            ("mask forgotten", "dh * (z1 > 0)", "dh", "relu_mask_missing missing_local"),
            ("mask turned", "dh * (z1 > 0)", "dh * (z1 <= 0)", "max_misrouted"),
            (
                "activation for the mask",
                "dh * (z1 > 0)",
                "dh * h",
                "wrong_operand relu_mask_missing",
            ),
            (
                "penalty's 2 forgotten in W2",
                "@ dscores + 0.2 * W2",
                "@ dscores + 0.1 * W2",
                "regularisation",
            ),
            ("penalty forgotten in W1", "@ dz1 + 0.2 * W1", "@ dz1", "regularisation"),
            ("penalties forgotten", "0.2 *", "0.0 *", "regularisation"),
            ("penalty subtracted", "@ dz1 + 0.2 * W1", "@ dz1 - 0.2 * W1", "regularisation"),
            (
                "unmasked gradient for W1",
                "X.T @ dz1",
                "X.T @ dh",
                "relu_mask_missing wrong_operand",
            ),
            (
                "z1 for h in dW2",
                "h.T @ dscores",
                "z1.T @ dscores",
                "relu_mask_missing wrong_operand",
            ),
            (
                "biases averaged",
                "dscores.sum(axis=0)",
                "dscores.mean(axis=0)",
                "missing_unbroadcast scale",
            ),
            (
                "labels' column alone",
                "dscores = p.copy()",
                "dscores = p * (np.arange(3) == labels[:, None])",
                "softmax_ce",
            ),
        ),
        "z1 = X @ W1 + b1\nh = relu(z1)\nscores = h @ W2 + b2\n"
        "L = cross_entropy(scores, labels) + 0.1 * sum(W1 ** 2) + 0.1 * sum(W2 ** 2)",
    ),
    Circuit(
        "two sigmoid layers, quadratic cost",
        "z1 = X @ W1 + b1\na1 = sigmoid(z1)\nz2 = a1 @ W2 + b2\na2 = sigmoid(z2)\n"
        "C = 0.5 * sum((a2 - t) ** 2)",
        lambda r: {
            "X": n(r, 5, 3),
            "W1": n(r, 3, 4),
            "b1": n(r, 4),
            "W2": n(r, 4, 2),
            "b2": n(r, 2),
            "t": r.uniform(size=(5, 2)),
        },
        _NIELSEN,
        (
            (
                "slope of the activation, both layers",
                "dz2 = da2 * a2 * (1 - a2)\n",
                "slope = lambda v: sigmoid(v) * (1 - sigmoid(v))\ndz2 = da2 * slope(a2)\n",
                "pre_vs_post_activation",
            ),
            (
                "slope at z in the output layer",
                "da2 * a2 * (1 - a2)",
                "da2 * z2 * (1 - z2)",
                "pre_vs_post_activation",
            ),
            ("slope forgotten in the output layer", "da2 * a2 * (1 - a2)", "da2", "missing_local"),
            (
                "slope twice in the hidden layer",
                "da1 * a1 * (1 - a1)",
                "da1 * (a1 * (1 - a1)) ** 2",
                "extra_local",
            ),
            ("half a slope", "da1 * a1 * (1 - a1)", "da1 * (1 - a1)", "pre_vs_post_activation"),
            ("2 in the error", "da2 = a2 - t", "da2 = 2 * (a2 - t)", "scale power_rule"),
            ("target minus output", "da2 = a2 - t", "da2 = t - a2", "sign"),
            (
                "delta of the wrong layer in dW1",
                "X.T @ dz1",
                "X.T @ da1",
                "missing_local pre_vs_post_activation wrong_operand",
            ),
            (
                "biases of the wrong delta",
                "db1 = dz1.sum(axis=0)",
                "db1 = da1.sum(axis=0)",
                "missing_local wrong_operand",
            ),
            (
                "sigmoid of the gradient",
                "da1 * a1 * (1 - a1)",
                "sigmoid(da1) * (1 - sigmoid(da1))",
                "unknown pre_vs_post_activation",
            ),
        ),
    ),
    Circuit(
        "sum of a matrix product",
        "D = W @ X\nf = sum(D * G)",
        lambda r: {"W": n(r, 5, 4), "X": n(r, 4, 3), "G": n(r, 5, 3)},
        "dD = G * 1.0\ndW = dD @ X.T\ndX = W.T @ dD\n",
        (
            ("no upstream in dW", "dD @ X.T", "np.ones((5, 3)) @ X.T", "missing_upstream"),
            ("no upstream in dX", "W.T @ dD", "W.T @ np.ones((5, 3))", "missing_upstream"),
            ("dW transposed", "dW = dD @ X.T", "dW = X @ dD.T", "matmul_transpose"),
            ("dX negated", "dX = W.T @ dD", "dX = -W.T @ dD", "sign"),
        ),
    ),
    Circuit(
        "product of square matrices",
        "D = A @ B\nf = sum(D * G)",
        lambda r: {"A": n(r, 3, 3), "B": n(r, 3, 3), "G": n(r, 3, 3)},
        "dD = G * 1.0\ndA = dD @ B.T\ndB = A.T @ dD\n",
        (
            (
                "no transposes",
                "dA = dD @ B.T\ndB = A.T @ dD",
                "dA = dD @ B\ndB = A @ dD",
                "matmul_transpose",
            ),
            ("wrong order", "dA = dD @ B.T", "dA = B.T @ dD", "matmul_transpose"),
            ("element by element", "dA = dD @ B.T", "dA = dD * B.T", "elementwise_for_dot"),
            ("own matrix", "dA = dD @ B.T", "dA = dD @ A.T", "matmul_transpose wrong_operand"),
        ),
    ),
]
