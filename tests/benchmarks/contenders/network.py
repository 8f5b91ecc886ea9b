"""Value and all gradients of a network or a convolution."""

import sys

from networks import CONV, MLP, conv_inputs, mlp_inputs
from timing import median_seconds, report

from service.engine.compute import gradient
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.memory import keep_freed_memory
from service.engine.program import program_for

keep_freed_memory()  # as the server does when it starts
net, dtype = sys.argv[1:]
inputs = mlp_inputs(dtype) if net == "mlp" else conv_inputs(dtype)
program = program_for(resolve(parse_expression(MLP if net == "mlp" else CONV)), inputs, dtype)
wrt = [name for name in inputs if name not in ("X", "labels")]
report(seconds=median_seconds(lambda: gradient(program, inputs, wrt=wrt, values=False), least=1.0))
