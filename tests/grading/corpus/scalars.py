"""Circuits of single numbers: the note's examples, and what engines of one evening get wrong."""

from __future__ import annotations

from tests.grading.corpus import Circuit

CIRCUITS = [
    Circuit(
        "product of a sum",
        "q = x + y\nf = q * z",
        lambda r: {"x": -2.0, "y": 5.0, "z": -4.0},
        "q = x + y\ndq = z\ndz = q\ndx = 1.0 * dq\ndy = 1.0 * dq\n",
        (
            (
                "inputs of the product not switched",
                "dq = z\ndz = q",
                "dq = q\ndz = z",
                "mul_not_swapped",
            ),
            ("z by its own value", "dz = q", "dz = z", "mul_not_swapped"),
            (
                "the chain stops at the sum",
                "dx = 1.0 * dq\ndy = 1.0 * dq",
                "dx = 1.0\ndy = 1.0",
                "missing_upstream missing_local",
            ),
            ("minus for y", "dy = 1.0 * dq", "dy = -1.0 * dq", "sign"),
        ),
    ),
    Circuit(
        "sigmoid neuron",
        "a = w0 * x0\nb = w1 * x1\nc = a + b\ndot = c + w2\nn = -dot\ne = exp(n)\nd = e + 1\n"
        "f = 1 / d",
        lambda r: {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.3},
        "dot = w0 * x0 + w1 * x1 + w2\nf = sigmoid(dot)\nddot = (1 - f) * f\n"
        "dw0 = x0 * ddot\ndx0 = w0 * ddot\ndw1 = x1 * ddot\ndx1 = w1 * ddot\ndw2 = 1.0 * ddot\n",
        (
            (
                "sigmoid's slope at the input",
                "(1 - f) * f",
                "(1 - dot) * dot",
                "pre_vs_post_activation",
            ),
            ("half of the slope", "(1 - f) * f", "(1 - f)", "pre_vs_post_activation"),
            ("plus in the slope", "(1 - f) * f", "(1 + f) * f", "pre_vs_post_activation"),
            ("no slope at all", "(1 - f) * f", "1.0", "missing_local pre_vs_post_activation"),
            (
                "own weights in the products",
                "dw0 = x0 * ddot\ndx0 = w0 * ddot",
                "dw0 = w0 * ddot\ndx0 = x0 * ddot",
                "mul_not_swapped",
            ),
            ("the bias gets no slope", "dw2 = 1.0 * ddot", "dw2 = 1.0", "missing_upstream"),
        ),
        "dot = w0 * x0 + w1 * x1 + w2\nf = sigmoid(dot)",
    ),
    Circuit(
        "the note's staged function",
        "sigy = sigmoid(y)\nnum = x + sigy\nsigx = sigmoid(x)\nxpy = x + y\nxpysqr = xpy ** 2\n"
        "den = sigx + xpysqr\ninvden = 1 / den\nf = num * invden",
        lambda r: {"x": 3.0, "y": -4.0},
        "sigy = sigmoid(y)\nnum = x + sigy\nsigx = sigmoid(x)\nxpy = x + y\nxpysqr = xpy ** 2\n"
        "den = sigx + xpysqr\ninvden = 1 / den\ndnum = invden\ndinvden = num\n"
        "dden = -1.0 / den ** 2 * dinvden\ndsigx = dden\ndxpysqr = dden\ndxpy = 2 * xpy * dxpysqr\n"
        "dsigy = dnum\ndx = dxpy + (1 - sigx) * sigx * dsigx + dnum\n"
        "dy = dxpy + (1 - sigy) * sigy * dsigy\n",
        (
            (
                "minus of the reciprocal lost",
                "-1.0 / den ** 2",
                "1.0 / den ** 2",
                "reciprocal sign",
            ),
            ("reciprocal not squared", "-1.0 / den ** 2", "-1.0 / den", "reciprocal"),
            ("logarithm for the reciprocal's slope", "-1.0 / den ** 2", "1.0 / den", "reciprocal"),
            (
                "dx overwritten by the last use",
                "dx = dxpy + (1 - sigx) * sigx * dsigx + dnum",
                "dx = dnum",
                "missing_accumulation",
            ),
            ("one use of x forgotten", " * dsigx + dnum", " * dsigx", "missing_accumulation"),
            ("2 of the square lost", "2 * xpy * dxpysqr", "xpy * dxpysqr", "power_rule scale"),
            (
                "upstream forgotten at the square",
                "2 * xpy * dxpysqr",
                "2 * xpy",
                "missing_upstream",
            ),
            (
                "sigmoid's slope at x",
                "(1 - sigx) * sigx * dsigx",
                "(1 - x) * x * dsigx",
                "pre_vs_post_activation",
            ),
            ("sigmoid taken for a sum", "(1 - sigy) * sigy * dsigy", "dsigy", "missing_local"),
            (
                "factors of the product not switched",
                "dnum = invden\ndinvden = num",
                "dnum = num\ndinvden = invden",
                "mul_not_swapped",
            ),
        ),
    ),
    Circuit(
        "a value used again",
        "b = a * a\nc = b + a\nd = c * b\nL = tanh(d)",
        lambda r: {"a": 0.7},
        "b = a * a\nc = b + a\nd = c * b\nL = np.tanh(d)\ndd = 1 - L ** 2\ndc = b * dd\n"
        "db = c * dd + dc\nda = dc + 2 * a * db\n",
        (
            ("a = for += at b", "db = c * dd + dc", "db = dc", "missing_accumulation"),
            ("a = for += at a", "da = dc + 2 * a * db", "da = 2 * a * db", "missing_accumulation"),
            ("a * a counted once", "2 * a * db", "a * db", "missing_accumulation power_rule scale"),
            ("tanh's slope at its input", "1 - L ** 2", "1 - d ** 2", "pre_vs_post_activation"),
            ("tanh's slope not squared", "1 - L ** 2", "1 - L", "pre_vs_post_activation"),
            ("sigmoid's slope for tanh", "1 - L ** 2", "L * (1 - L)", "pre_vs_post_activation"),
            (
                "backward twice, inner gradients kept",
                "da = dc + 2 * a * db\n",
                "dd1, dc1, db1, da1 = dd, dc, db, dc + 2 * a * db\n"
                "dd = 2 * dd1\ndc = dc1 + b * dd\n"
                "db = db1 + c * dd + dc\nda = da1 + dc + 2 * a * db\ndel dd1, dc1, db1, da1\n",
                "not_zeroed",
            ),
        ),
    ),
    Circuit(
        "a quotient",
        "n = p * q\nm = p + 3\ns = n / m\nL = s ** 2 + log(q)",
        lambda r: {"p": 1.7, "q": 2.6},
        "n = p * q\nm = p + 3\ns = n / m\nds = 2 * s\ndn = ds / m\ndm = -ds * n / m ** 2\n"
        "dp = dn * q + dm\ndq = dn * p + 1 / q\n",
        (
            ("quotient's minus lost", "-ds * n / m ** 2", "ds * n / m ** 2", "reciprocal sign"),
            ("numerator forgotten", "-ds * n / m ** 2", "-ds / m ** 2", "reciprocal"),
            ("denominator not squared", "-ds * n / m ** 2", "-ds * n / m", "reciprocal"),
            ("exponent not lowered", "2 * s", "2 * s ** 2", "power_rule"),
            ("log's slope is itself", "1 / q", "np.log(q)", "pre_vs_post_activation"),
            ("log's term forgotten", " + 1 / q", "", "missing_accumulation"),
            ("multiplied for divided", "ds / m", "ds * m", "reciprocal"),
        ),
    ),
    Circuit(
        "exponentials",
        "u = exp(x)\nv = u * y\nw = sin(v)\nL = w + cos(y)",
        lambda r: {"x": 0.4, "y": 1.3},
        "u = np.exp(x)\nv = u * y\ndv = np.cos(v)\ndu = dv * y\ndx = du * u\n"
        "dy = dv * u - np.sin(y)\n",
        (
            ("exp's slope is its input", "du * u", "du * x", "pre_vs_post_activation"),
            ("exp by the power rule", "du * u", "du * x * np.exp(x - 1)", "pre_vs_post_activation"),
            ("sin's slope is sin", "dv = np.cos(v)", "dv = np.sin(v)", "pre_vs_post_activation"),
            (
                "sin's slope turned",
                "dv = np.cos(v)",
                "dv = -np.cos(v)",
                "pre_vs_post_activation sign",
            ),
            ("cos's minus lost", "- np.sin(y)", "+ np.sin(y)", "pre_vs_post_activation sign"),
            (
                "everything turned",
                "dv = np.cos(v)\ndu = dv * y\ndx = du * u\ndy = dv * u - np.sin(y)",
                "dv = -np.cos(v)\ndu = dv * y\ndx = du * u\ndy = dv * u + np.sin(y)",
                "sign",
            ),
        ),
    ),
    Circuit(
        "add, max and mul",
        "p = x * y\nm = maximum(z, w)\ns = p + m\nf = s * 2",
        lambda r: {"x": 3.0, "y": -4.0, "z": 2.3, "w": -1.7},
        "ds = 2.0\ndp = ds\ndm = ds\ndx = y * dp\ndy = x * dp\ndz = dm\ndw = 0.0\n",
        (
            ("max to both", "dw = 0.0", "dw = dm", "max_broadcast"),
            ("max to the smaller", "dz = dm\ndw = 0.0", "dz = 0.0\ndw = dm", "max_misrouted"),
            (
                "the factor forgotten",
                "ds = 2.0",
                "ds = 1.0",
                "missing_local scale missing_upstream",
            ),
        ),
    ),
]
