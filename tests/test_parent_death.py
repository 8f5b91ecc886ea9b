"""No worker outlives a parent that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.serving import ROOT, free_port

PORT = free_port()
POINTS = "x,y\n" + "".join(f"{n},{n}\n" for n in range(20_000))
BATCH = ["batch", "points.csv", "-e", "sum(sin(x * y) ** 2)", "--workers", "2", "--block", "5"]


def members(session: int) -> list[int]:
    """The processes of a session that run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, sid, *_ = entry.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(sid) == session and state != "Z":
            found.append(int(entry.parent.name))
    return found


def listening() -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{PORT}/readyz", timeout=1).status_code == 200
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("command", [["serve", "--workers", "2"], BATCH], ids=["serve", "batch"])
def test_no_process_is_left_ten_seconds_after_the_parent(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "points.csv").write_text(POINTS)
    parent = subprocess.Popen(
        [sys.executable, "-m", "service", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GRADIENT_PORT": str(PORT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        serving = command[0] == "serve"
        assert wait_for(lambda: len(members(parent.pid)) >= 3 and (not serving or listening()), 60)
        if not serving:
            time.sleep(1)  # The workers are about something.
        assert parent.poll() is None
        parent.kill()
        parent.wait(10)
        assert wait_for(lambda: not members(parent.pid), 10), members(parent.pid)
        assert not listening()
    finally:
        for process in members(parent.pid):
            os.kill(process, signal.SIGKILL)
