"""Bytes that a coverage-guided fuzzer invents: refused or read, and nothing grows."""

from __future__ import annotations

import importlib.util
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT

SECONDS = int(os.environ.get("GRADIENT_FUZZ_BYTES_SECONDS", "30"))
GROWTH = 200 * 1024 * 1024

pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.timeout(SECONDS + 120),
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None, reason="atheris is not installed"
    ),
]


@pytest.mark.parametrize("what", ["requests", "expressions"])
def test_nothing_but_refusals(tmp_path: Path, what: str) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.bytes_target", what, str(corpus)),
            *(f"-max_total_time={SECONDS}", "-max_len=2048", "-timeout=10"),
            *("-rss_limit_mb=1536", f"-artifact_prefix={tmp_path}/"),
        ],
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS + 90,
        check=False,
    )
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    assert done.returncode == 0, said[-6_000:]
    runs = re.search(r"Done (\d+) runs", said)
    assert runs, said[-3_000:]
    assert int(runs[1]) > 500
    memory = [int(found) for found in re.findall(r"MEMORY (\d+)", said)]
    megabytes = [round(m / 1e6) for m in memory[:: len(memory) // 8 + 1]]
    print(f"{what}: {runs[1]} runs, memory {megabytes} MB")
    if len(memory) >= 4:
        quarter = len(memory) // 4
        early = statistics.median(memory[quarter : 2 * quarter])
        assert memory[-1] - early < GROWTH, memory
