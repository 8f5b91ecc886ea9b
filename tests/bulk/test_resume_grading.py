"""A killed `grade` of a folder goes on after its finished blocks, with the same results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.bulk.submissions import LENGTH
from tests.bulk.test_submissions import TASK, submissions
from tests.serving import ROOT

COUNT = 3_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "all").mkdir()
    (tmp_path / "task.json").write_text(json.dumps(TASK))
    for name, document in submissions(COUNT):
        (tmp_path / "all" / f"{name}.json").write_text(json.dumps(document))
    return tmp_path


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "service", "grade", "task.json", "all", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def killed_after(process: subprocess.Popen[str], parts: Path, blocks: int) -> dict[str, int]:
    """Kill all processes once so many blocks are finished; when each was written."""
    end = time.monotonic() + 60
    while len(list(parts.glob("*.block"))) < blocks:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return {path.name: path.stat().st_mtime_ns for path in parts.glob("*.block")}


@pytest.mark.parametrize("output", ["out.ndjson", "out.csv", "out"])
def test_the_same_results_after_two_kills(folder: Path, output: str) -> None:
    parts = folder / f".{output}.parts"
    there = killed_after(started(folder, "-o", output, "--workers", "2"), parts, 3)
    one = ("-o", output, "--workers", "1", "--resume")
    again = killed_after(started(folder, *one), parts, len(there) + 5)
    assert again.items() >= there.items()  # no block was graded twice
    assert len(again) < COUNT // LENGTH
    process = started(folder, *one[:-1], "--resume", "--csv", "table.csv")
    told = process.communicate(timeout=100)[1]
    assert process.returncode == 0, told
    assert told.startswith(f"{COUNT} graded")
    assert len(told.splitlines()) == 1
    assert not parts.exists()
    process = started(folder, "-o", f"whole-{output}", "--csv", "whole.csv")
    process.communicate(timeout=100)
    if output == "out":
        found = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
        whole = {path.name: path.read_bytes() for path in (folder / "whole-out").iterdir()}
        assert len(found) == COUNT
        assert found == whole
    else:
        assert (folder / output).read_bytes() == (folder / f"whole-{output}").read_bytes()
    assert (folder / "table.csv").read_bytes() == (folder / "whole.csv").read_bytes()


def test_a_submission_that_changed_is_another_job(folder: Path) -> None:
    killed_after(started(folder, "-o", "out.csv", "--workers", "1"), folder / ".out.csv.parts", 2)
    (folder / "all" / "s1.json").write_text("{}")
    process = started(folder, "-o", "out.csv", "--resume")
    assert "without --resume" in " ".join(process.communicate(timeout=60)[1].split())
    assert process.returncode == 2
