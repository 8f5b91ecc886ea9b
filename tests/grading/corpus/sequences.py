"""Recurrent networks and attention."""

from __future__ import annotations

import numpy as np

from tests.grading.corpus import Circuit
from tests.grading.corpus.dense import n

_RNN = """
h1 = np.tanh(x1 @ Wx + h0 @ Wh + b)
h2 = np.tanh(x2 @ Wx + h1 @ Wh + b)
h3 = np.tanh(x3 @ Wx + h2 @ Wh + b)
dh3 = t * 1.0
dz3 = dh3 * (1 - h3 ** 2)
dh2 = dz3 @ Wh.T
dz2 = dh2 * (1 - h2 ** 2)
dh1 = dz2 @ Wh.T
dz1 = dh1 * (1 - h1 ** 2)
dh0 = dz1 @ Wh.T
dWx = x1.T @ dz1 + x2.T @ dz2 + x3.T @ dz3
dWh = h0.T @ dz1 + h1.T @ dz2 + h2.T @ dz3
db = (dz1 + dz2 + dz3).sum(axis=0)
"""
_LSTM = """
i = sigmoid(x @ Wi + h0 @ Ui)
f = sigmoid(x @ Wf + h0 @ Uf)
o = sigmoid(x @ Wo + h0 @ Uo)
g = np.tanh(x @ Wg + h0 @ Ug)
c = f * c0 + i * g
tc = np.tanh(c)
h = o * tc
dh = t * 1.0
do = dh * tc
dtc = dh * o
dc = dtc * (1 - tc ** 2) + s
df = dc * c0
di = dc * g
dg = dc * i
dc0 = dc * f
dao = do * o * (1 - o)
daf = df * f * (1 - f)
dai = di * i * (1 - i)
dag = dg * (1 - g ** 2)
dWi, dWf, dWo, dWg = x.T @ dai, x.T @ daf, x.T @ dao, x.T @ dag
dUi, dUf, dUo, dUg = h0.T @ dai, h0.T @ daf, h0.T @ dao, h0.T @ dag
dh0 = dai @ Ui.T + daf @ Uf.T + dao @ Uo.T + dag @ Ug.T
dx = dai @ Wi.T + daf @ Wf.T + dao @ Wo.T + dag @ Wg.T
"""
_ATTENTION = """
q, k, v = x @ Wq, x @ Wk, x @ Wv
a = q @ k.T / 2.0
e = np.exp(a - a.max(axis=1, keepdims=True))
p = e / e.sum(axis=1, keepdims=True)
out = p @ v
dout = t * 1.0
dv = p.T @ dout
dp = dout @ v.T
da = p * (dp - (dp * p).sum(axis=1, keepdims=True))
ds = da / 2.0
dq = ds @ k
dk = ds.T @ q
dWq, dWk, dWv = x.T @ dq, x.T @ dk, x.T @ dv
dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
"""


def _lstm(r: np.random.Generator) -> dict[str, np.ndarray]:
    gates = {
        f"{kind}{gate}": n(r, rows, 4) for gate in "ifog" for kind, rows in (("W", 3), ("U", 4))
    }
    more = {name: n(r, 2, 4) for name in ("h0", "c0", "t", "s")}
    return {"x": n(r, 2, 3), **gates, **more}


CIRCUITS = [
    Circuit(
        "three steps of a recurrent network",
        "z1 = x1 @ Wx + h0 @ Wh + b\nh1 = tanh(z1)\nz2 = x2 @ Wx + h1 @ Wh + b\nh2 = tanh(z2)\n"
        "z3 = x3 @ Wx + h2 @ Wh + b\nh3 = tanh(z3)\nL = sum(h3 * t)",
        lambda r: {
            "x1": n(r, 2, 3),
            "x2": n(r, 2, 3),
            "x3": n(r, 2, 3),
            "h0": n(r, 2, 4),
            "Wx": 0.6 * n(r, 3, 4),
            "Wh": 0.6 * n(r, 4, 4),
            "b": n(r, 4),
            "t": n(r, 2, 4),
        },
        _RNN,
        (
            (
                "slopes at the outputs' inputs forgotten",
                "dz2 = dh2 * (1 - h2 ** 2)",
                "dz2 = dh2",
                "missing_local",
            ),
            ("every slope forgotten", " * (1 - h", " + 0 * (1 - h", "missing_local"),
            (
                "weights of the first step alone",
                "dWx = x1.T @ dz1 + x2.T @ dz2 + x3.T @ dz3",
                "dWx = x1.T @ dz1",
                "missing_accumulation",
            ),
            (
                "own state for the one before",
                "h0.T @ dz1 + h1.T @ dz2 + h2.T @ dz3",
                "h1.T @ dz1 + h2.T @ dz2 + h3.T @ dz3",
                "wrong_operand",
            ),
            ("biases of the last step", "(dz1 + dz2 + dz3).sum", "dz3.sum", "missing_accumulation"),
            ("Wh not transposed", "dz3 @ Wh.T", "dz3 @ Wh", "matmul_transpose"),
            (
                "slope not squared at one step",
                "(1 - h2 ** 2)",
                "(1 - h2)",
                "pre_vs_post_activation",
            ),
            ("slope not squared anywhere", " ** 2)", ")", "pre_vs_post_activation"),
            (
                "cut off after one step",
                "dh1 = dz2 @ Wh.T",
                "dh1 = 0 * dz2",
                "zero_gradient missing_accumulation",
            ),
        ),
    ),
    Circuit(
        "one step of an LSTM",
        "ai = x @ Wi + h0 @ Ui\naf = x @ Wf + h0 @ Uf\nao = x @ Wo + h0 @ Uo\n"
        "ag = x @ Wg + h0 @ Ug\ni = sigmoid(ai)\nf = sigmoid(af)\no = sigmoid(ao)\ng = tanh(ag)\n"
        "c = f * c0 + i * g\ntc = tanh(c)\nh = o * tc\nL = sum(h * t) + sum(c * s)",
        _lstm,
        _LSTM,
        (
            ("c for tanh(c)", "do = dh * tc", "do = dh * c", "wrong_operand"),
            ("tanh's slope of c forgotten", "dtc * (1 - tc ** 2) + s", "dtc + s", "missing_local"),
            ("tanh's slope at c", "(1 - tc ** 2)", "(1 - c ** 2)", "pre_vs_post_activation"),
            (
                "cell's own gradient forgotten",
                "(1 - tc ** 2) + s",
                "(1 - tc ** 2)",
                "missing_accumulation",
            ),
            (
                "sigmoid itself for its slope at f",
                "df * f * (1 - f)",
                "df * f",
                "pre_vs_post_activation",
            ),
            ("slope of the input gate forgotten", "di * i * (1 - i)", "di", "missing_local"),
            (
                "sigmoid's slope for the candidate",
                "dg * (1 - g ** 2)",
                "dg * g * (1 - g)",
                "pre_vs_post_activation",
            ),
            ("c for c0 at the forget gate", "df = dc * c0", "df = dc * c", "wrong_operand"),
            (
                "state's path through two gates",
                "dai @ Ui.T + daf @ Uf.T + dao @ Uo.T + dag @ Ug.T",
                "dai @ Ui.T + daf @ Uf.T",
                "missing_accumulation",
            ),
            (
                "state's path through one gate forgotten",
                " + dao @ Uo.T + dag @ Ug.T",
                " + dao @ Uo.T",
                "missing_accumulation",
            ),
            ("f forgotten on the way to c0", "dc0 = dc * f", "dc0 = dc", "missing_local"),
            ("i for f on the way to c0", "dc0 = dc * f", "dc0 = dc * i", "wrong_operand"),
            (
                "all slopes forgotten",
                "dao = do * o * (1 - o)\ndaf = df * f * (1 - f)\ndai = di * i * (1 - i)",
                "dao = do\ndaf = df\ndai = di",
                "missing_local",
            ),
        ),
    ),
    Circuit(
        "attention head",
        "q = x @ Wq\nk = x @ Wk\nv = x @ Wv\ns = q @ k.T\na = s / 2.0\n"
        "e = exp(a)\np = e / sum(e, axis=1, keepdims=True)\nout = p @ v\nL = sum(out * t)",
        lambda r: {
            "x": n(r, 4, 5),
            "Wq": n(r, 5, 3),
            "Wk": n(r, 5, 3),
            "Wv": n(r, 5, 2),
            "t": n(r, 4, 2),
        },
        _ATTENTION,
        (
            (
                "diagonal of the softmax alone",
                "p * (dp - (dp * p).sum(axis=1, keepdims=True))",
                "dp * p * (1 - p)",
                "softmax_jacobian",
            ),
            ("scale forgotten", "ds = da / 2.0", "ds = da", "missing_local reciprocal scale"),
            ("k without its transpose", "dk = ds.T @ q", "dk = ds @ q", "matmul_transpose"),
            ("scores for probabilities in dv", "p.T @ dout", "a.T @ dout", "wrong_operand"),
            ("p not transposed", "p.T @ dout", "p @ dout", "matmul_transpose"),
            (
                "x through the values alone",
                "dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T",
                "dx = dv @ Wv.T",
                "missing_accumulation",
            ),
            ("x without the queries", "dx = dq @ Wq.T + ", "dx = ", "missing_accumulation"),
            (
                "sum over the wrong axis",
                "(dp * p).sum(axis=1, keepdims=True)",
                "(dp * p).sum(axis=0, keepdims=True)",
                "softmax_jacobian",
            ),
        ),
        "q = x @ Wq\nk = x @ Wk\nv = x @ Wv\na = q @ k.T / 2.0\np = softmax(a, axis=1)\n"
        "out = p @ v\nL = sum(out * t)",
    ),
]
