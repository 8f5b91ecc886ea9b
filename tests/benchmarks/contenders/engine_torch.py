"""The same graph in eager torch, on one thread."""

import sys

import torch
from graphs import recipe
from timing import median_seconds, report

torch.set_num_threads(1)
size, kind = int(sys.argv[1]), sys.argv[2]
leaves, steps = recipe(size, kind)
size = len(steps)
GATES = {
    "add": torch.add, "mul": torch.mul, "sub": torch.sub, "tanh": torch.tanh, "sin": torch.sin,
    "neg": torch.neg,
}  # fmt: skip


def run() -> None:
    inputs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in leaves]
    values = list(inputs)
    for gate, sources in steps:
        values.append(GATES[gate](*[values[j] for j in sources]))
    torch.autograd.grad(values[-1], inputs, allow_unused=True)


seconds = median_seconds(run)
report(seconds=seconds, per_node=seconds / size)
