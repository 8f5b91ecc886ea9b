"""Programs as people write them: a course's note step by step, and assignments' forward passes."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import numpy as np

MASK = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]]) / 0.7
LABELS = np.array([2, 0, 1])


@dataclass(frozen=True)
class Program:
    """A text, and the shapes (or the values) of its inputs."""

    text: str
    inputs: dict[str, Any]


def _program(text: str, **inputs: Any) -> Program:
    return Program(dedent(text).strip(), inputs)


PROGRAMS = [
    # The note: simple expressions, their gradients by hand, staged code
    _program(
        """
        # forward
        q = x + y
        f = q * z
        # backward, in reverse
        dfdz = q
        dfdq = z
        dfdx = 1.0 * dfdq
        dfdy = 1.0 * dfdq
        f + 0 * (dfdx + dfdy + dfdz)
        """,
        x=(),
        y=(),
        z=(),
    ),
    _program("x = -2; y = 5; z = -4\nq = x + y\nf = q * z\nf"),
    _program(
        """
        w = [2, -3, -3]
        x = [-1, -2]
        dot = w[0]*x[0] + w[1]*x[1] + w[2]
        f = 1.0 / (1 + math.exp(-dot))
        ddot = (1 - f) * f
        dx = [w[0] * ddot, w[1] * ddot]
        dw = [x[0] * ddot, x[1] * ddot, 1.0 * ddot]
        f
        """
    ),
    _program(
        """
        sigy = 1.0 / (1 + math.exp(-y))
        num = x + sigy
        sigx = 1.0 / (1 + math.exp(-x))
        xpy = x + y
        xpysqr = xpy**2
        den = sigx + xpysqr
        invden = 1.0 / den
        f = num * invden
        """,
        x=(),
        y=(),
    ),
    _program(
        """
        sigy = 1.0 / (1 + math.exp(-y)); num = x + sigy
        sigx = 1.0 / (1 + math.exp(-x))
        xpy = x + y
        den = sigx + xpy**2
        invden = 1.0 / den
        dnum = invden
        dinvden = num
        dden = (-1.0 / (den**2)) * dinvden
        dsigx = (1) * dden
        dxpysqr = (1) * dden
        dxpy = (2 * xpy) * dxpysqr
        dx = (1) * dxpy
        dy = (1) * dxpy
        dx += ((1 - sigx) * sigx) * dsigx
        dx += (1) * dnum
        dsigy = (1) * dnum
        dy += ((1 - sigy) * sigy) * dsigy
        dx * dy
        """,
        x=(),
        y=(),
    ),
    _program("a = max(x, y)\nb = a * z\nb + (x if x >= y else y)", x=(), y=(), z=()),
    _program(
        "D = W.dot(X)\ndD = np.ones(D.shape)\ndW = dD.dot(X.T)\ndX = W.T.dot(dD)\n"
        "(dW * W).sum() + (dX * X).sum()",
        W=(5, 3),
        X=(3, 4),
    ),
    _program("f = 2 * (x * y + max(z, w))\nf", x=(), y=(), z=(), w=()),
    # Names that are assigned again
    _program(
        "h = np.tanh(h @ W)\nh = np.tanh(h @ W)\nh = np.tanh(h @ W)\nh.sum()", h=(2, 3), W=(3, 3)
    ),
    _program("x = x * 2\nx = x - 1\nx **= 2\nx", x=(3,)),
    _program("s = 0\ns += x * y\ns += x\ns -= y\ns", x=(), y=()),
    _program("p = np.exp(A)\np /= p.sum(axis=1, keepdims=True)\np", A=(3, 4)),
    _program(
        "out = x\nout = out @ W1 + b1\nout = np.maximum(out, 0)\nout = out @ W2 + b2\nout",
        x=(2, 4),
        W1=(4, 5),
        b1=(5,),
        W2=(5, 3),
        b2=(3,),
    ),
    # Linear classifiers
    _program(
        """
        num_train = X.shape[0]
        scores = X.dot(W)
        correct = scores[np.arange(num_train), labels]
        margins = np.maximum(0, scores - correct[:, np.newaxis] + 1.0)
        margins[np.arange(num_train), labels] = 0
        loss = margins.sum() / num_train
        loss += 0.05 * np.sum(W * W)
        """,
        X=(3, 4),
        W=(4, 3),
        labels=LABELS,
    ),
    _program(
        """
        loss = 0.0
        num_classes = W.shape[1]
        num_train = X.shape[0]
        for i in range(num_train):
            scores = X[i].dot(W)
            correct_class_score = scores[labels[i]]
            for j in range(num_classes):
                margin = scores[j] - correct_class_score + 1
                loss += max(0, margin) * (labels[i] != j)
        loss /= num_train
        loss += 1e-3 * np.sum(W * W)
        """,
        X=(3, 4),
        W=(4, 3),
        labels=LABELS,
    ),
    _program(
        """
        f = X @ W
        f -= np.max(f, axis=1, keepdims=True)
        p = np.exp(f) / np.sum(np.exp(f), axis=1, keepdims=True)
        loss = -np.sum(np.log(p[range(len(labels)), labels])) / len(labels)
        loss + reg * np.sum(W ** 2)
        """,
        X=(3, 4),
        W=(4, 3),
        labels=LABELS,
        reg=(),
    ),
    _program(
        """
        loss = 0
        N = X.shape[0]
        for i in range(N):
            logits = X[i] @ W
            shifted = logits - logits.max()
            loss += -shifted[labels[i]] + np.log(np.exp(shifted).sum())
        loss / N
        """,
        X=(3, 4),
        W=(4, 3),
        labels=LABELS,
    ),
    # Two layers, and a stack of them
    _program(
        """
        N, D = X.shape
        hidden = np.maximum(0, X.dot(W1) + b1)
        scores = hidden.dot(W2) + b2
        exps = np.exp(scores - scores.max(axis=1, keepdims=True))
        probs = exps / exps.sum(axis=1, keepdims=True)
        data_loss = -np.log(probs[np.arange(N), labels]).mean()
        reg_loss = 0.5 * reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        loss = data_loss + reg_loss
        """,
        X=(3, 4),
        W1=(4, 5),
        b1=(5,),
        W2=(5, 3),
        b2=(3,),
        labels=LABELS,
        reg=(),
    ),
    _program(
        """
        x = X.reshape(X.shape[0], -1)
        out = x.dot(w) + b
        out
        """,
        X=(2, 3, 2),
        w=(6, 4),
        b=(4,),
    ),
    _program(
        """
        a = X
        for W in [W1, W2, W3]:
            a = np.tanh(a @ W)
        a
        """,
        X=(2, 3),
        W1=(3, 4),
        W2=(4, 4),
        W3=(4, 2),
    ),
    _program(
        """
        N = x.shape[0]
        dscores = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        dscores[np.arange(N), labels] -= 1
        dscores /= N
        dscores
        """,
        x=(3, 4),
        labels=LABELS,
    ),
    # Normalization and dropout
    _program(
        """
        mu = x.mean(axis=0)
        var = x.var(axis=0)
        std = np.sqrt(var + 1e-5)
        x_hat = (x - mu) / std
        out = gamma * x_hat + beta
        """,
        x=(5, 3),
        gamma=(3,),
        beta=(3,),
    ),
    _program(
        """
        N, D = x.shape
        mean = 1.0 / N * np.sum(x, axis=0)
        xmu = x - mean
        sq = xmu ** 2
        variance = 1.0 / N * np.sum(sq, axis=0)
        sqrtvar = np.sqrt(variance + eps)
        ivar = 1.0 / sqrtvar
        xhat = xmu * ivar
        gammax = gamma * xhat
        out = gammax + beta
        running_mean = 0.9 * np.zeros(D) + 0.1 * mean
        out + running_mean
        """,
        x=(5, 3),
        gamma=(3,),
        beta=(3,),
        eps=0.001,
    ),
    _program(
        "(x - running_mean) / np.sqrt(np.abs(running_var) + 1e-5) * gamma + beta",
        x=(4, 3),
        running_mean=(3,),
        running_var=(3,),
        gamma=(3,),
        beta=(3,),
    ),
    _program(
        """
        mu = np.mean(x, axis=1, keepdims=True)
        sigma = np.std(x, axis=1, keepdims=True)
        out = gamma * (x - mu) / (sigma + 1e-6) + beta
        """,
        x=(4, 3),
        gamma=(3,),
        beta=(3,),
    ),
    _program(
        """
        N, C, H, W = x.shape
        flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
        normed = (flat - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 1e-5)
        out = normed.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        """,
        x=(2, 3, 2, 2),
    ),
    _program(
        """
        N, C, H, W = x.shape
        G = 2
        groups = x.reshape(N, G, C // G, H, W)
        m = groups.mean(axis=(2, 3, 4), keepdims=True)
        v = groups.var(axis=(2, 3, 4), keepdims=True)
        out = ((groups - m) / np.sqrt(v + 1e-5)).reshape(x.shape)
        """,
        x=(2, 4, 2, 2),
    ),
    _program("h = np.maximum(0, x @ W)\nh *= mask\nh.sum()", x=(3, 2), W=(2, 4), mask=MASK),
    _program("mask = (u < 0.5) / 0.5\nout = x * mask\nout", x=(3, 4), u=np.abs(MASK) - 0.3),
    # Convolution by loops over windows, pooling
    _program(
        """
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        stride, pad = 1, 1
        Ho = 1 + (H + 2 * pad - HH) // stride
        Wo = 1 + (W + 2 * pad - WW) // stride
        xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode='constant')
        out = np.zeros((N, F, Ho, Wo))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        window = xp[n, :, i*stride:i*stride+HH, j*stride:j*stride+WW]
                        out[n, f, i, j] = np.sum(window * w[f]) + b[f]
        out
        """,
        x=(2, 2, 3, 3),
        w=(2, 2, 3, 3),
        b=(2,),
    ),
    _program(
        """
        H, W = img.shape
        k = kernel.shape[0]
        rows = []
        for i in range(H - k + 1):
            row = []
            for j in range(W - k + 1):
                row.append((img[i:i+k, j:j+k] * kernel).sum())
            rows.append(np.stack(row))
        np.stack(rows)
        """,
        img=(5, 4),
        kernel=(3, 3),
    ),
    _program(
        """
        N, C, H, W = x.shape
        out = np.zeros((N, C, H // 2, W // 2))
        for i in range(H // 2):
            for j in range(W // 2):
                out[:, :, i, j] = np.max(x[:, :, 2*i:2*i+2, 2*j:2*j+2], axis=(2, 3))
        out
        """,
        x=(2, 2, 4, 4),
    ),
    _program(
        "N, C, H, W = x.shape\nx.reshape(N, C, H // 2, 2, W // 2, 2).max(axis=3).max(axis=4)",
        x=(1, 2, 4, 4),
    ),
    _program("y = np.zeros(5)\nfor i in range(5):\n    y[i] = x[i:i+3] @ k\ny", x=(7,), k=(3,)),
    _program(
        """
        cols = []
        for i in range(3):
            for j in range(3):
                cols.append(x[:, i:i+2, j:j+2].reshape(x.shape[0], -1))
        cols = np.concatenate(cols, axis=1)
        cols @ w
        """,
        x=(2, 4, 4),
        w=(36, 2),
    ),
    # Recurrent cells
    _program(
        "next_h = np.tanh(x @ Wx + prev_h @ Wh + b)\nnext_h",
        x=(2, 3),
        Wx=(3, 4),
        prev_h=(2, 4),
        Wh=(4, 4),
        b=(4,),
    ),
    _program(
        """
        N, T, D = x.shape
        h = np.zeros((N, T, h0.shape[1]))
        prev = h0
        for t in range(T):
            prev = np.tanh(x[:, t, :].dot(Wx) + prev.dot(Wh) + b)
            h[:, t, :] = prev
        h
        """,
        x=(2, 3, 2),
        h0=(2, 4),
        Wx=(2, 4),
        Wh=(4, 4),
        b=(4,),
    ),
    _program(
        """
        H = prev_h.shape[1]
        a = x.dot(Wx) + prev_h.dot(Wh) + b
        i = 1 / (1 + np.exp(-a[:, :H]))
        f = 1 / (1 + np.exp(-a[:, H:2*H]))
        o = 1 / (1 + np.exp(-a[:, 2*H:3*H]))
        g = np.tanh(a[:, 3*H:])
        next_c = f * prev_c + i * g
        next_h = o * np.tanh(next_c)
        """,
        x=(2, 3),
        prev_h=(2, 2),
        prev_c=(2, 2),
        Wx=(3, 8),
        Wh=(2, 8),
        b=(8,),
    ),
    _program(
        """
        ai, af, ao, ag = np.split(x @ Wx + h @ Wh + b, 4, axis=1)
        c = sigmoid_f * c + np.tanh(ag) / (1 + np.exp(-ai))
        h = np.tanh(c) / (1 + np.exp(-ao)) + 0 * af
        h
        """,
        x=(2, 3),
        h=(2, 2),
        c=(2, 2),
        Wx=(3, 8),
        Wh=(2, 8),
        b=(8,),
        sigmoid_f=(),
    ),
    _program(
        """
        hs = []
        h = h0
        for t in range(T.shape[0]):
            z = 1 / (1 + np.exp(-(T[t] @ Wz + h @ Uz)))
            h = (1 - z) * h + z * np.tanh(T[t] @ W + h @ U)
            hs.append(h)
        out = np.stack(hs, axis=0)
        out.mean(axis=0)
        """,
        T=(3, 2, 2),
        h0=(2, 3),
        Wz=(2, 3),
        Uz=(3, 3),
        W=(2, 3),
        U=(3, 3),
    ),
    _program("for t in range(4): h = np.tanh(W @ h + x[t])\nh", W=(3, 3), h=(3,), x=(4, 3)),
    _program("out = W[idx]\nout", W=(5, 3), idx=np.array([[0, 3], [4, 0]])),
    _program(
        """
        N, T, V = x.shape
        flat = x.reshape(N * T, V)
        p = np.exp(flat - np.max(flat, axis=1, keepdims=True))
        p /= np.sum(p, axis=1, keepdims=True)
        loss = -np.sum(m.reshape(N * T) * np.log(p[np.arange(N * T), y.reshape(N * T)])) / N
        """,
        x=(2, 2, 3),
        y=np.array([[0, 2], [1, 1]]),
        m=np.array([[1.0, 0.0], [1.0, 1.0]]),
    ),
    # Attention
    _program(
        """
        d_k = Q.shape[-1]
        scores = Q @ K.T / np.sqrt(d_k)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = weights / weights.sum(axis=-1, keepdims=True)
        weights @ V
        """,
        Q=(3, 4),
        K=(3, 4),
        V=(3, 2),
    ),
    _program(
        """
        scores = Q @ K.transpose(0, 2, 1) / math.sqrt(K.shape[-1])
        causal = np.tril(np.ones((3, 3)))
        scores = np.where(causal == 0, -1e9, scores)
        e = np.exp(scores - scores.max(-1, keepdims=True))
        out = np.matmul(e / e.sum(-1, keepdims=True), V)
        """,
        Q=(2, 3, 4),
        K=(2, 3, 4),
        V=(2, 3, 2),
    ),
    _program(
        """
        B, T, D = x.shape
        heads = 2
        q = (x @ Wq).reshape(B, T, heads, D // heads).transpose(0, 2, 1, 3)
        k = (x @ Wk).reshape(B, T, heads, D // heads).transpose(0, 2, 1, 3)
        v = (x @ Wv).reshape(B, T, heads, D // heads).transpose(0, 2, 1, 3)
        att = np.einsum('bhqd,bhkd->bhqk', q, k) / np.sqrt(D // heads)
        att = np.exp(att) / np.exp(att).sum(axis=-1, keepdims=True)
        y = (att @ v).transpose(0, 2, 1, 3).reshape(B, T, D)
        y
        """,
        x=(2, 3, 4),
        Wq=(4, 4),
        Wk=(4, 4),
        Wv=(4, 4),
    ),
    # Other things that are written down every day
    _program(
        "n = len(v)\ntotal = 0\nfor i in range(n):\n    total += v[i] ** 2\ntotal / n", v=(4,)
    ),
    _program("total = 0\nfor a, b in zip(v, w):\n    total += a * b\ntotal", v=(4,), w=(4,)),
    _program("s = 0\nfor i, a in enumerate(v):\n    s = s + (i + 1) * a\ns", v=(4,)),
    _program("y = coef[0]\nfor c in coef[1:]:\n    y = y * x + c\ny", coef=(4,), x=()),
    _program("for step in range(5):\n    x = x - 0.1 * (2 * x - 4)\nx", x=()),
    _program("for _ in range(3):\n    x -= (x**2 - a) / (2 * x)\nx", x=1.7, a=2.0),
    _program("q, r = np.linalg.qr(M)\nnp.abs(q @ r).sum()", M=(3, 3)),
    _program("sign, logdet = np.linalg.slogdet(M)\nlogdet", M=(3, 3)),
    _program("U, S, Vt = np.linalg.svd(A, full_matrices=False)\nS.sum()", A=(3, 4)),
    _program("vals, vecs = np.linalg.eigh(M + M.T)\nvals.max()", M=(3, 3)),
    _program("a, b = np.split(v, 2)\na @ b", v=(4,)),
    _program("a, b, c = v\na * b + c", v=(3,)),
    _program("n, m = A.shape\nA.sum() / (n * m)", A=(3, 4)),
    _program("beta = np.linalg.solve(X.T @ X, X.T @ t)\nr = t - X @ beta\nr @ r", X=(5, 2), t=(5,)),
    _program(
        "d = A[:, None, :] - B[None, :, :]\nD = np.sqrt((d ** 2).sum(axis=2))\nD",
        A=(3, 2),
        B=(4, 2),
    ),
    _program("D = (A**2).sum(1)[:, None] + (B**2).sum(1) - 2 * A.dot(B.T)\nD", A=(3, 2), B=(4, 2)),
    _program(
        "K = np.exp(-0.5 * (x[:, None] - x[None, :])**2 / ell**2)\nK @ alpha",
        x=(4,),
        ell=(),
        alpha=(4,),
    ),
    _program(
        "mu, logvar = h[:2], h[2:]\nkl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar))\nkl",
        h=(4,),
    ),
    _program("x[0] = 2 * y\nx[1:] *= 3\nx", x=(3,), y=()),
    _program("out = np.zeros_like(x)\nout[x > 0] = 1.0\nout * x", x=(5,)),
    _program("y = x.copy()\ny[y < 0] = 0\ny", x=(5,)),
    _program(
        "hot = np.eye(3)[labels]\n-(hot * np.log(np.exp(x) / np.exp(x).sum(1)[:, None])).sum()",
        x=(3, 3),
        labels=LABELS,
    ),
    _program(
        "acc = np.zeros((2, 3))\nfor i in range(4): acc += np.outer(u[i], x[i])\nacc",
        u=(4, 2),
        x=(4, 3),
    ),
    _program(
        "import numpy as np\nimport math\nr = np.sqrt(x**2 + y**2)\nmath.log(r + 1)", x=(), y=()
    ),
    _program("train = False\nscale = 1.0 if train else 0.5\nx * scale", x=(3,)),
    _program("if x.ndim == 1:\n    y = x[None, :]\nelse:\n    y = x\ny @ W", x=(3,), W=(3, 2)),
    _program("lr: float = 0.1\nw_new = w - lr * g\nw_new", w=(3,), g=(3,)),
    _program(
        """
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        mhat = m / (1 - beta1**1)
        vhat = v / (1 - beta2**1)
        w -= 1e-3 * mhat / (np.sqrt(vhat) + 1e-8)
        w
        """,
        m=(3,),
        v=np.array([0.3, 0.2, 0.5]),
        g=(3,),
        w=(3,),
        beta1=0.9,
        beta2=0.99,
    ),
    _program(
        "z = (x - mu) / sigma\n-np.sum(z**2) / 2 - len(x) * np.log(sigma * np.sqrt(2*np.pi))",
        x=(4,),
        mu=(),
        sigma=1.3,
    ),
    _program("y = 0\nfor k in range(1, 6):\n    y += (-1)**(k + 1) * x**k / k\ny", x=()),
    _program(
        "xs = [x]\nfor k in range(3):\n    xs.append(xs[-1] * r * (1 - xs[-1]))\nnp.array(xs)",
        x=(),
        r=(),
    ),
    _program(
        "u = np.array([x, y])\nc, s = np.cos(t), np.sin(t)\nR = np.array([[c, -s], [s, c]])\nR @ u",
        x=(),
        y=(),
        t=(),
    ),
    _program("i0 = np.arange(4) // 2\nA[i0] * np.arange(4)[:, None]", A=(2, 3)),
    _program(
        "relu_out = np.where(x > 0, x, 0)\nleaky = np.where(x > 0, x, alpha * x)\nrelu_out + leaky",
        x=(4,),
        alpha=(),
    ),
]
