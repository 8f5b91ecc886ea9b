"""Measure again what the thresholds of `service.engine.run.choose` and its rooms say.

`python -m tests.benchmarks.sweep` prints ratios of times: under 1 the first way is quicker.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.operators import REGISTRY
from service.engine.program import program_for
from service.engine.run import choose, compiled, levelized
from service.engine.run.floats import Loops
from service.engine.run.generated import MOST_NODES, written

CHEAP = ("add", "mul", "sub")
COMMON = ("add", "mul", "sub", "tanh", "sin", "neg")
GATES = ("maximum", "clip", "tanh", "divide", "gelu")


def graph(nodes: int, operators: tuple[str, ...], reach: int, leaves: int = 8) -> Graph:
    """A random graph whose nodes read the `reach` nodes before them."""
    rng = random.Random(nodes)
    ids = [f"x{i}" for i in range(leaves)]
    spec = GraphSpec(
        ids,
        ["input"] * leaves,
        [()] * leaves,
        leaves={i: Leaf("input", rng.uniform(0.5, 1)) for i in range(leaves)},
        attrs={},
    )
    for _ in range(nodes):
        op = rng.choice(operators)
        spec.ops.append(op)
        spec.inputs.append(
            [ids[rng.randrange(max(0, len(ids) - reach), len(ids))] for _ in range(_arity(op))]
        )
        ids.append(f"n{len(ids)}")
    spec.output = ids[-1]
    return resolve(spec)


def _arity(name: str) -> int:
    return REGISTRY[name].arity[0]


def ratio(one: Callable[[], Any], other: Callable[[], Any], rounds: int = 9) -> float:
    """The median of the ratios of the times of two calls, in turn."""
    found = []
    for _ in range(rounds):
        times = []
        for call in (one, other):
            started = time.perf_counter()
            for _ in range(3):
                call()
            times.append(time.perf_counter() - started)
        found.append(times[0] / times[1])
    return statistics.median(found)


def main() -> None:
    """Print a table for each threshold."""
    choose.prepare()

    def run(plan: Any, one: Graph) -> Callable[[], Any]:
        leaves = [one.leaves[p].value for p in sorted(one.leaves)]
        output = one.index[one.outputs[0]]
        return lambda: plan.gradient(leaves, output, 1.0, None, None)

    print(f"LEAST_COMPILED = {choose.LEAST_COMPILED}: machine code / generated; / loops; ")
    print("    built and run once / loops")
    for nodes in (8, 16, 32, 48, 64, 96):
        for operators in (CHEAP, COMMON, GATES):
            one = graph(nodes, operators, 8)
            plan = compiled.plan_of(one)
            sweeps = written(program_for(one, {}))
            first = run(plan, one)

            def built(one: Graph = one) -> None:
                run(compiled.plan_of(one), one)()

            ratios = (ratio(first, lambda s=sweeps: s({})), ratio(first, run(Loops(one), one)))
            ratios = (*ratios, ratio(built, run(Loops(one), one)))
            print(f"{nodes:6} {operators[0]:8}", *(f"{x:8.2f}" for x in ratios))

    print(f"MOST_NODES of generated code = {MOST_NODES}: generated / loops; runs that repay it")
    for nodes in (10, 30, 100, 300, 1000):
        one = graph(nodes, COMMON, 8)
        program = program_for(one, {})
        sweeps = written(program)
        loops = run(Loops(one), one)
        quick = ratio(lambda s=sweeps: s({}), loops)
        cost = ratio(lambda p=program: written(p), loops, 3)
        print(f"{nodes:6}          {quick:8.2f} {cost / (1 - quick):8.0f}")

    print(f"LEAST_GROUP of levels = {levelized.LEAST_GROUP}: nodes in a group, levels / loops")
    levelized.LEAST_GROUP = 1
    for nodes in (choose.LEAST_LEVELIZED, 1000, 3000, 9000, 30_000):
        for operators in (CHEAP, COMMON):
            for leaves in (8, nodes // 20, nodes // 2):
                one = graph(nodes, operators, nodes, leaves)
                plan = levelized.plan_of(one)
                if plan is not None:
                    group = nodes / len(plan.groups)
                    found = ratio(run(plan, one), run(Loops(one), one), 5)
                    print(f"{nodes:6} {operators[-1]:8} {group:8.0f} {found:8.2f}")


if __name__ == "__main__":
    main()
