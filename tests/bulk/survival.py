"""Long work that is killed at unlucky moments goes on, and gives the same bytes.

    python -m tests.bulk.survival [--rows 10000000] [--submissions 3000] [--ray]

Differentiates a Parquet file and grades a folder: undisturbed; by one process and by two,
killed twice each; with --ray also by a local Ray cluster of three nodes that loses one and
whose driver is killed (run where loopback is the only network: `unshare --net`). Prints its
figures as JSON on the last line, and fails where bytes differ or a block ran twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
GRAPH = "s = 1 / (1 + exp(-y))\nf = (x + s) / (s + (x + y)**2)"
PIECE = 500_000
MEMORY = 300_000_000
"""Bytes that a process of the command may take, whatever the file's size."""


def write_points(path: Path, rows: int) -> None:
    """A Parquet file of so many rows, some of which have no x."""
    rng = np.random.default_rng(231)
    schema = pa.schema([("x", pa.float64()), ("y", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, PIECE):
            size = min(PIECE, rows - first)
            bare = np.arange(size) % 99_991 == 3
            x = pa.array(rng.normal(size=size), mask=bare)
            writer.write_table(pa.table({"x": x, "y": rng.normal(size=size)}, schema=schema))


def write_submissions(folder: Path, count: int) -> None:
    """A task and a folder of submissions for it, right and wrong."""
    from tests.bulk.test_submissions import TASK, submissions

    (folder / "all").mkdir()
    (folder / "task.json").write_text(json.dumps(TASK))
    for name, document in submissions(count):
        (folder / "all" / f"{name}.json").write_text(json.dumps(document))


class Work:
    """A command that writes `output` in `folder`, as often as it takes."""

    def __init__(self, folder: Path, output: str, *command: str) -> None:
        self.folder, self.output, self.command = folder, output, command
        self.parts = folder / f".{output}.parts"
        self.peak = 0

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Begin or go on."""
        return subprocess.Popen(
            [sys.executable, "-m", "service", *self.command, "-o", self.output, *options],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> float:
        """Wait for the end; the seconds it took from here."""
        begun = time.perf_counter()
        while process.poll() is None:
            self.peak = max(self.peak, resident(process.pid))
            time.sleep(0.02)
        told = process.stderr.read() if process.stderr else ""
        assert process.returncode == 0, told
        return time.perf_counter() - begun

    def written(self) -> dict[str, int]:
        """The finished blocks, and when each was written."""
        found = {}
        for path in self.parts.glob("*.block"):
            try:
                found[path.name] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue
        return found

    def wait_for(self, process: subprocess.Popen[str], blocks: int) -> None:
        """Until so many blocks are finished."""
        end = time.monotonic() + 120
        while len(list(self.parts.glob("*.block"))) < blocks:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.002)

    def killed(self, process: subprocess.Popen[str], blocks: int) -> dict[str, int]:
        """Kill all of its processes once so many blocks are finished."""
        self.wait_for(process, blocks)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return self.written()

    def survive(self, *options: str) -> None:
        """Killed twice, and gone on with; no finished block is computed again."""
        first = self.killed(self.start(*options), 3)
        second = self.killed(self.start(*options, "--resume"), len(first) + 3)
        assert second.items() >= first.items(), "a finished block ran twice"
        last = self.start(*options, "--resume")
        self.finish(last)

    def digest(self) -> str:
        """Of what was written."""
        return hashlib.sha256((self.folder / self.output).read_bytes()).hexdigest()


def resident(pid: int) -> int:
    """Resident bytes of a process, its peak; 0 when it is gone or the system doesn't tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


@contextmanager
def three_nodes() -> Iterator[tuple[str, Any]]:
    """A local Ray cluster: its address, and a function that takes a node away."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    others = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    try:
        yield (
            cluster.address,
            lambda: cluster.remove_node(others.pop(), allow_graceful=False),
        )
    finally:
        cluster.shutdown()


def on_ray(work: Work, address: str, take_away: Any) -> None:
    """A node is lost, then the driver; what is left is done by the nodes that are left."""
    options = ("--ray", address)
    process = work.start(*options)
    work.wait_for(process, 2)
    take_away()
    first = work.killed(process, len(work.written()) + 2)
    process = work.start(*options, "--resume")
    work.wait_for(process, len(first) + 1)
    assert work.written().items() >= first.items(), "a finished block ran twice"
    work.finish(process)


def plain(rows: int) -> float:
    """Rows a second of the plain function over arrays, in this process."""
    from service.bulk.points import PointsJob, compute_block

    rng = np.random.default_rng(1)
    points = {"x": rng.normal(size=16_384), "y": rng.normal(size=16_384)}
    job = PointsJob(json.dumps({"expression": GRAPH}).encode())
    compute_block(job, points)
    begun, done = time.perf_counter(), 0
    while done < min(rows, 5_000_000):
        compute_block(job, points)
        done += 16_384
    return done / (time.perf_counter() - begun)


def held(whole: Work, broken: Work, name: str, figures: dict[str, Any]) -> None:
    """The same bytes, and memory as it was."""
    assert broken.digest() == whole.digest(), f"{name}: other bytes"
    assert broken.peak < MEMORY, f"{name}: {broken.peak} bytes"
    figures[name] = {"sha256": broken.digest()[:16], "peak_bytes": broken.peak}


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bulk.survival")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--submissions", type=int, default=3_000)
    parser.add_argument("--ray", action="store_true")
    given = parser.parse_args()
    block = str(max(500, given.rows // 300))
    figures: dict[str, Any] = {"rows": given.rows, "submissions": given.submissions}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_points(folder / "points.parquet", given.rows)
        write_submissions(folder, given.submissions)
        batch = ("batch", "points.parquet", "-e", GRAPH, "--block", block, "--quiet")
        grade = ("grade", "task.json", "all")
        figures["plain_rows_per_second"] = round(plain(given.rows))
        for kind, command, suffix in (("points", batch, "parquet"), ("grading", grade, "ndjson")):
            whole = Work(folder, f"whole.{suffix}", *command)
            for workers in ("1", "2"):
                seconds = whole.finish(whole.start("--workers", workers))
                figures[f"{kind}_{workers}_seconds"] = round(seconds, 2)
            for workers in ("1", "2"):
                broken = Work(folder, f"broken{workers}.{suffix}", *command)
                broken.survive("--workers", workers)
                held(whole, broken, f"{kind}_{workers}_killed_twice", figures)
        if given.ray:
            with three_nodes() as (address, take_away):
                whole = Work(folder, "whole.parquet", *batch)
                ray = Work(folder, "ray.parquet", *batch)
                ray.finish(ray.start("--ray", address))
                cold = Work(folder, "ray.parquet", *batch)
                begun = time.perf_counter()
                cold.finish(cold.start("--ray", address))
                figures["points_ray_seconds"] = round(time.perf_counter() - begun, 2)
                broken = Work(folder, "ray_broken.parquet", *batch)
                on_ray(broken, address, take_away)
                held(whole, broken, "points_ray_lost_a_node_and_its_driver", figures)
                whole = Work(folder, "whole.ndjson", *grade)
                broken = Work(folder, "ray.ndjson", *grade)
                on_ray(broken, address, take_away)
                held(whole, broken, "grading_ray_lost_a_node_and_its_driver", figures)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
