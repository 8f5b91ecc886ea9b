"""Bulk work on Ray: in a network namespace of its own, where there is loopback only."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def alone(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where loopback is the only network."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    unshare, ip = shutil.which("unshare"), shutil.which("ip") or "/usr/sbin/ip"
    if unshare is None or not Path(ip).exists():
        pytest.skip("no network namespaces here")
    probe = [unshare, "--net", ip, "link", "set", "lo", "up"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("network namespaces can't be made here")
    script = f'{ip} link set lo up && exec "$@"'
    return subprocess.run(
        [unshare, "--net", "sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_DEDUP_LOGS": "0"},
        check=False,
    )


def test_three_nodes_one_of_which_goes_away() -> None:
    done = alone(sys.executable, "tests/bulk/cluster_of_nodes.py")
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["run_again_after_a_node_was_lost"] > 0
    assert figures["nodes_left"] == 2


def test_the_command_on_a_cluster_writes_the_same_file(tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(2)
    points = tmp_path / "points.npz"
    np.savez(points, x=rng.normal(size=1000), y=rng.normal(size=1000))
    command = [sys.executable, "-m", "service", "batch", str(points), "-e", "x * exp(y)"]
    command += ["--block", "100"]
    one, many = tmp_path / "one.npz", tmp_path / "many.npz"
    subprocess.run([*command, "-o", str(one)], check=True, cwd=ROOT, capture_output=True)
    done = alone(*command, "-o", str(many), "--ray", "local")
    assert done.returncode == 0, done.stderr[-3000:]
    assert one.read_bytes() == many.read_bytes()
    assert "10 blocks on the cluster" in done.stderr


def test_work_on_files_survives_a_lost_node_and_a_killed_driver() -> None:
    sizes = ("--rows", "300000", "--submissions", "1500", "--ray")
    done = alone(sys.executable, "-m", "tests.bulk.survival", *sizes)
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["points_ray_lost_a_node_and_its_driver"]["sha256"]
    assert figures["grading_ray_lost_a_node_and_its_driver"]["sha256"]


def test_the_service_under_ray_serve_answers_as_it_does_elsewhere() -> None:
    probe = [sys.executable, "-c", "import ray.serve"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("Ray Serve is not installed: pip install 'ray[serve]'")
    done = alone(sys.executable, "tests/bulk/serve_on_ray.py")
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["ray_serve_p50_ms"] > 0
