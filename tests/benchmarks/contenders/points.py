"""Value and gradients of the note's staged function at many points."""

import sys

import numpy as np
from timing import median_seconds, report

from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.memory import keep_freed_memory
from service.engine.run.batch import batch, batch_gradient

STAGED = """
sigy = 1.0 / (1 + exp(-y))
num = x + sigy
sigx = 1.0 / (1 + exp(-x))
xpy = x + y
xpysqr = xpy**2
den = sigx + xpysqr
invden = 1.0 / den
f = num * invden
"""
keep_freed_memory()  # as the server does when it starts
count = int(sys.argv[1])
rng = np.random.default_rng(0)
inputs = {"x": rng.normal(size=count), "y": rng.normal(size=count)}
graph = resolve(parse_expression(STAGED))
report(seconds=median_seconds(lambda: batch_gradient(batch(graph, inputs, True), values=False)))
