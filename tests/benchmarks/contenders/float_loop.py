"""What a user would write: opcode lists, and a loop over Python floats forward and back."""

import math
import sys

from graphs import LEAVES, drawn
from timing import median_seconds, report

leaves, steps = drawn(int(sys.argv[1]), sys.argv[2], sys.argv[3])
GATES = ("add", "mul", "cos", "maximum", "tanh", "sigmoid")
codes = [GATES.index(gate) for gate, _ in steps]
first = [sources[0] for _, sources in steps]
second = [sources[-1] for _, sources in steps]


def sweeps(values: list[float]) -> list[float]:
    """The gradient of the last node with respect to the leaves."""
    v = values + [0.0] * len(codes)
    for i, (code, a, b) in enumerate(zip(codes, first, second, strict=True), LEAVES):
        if code == 0:
            v[i] = v[a] + v[b]
        elif code == 1:
            v[i] = v[a] * v[b]
        elif code == 2:
            v[i] = math.cos(v[a])
        elif code == 3:
            v[i] = v[a] if v[a] >= v[b] else v[b]
        elif code == 4:
            v[i] = math.tanh(v[a])
        else:
            v[i] = 1.0 / (1.0 + math.exp(-v[a]))
    grads = [0.0] * len(v)
    grads[-1] = 1.0
    for i in range(len(v) - 1, LEAVES - 1, -1):
        g = grads[i]
        if g == 0.0:
            continue
        code, a, b = codes[i - LEAVES], first[i - LEAVES], second[i - LEAVES]
        if code == 0:
            grads[a] += g
            grads[b] += g
        elif code == 1:
            grads[a] += g * v[b]
            grads[b] += g * v[a]
        elif code == 2:
            grads[a] -= g * math.sin(v[a])
        elif code == 3:
            grads[a if v[a] >= v[b] else b] += g
        elif code == 4:
            grads[a] += g * (1.0 - v[i] * v[i])
        else:
            grads[a] += g * v[i] * (1.0 - v[i])
    return grads[:LEAVES]


report(seconds=median_seconds(lambda: sweeps(leaves), 1.0), checksum=sum(sweeps(leaves)))
