"""Requests a second by kind of work, with one worker and with two: a table for the guide.

    python -m tests.benchmarks.sizing [--seconds 5]

The load comes from wrk on the same machine, which takes its part of the cores. Run it where
nothing else does.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.serving import Server, serving

CONNECTIONS = 16


def bodies() -> dict[str, tuple[str, Any]]:
    """Path and body of each kind."""
    rng = np.random.default_rng(231)

    def drawn(*shape: int) -> Any:
        return rng.normal(size=shape).round(3).tolist()

    nodes: list[dict[str, Any]] = [
        {"id": "x", "op": "input"},
        {"id": "n0", "op": "sin", "inputs": ["x"]},
    ]
    nodes += [{"id": f"n{i}", "op": "sin", "inputs": [f"n{i - 1}"]} for i in range(1, 1000)]
    network = {
        "graph": {"expression": "h = relu(X @ W + b)\nL = cross_entropy(h @ V + c, y)"},
        "inputs": {
            "X": drawn(64, 32),
            "W": drawn(32, 64),
            "b": drawn(64),
            "V": drawn(64, 10),
            "c": drawn(10),
            "y": rng.integers(0, 10, 64).tolist(),
        },
        "values": "output",
    }
    circuit = {
        "graph": {"expression": "q = x + y\nf = q * z"},
        "inputs": {"x": -2, "y": 5, "z": -4},
    }
    wrong = {"gradients": {"q": -4, "x": -4, "y": -4, "z": -4}}
    return {
        "circuit of five nodes, gradient": ("/v1/gradient", circuit),
        "1,000 nodes, gradient": (
            "/v1/gradient",
            {"graph": {"nodes": nodes}, "inputs": {"x": 1}, "values": "output"},
        ),
        "64×32-64-10 network, gradient, 100 kB": ("/v1/gradient", network),
        "circuit, explained": ("/v1/explain", circuit),
        "circuit, drawn": ("/v1/diagram", circuit),
        "wrong submission, graded": ("/v1/grade", {**circuit, "submission": wrong}),
    }


def rate(server: Server, path: str, body: Any, seconds: int, folder: Path) -> tuple[float, str]:
    """Requests a second, and the 99th percentile of the time to the answer."""
    script = folder / "post.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f"wrk.body = [==[{json.dumps(body)}]==]\n"
    )
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            "--latency",
            "-s",
            script,
            f"-d{seconds}",
            server.url + path,
        ],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    )
    assert "Non-2xx" not in done.stdout, done.stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    late = re.search(r"99%\s+(\S+)", done.stdout)
    assert found is not None
    assert late is not None
    return float(found[1]), late[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sizing")
    parser.add_argument("--seconds", type=int, default=5)
    seconds = parser.parse_args().seconds
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    kinds = bodies()
    rows: dict[str, list[str]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for workers in ("1", "2"):
            with serving(folder, workers=workers, access_log="off") as server:
                for kind, (path, body) in kinds.items():
                    rate(server, path, body, 1, folder)
                    found, late = rate(server, path, body, seconds, folder)
                    rows[kind] += [f"{found:,.0f}", late]
    print("| work | 1 worker, per second | p99 | 2 workers, per second | p99 |")
    print("|---|---|---|---|---|")
    for kind, cells in rows.items():
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
