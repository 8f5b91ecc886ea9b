# ruff: noqa: E402
"""How bulk work grows from one worker to two, in processes and on Ray.

Run on a quiet machine, where loopback is the only address:
    unshare --net sh -c 'ip link set lo up && python -m tests.bulk.scaling'
Times are of the second half of the blocks, by when all workers have started; the best of
the rounds, in turns. Prints JSON.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

from service.bulk.blocks import Pool, run_blocks
from service.bulk.cluster import Cluster
from service.bulk.local import Processes
from service.bulk.points import PointsJob, compute_block, split

ROUNDS = 3
POINTS, LENGTH = 40_000, 500
RNG = np.random.default_rng(231)
JOB = PointsJob(
    json.dumps({"expression": "mean((tanh(V @ tanh(W @ x)) - y) ** 2)"}).encode(),
    shared={"W": RNG.normal(size=(1024, 64)) / 8, "V": RNG.normal(size=(64, 1024)) / 32},
    wrt=("x",),
)


def seconds(pool: Pool, points: Any) -> float:
    """Of the second half."""
    results = run_blocks(compute_block, JOB, split(points, LENGTH), pool)
    for _ in range(POINTS // LENGTH // 2):
        next(results)
    begun = time.perf_counter()
    for _ in results:
        pass
    return time.perf_counter() - begun


def main() -> None:
    points = {"x": RNG.normal(size=(POINTS, 64)), "y": RNG.normal(size=(POINTS, 64))}
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for workers in (1, 2):
            took = seconds(Processes(workers), points)
            name = f"processes_{workers}_s"
            best[name] = min(best.get(name, took), took)
    from ray.cluster_utils import Cluster as Nodes

    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for count in (1, 2):
            if count == 2:
                nodes.add_node(num_cpus=1)
                nodes.wait_for_nodes()
            for _ in range(ROUNDS):
                took = seconds(Cluster(nodes.address), points)
                name = f"ray_{count}_nodes_s"
                best[name] = min(best.get(name, took), took)
    finally:
        nodes.shutdown()
    figures = {name: round(took, 3) for name, took in best.items()}
    figures["processes_scaling"] = round(best["processes_1_s"] / best["processes_2_s"], 2)
    figures["ray_scaling"] = round(best["ray_1_nodes_s"] / best["ray_2_nodes_s"], 2)
    figures["load"] = round(os.getloadavg()[0], 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
