"""A Ray cluster of three nodes on this machine: the same bytes, and a node that goes away.

Run where loopback is the only address there is (`unshare --net`), for Ray's own ports are
bound to the machine's outward address. Prints its figures as JSON on the last line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.cluster_utils import Cluster as Nodes

from service.bulk.blocks import Pool, Report, run_blocks
from service.bulk.cluster import Cluster
from service.bulk.local import Processes, ThisProcess
from service.bulk.points import PointsJob, compute_block, joined, split

STAGED = """sigy = 1.0 / (1 + exp(-y))
num = x + sigy
sigx = 1.0 / (1 + exp(-x))
xpy = x + y
xpysqr = xpy**2
den = sigx + xpysqr
invden = 1.0 / den
f = num * invden"""
JOB = PointsJob(json.dumps({"expression": STAGED}).encode())
MILLION = 1_000_000
LENGTH = 16_384


def points(size: int) -> dict[str, Any]:
    rng = np.random.default_rng(231)
    return {"x": rng.normal(size=size), "y": rng.normal(size=size)}


def slow_block(shared: tuple[PointsJob, str], block: Any) -> Any:
    """A block that leaves a trace of its node, and time for that to be taken away."""
    job, folder = shared
    node = ray.get_runtime_context().get_node_id()
    Path(folder, f"{node}-{time.monotonic_ns()}").touch()
    time.sleep(0.3)
    return compute_block(job, block)


def everything(
    function: Any, shared: Any, given: Any, pool: Pool, report: Report
) -> tuple[bytes, ...]:
    """All results as bytes."""
    results = list(run_blocks(function, shared, split(given, LENGTH), pool, report))
    whole = joined(results)
    return whole.value.tobytes(), *(whole.gradients[name].tobytes() for name in "xy")


def timed(function: Any, given: Any, pool: Pool) -> tuple[tuple[bytes, ...], float]:
    begun = time.perf_counter()
    found = everything(function, JOB, given, pool, Report())
    return found, time.perf_counter() - begun


def main() -> None:
    given = points(MILLION)
    wanted, alone = timed(compute_block, given, ThisProcess())
    figures: dict[str, Any] = {"points": MILLION, "one_process_s": round(alone, 3)}

    begun = time.perf_counter()
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    others = [nodes.add_node(num_cpus=1) for _ in range(2)]
    nodes.wait_for_nodes()
    figures["three_nodes_started_s"] = round(time.perf_counter() - begun, 1)
    try:
        ray.init(address=nodes.address, log_to_driver=False, logging_level="error")
        pool = Cluster(nodes.address)
        for name in ("cold", "warm"):
            found, seconds = timed(compute_block, given, pool)
            assert found == wanted, "the cluster gives other bytes"
            figures[f"cluster_{name}_s"] = round(seconds, 3)

        doomed = others[1]
        with tempfile.TemporaryDirectory() as folder:

            def take_away() -> None:
                while not list(Path(folder).glob(f"{doomed.node_id}-*")):
                    time.sleep(0.01)
                nodes.remove_node(doomed, allow_graceful=False)

            report = Report()
            thief = threading.Thread(target=take_away, daemon=True)
            thief.start()
            found = everything(slow_block, (JOB, folder), given, pool, report)
            runs = len(list(Path(folder).iterdir()))
            thief.join(10)
        assert found == wanted, "something was lost, or came twice"
        figures["run_again_after_a_node_was_lost"] = report.run_again
        assert report.run_again > 0, "the node was taken away too late"
        assert report.blocks == -(-MILLION // LENGTH)
        assert runs == report.blocks + report.run_again, (runs, report)
        figures["nodes_left"] = sum(1 for node in ray.nodes() if node["Alive"])
    finally:
        ray.shutdown()
        nodes.shutdown()
    if "--processes" in sys.argv:
        figures["two_processes_s"] = round(timed(compute_block, given, Processes(2))[1], 3)
    print(json.dumps(figures))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
