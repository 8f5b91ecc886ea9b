"""The same graph in HIPS autograd."""

import sys

import autograd.numpy as np
from autograd import grad
from graphs import recipe
from timing import median_seconds, report

sys.setrecursionlimit(10**6)
size, kind = int(sys.argv[1]), sys.argv[2]
leaves, steps = recipe(size, kind)
size = len(steps)
GATES = {
    "add": lambda a, b: a + b, "mul": lambda a, b: a * b, "sub": lambda a, b: a - b,
    "tanh": np.tanh, "sin": np.sin, "neg": lambda a: -a,
}  # fmt: skip


def last(inputs):
    values = list(inputs)
    for gate, sources in steps:
        values.append(GATES[gate](*[values[j] for j in sources]))
    return values[-1]


slope = grad(last)
seconds = median_seconds(lambda: slope(tuple(leaves)))
report(seconds=seconds, per_node=seconds / size)
