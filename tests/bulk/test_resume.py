"""A killed `batch` goes on after its finished blocks, and writes the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.serving import ROOT

GRAPH = "s = 1 / (1 + exp(-y))\nf = (x + s) / (s + (x + y)**2)"
FORMATS = ("npz", "csv", "ndjson", "parquet", "arrow", "csv.gz", "ndjson.gz")


def table(size: int) -> pa.Table:
    rng = np.random.default_rng(size)
    x = pa.array(rng.normal(size=size), mask=np.arange(size) % 997 == 3)
    name = pa.array([f"row {i}" for i in range(size)])
    return pa.table({"name": name, "x": x, "y": rng.normal(size=size)})


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "service", "batch", "points.parquet", "-e", GRAPH, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    told = process.communicate(timeout=100)[1]
    assert process.returncode == 0, told
    return told


def killed_after(process: subprocess.Popen[str], parts: Path, blocks: int) -> int:
    """Kill all processes once so many blocks are finished; how many are then."""
    end = time.monotonic() + 60
    while len(list(parts.glob("*.block"))) < blocks:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return len(list(parts.glob("*.block")))


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_bytes_after_two_kills(tmp_path: Path, format: str) -> None:
    pq.write_table(table(60_000), tmp_path / "points.parquet", row_group_size=7_000)
    whole, broken = f"whole.{format}", f"broken.{format}"
    finished(started(tmp_path, "-o", whole, "--block", "300", "--workers", "1"))
    parts = tmp_path / f".{broken}.parts"
    one = ("-o", broken, "--block", "300")
    there = killed_after(started(tmp_path, *one, "--workers", "2"), parts, 5)
    again = killed_after(started(tmp_path, *one, "--workers", "1", "--resume"), parts, there + 10)
    told = finished(started(tmp_path, *one, "--workers", "2", "--resume"))
    blocks = 60_000 // 300
    assert f"{blocks - again} blocks" in told
    assert f"{again} blocks were there" in told
    assert (tmp_path / whole).read_bytes() == (tmp_path / broken).read_bytes()
    assert not parts.exists()


def test_a_kill_while_the_blocks_become_a_file(tmp_path: Path) -> None:
    pq.write_table(table(5_000), tmp_path / "points.parquet")
    one = ("-o", "out.csv", "--block", "100")
    parts = tmp_path / ".out.csv.parts"
    killed_after(started(tmp_path, *one), parts, 10)
    # As if it had been killed later: half of a block, and half of the file.
    (parts / "000000040.tmp").write_bytes(b"half")
    (parts / "whole").write_bytes(b"half")
    finished(started(tmp_path, *one, "--resume"))
    broken = (tmp_path / "out.csv").read_bytes()
    finished(started(tmp_path, *one))
    assert broken == (tmp_path / "out.csv").read_bytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("-e", "x + y"), "other points"),
        (("--block", "99"), "other points"),
        (("--dtype", "float32"), "other points"),
        (("-o", "other.csv"), "no finished blocks"),
    ],
)
def test_blocks_of_another_job_are_not_gone_on_with(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    pq.write_table(table(9_000), tmp_path / "points.parquet")
    killed_after(
        started(tmp_path, "-o", "out.csv", "--block", "50"), tmp_path / ".out.csv.parts", 3
    )
    process = started(tmp_path, "-o", "out.csv", "--block", "50", *change, "--resume")
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert says in " ".join(told.split())


def test_changed_points_are_another_job(tmp_path: Path) -> None:
    pq.write_table(table(9_000), tmp_path / "points.parquet")
    one = ("-o", "out.csv", "--block", "50")
    killed_after(started(tmp_path, *one), tmp_path / ".out.csv.parts", 3)
    pq.write_table(table(9_001), tmp_path / "points.parquet")
    process = started(tmp_path, *one, "--resume")
    assert "other points" in " ".join(process.communicate(timeout=60)[1].split())
    finished(started(tmp_path, *one))
    assert not (tmp_path / ".out.csv.parts").exists()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a small file system")
def test_a_disk_that_is_full_is_a_sentence_and_the_blocks_stay(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can't be mounted here")
    try:
        pq.write_table(table(20_000), tmp_path / "points.parquet")
        process = started(tmp_path, "-o", "disk/out.csv", "--block", "1000")
        told = process.communicate(timeout=60)[1]
        assert process.returncode == 1
        assert told.splitlines()[-1].endswith("go on with --resume")
        assert "No space left" in told
        assert len(told.splitlines()) == 1
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        finished(started(tmp_path, "-o", "disk/out.csv", "--block", "1000", "--resume"))
        assert shutil.disk_usage(disk).used > 1_000_000
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def peak(folder: Path, rows: int) -> int:
    """The peak of memory in bytes for so many rows."""
    with pq.ParquetWriter(folder / "points.parquet", table(1).schema) as writer:
        for _ in range(rows // 100_000):
            writer.write_table(table(100_000))
    code = (
        "import resource, sys; sys.argv[0] = 'service'; from service.cli import build\n"
        "try: build()()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    arguments = ["batch", "points.parquet", "-e", GRAPH, "-o", "out.parquet", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--quiet"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        timeout=110,
        check=True,
    )
    return int(done.stdout) * 1024


def test_memory_is_that_of_the_blocks_whatever_the_file(tmp_path: Path) -> None:
    few, many = peak(tmp_path, 200_000), peak(tmp_path, 2_000_000)
    assert many - few < 60_000_000
