"""The engine alone: resolve, build and run a scalar graph once, or run it again."""

import gc
import sys

from graphs import LEAVES, recipe
from timing import median_seconds, report

from service.engine.compute import gradient
from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.program import program_for

size, kind, what = int(sys.argv[1]), sys.argv[2], sys.argv[3]
leaves, steps = recipe(size, kind)
size = len(steps)
ids = [f"n{i}" for i in range(LEAVES + len(steps))]
spec = GraphSpec(
    ids,
    ["input"] * LEAVES + [gate for gate, _ in steps],
    [()] * LEAVES + [[ids[j] for j in sources] for _, sources in steps],
    {},
    {i: Leaf("input", value) for i, value in enumerate(leaves)},
    ids[-1],
)
gc.disable()
built = program_for(resolve(spec), {})


def build() -> None:
    program_for(resolve(spec), {})


def once() -> None:
    gradient(program_for(resolve(spec), {}), {}, values=False)


def again() -> None:
    gradient(built, {}, values=False)


seconds = median_seconds({"build": build, "once": once, "again": again}[what])
report(seconds=seconds, per_node=seconds / size)
