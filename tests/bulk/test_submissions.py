"""Grading many submissions by blocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.bulk.blocks import run_blocks
from service.bulk.local import Processes, ThisProcess
from service.bulk.submissions import LENGTH, GradingJob, grade_block, in_blocks
from tests.serving import ROOT

TASK = {
    "graph": {"expression": "q = x + y\nf = q * z"},
    "inputs": {"x": -2, "y": 5, "z": -4},
    "reveal": "diagnosis",
}


def submissions(count: int) -> list[tuple[str, Any]]:
    """Every third one has a wrong gradient, every seventh none at all."""
    made: list[tuple[str, Any]] = []
    for number in range(count):
        document: dict[str, Any] = {
            "id": f"s{number}",
            "gradients": {"x": -4.0, "y": -4.0, "z": 4.0 if number % 3 == 0 else 3.0},
        }
        made.append((f"s{number}", None if number % 7 == 0 else document))
    return made


def test_processes_grade_as_one_process_does() -> None:
    job = GradingJob(json.dumps(TASK).encode())
    read = submissions(3 * LENGTH + 5)
    one = [g for b in run_blocks(grade_block, job, in_blocks(read), ThisProcess()) for g in b]
    two = [g for b in run_blocks(grade_block, job, in_blocks(read), Processes(2)) for g in b]
    assert [name for name, _, _ in one] == [name for name, _ in read]
    assert [text for _, _, text in one] == [text for _, _, text in two]
    assert len({result.score for _, result, _ in one}) == 3


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_command_takes_workers(tmp_path: Path, workers: str) -> None:
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name, document in submissions(LENGTH + 2):
        (folder / f"{name}.json").write_text(json.dumps(document))
    (tmp_path / "task.json").write_text(json.dumps(TASK))
    done = subprocess.run(
        [sys.executable, "-m", "service", "grade", "task.json", "submissions", "-o", "out.ndjson",
         "--workers", workers],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out.ndjson").read_text().splitlines()
    assert len(lines) == LENGTH + 2
