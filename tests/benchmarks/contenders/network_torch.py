"""The same in torch, on two threads."""

import sys

import torch
from networks import conv_inputs, mlp_inputs
from timing import median_seconds, report

torch.set_num_threads(2)
net, dtype = sys.argv[1:]
given = mlp_inputs(dtype) if net == "mlp" else conv_inputs(dtype)
t = {name: torch.tensor(a, requires_grad=name not in ("X", "labels")) for name, a in given.items()}
variables = [one for one in t.values() if one.requires_grad]


def mlp():
    h1 = torch.relu(t["X"] @ t["W1"] + t["b1"])
    h2 = torch.relu(h1 @ t["W2"] + t["b2"])
    return torch.nn.functional.cross_entropy(h2 @ t["W3"] + t["b3"], t["labels"])


def conv():
    return (torch.nn.functional.conv2d(t["x"], t["w"], padding=1) ** 2).sum()


loss = mlp if net == "mlp" else conv
report(seconds=median_seconds(lambda: torch.autograd.grad(loss(), variables), least=1.0))
