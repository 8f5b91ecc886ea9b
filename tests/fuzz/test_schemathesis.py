"""Schemathesis against a running service: the whole OpenAPI document, every phase."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.watching import logged, undocumented
from tests.serving import serving

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
LONG = int(os.environ.get("GRADIENT_FUZZ_SECONDS", "600"))

pytest.importorskip("schemathesis")


def hold(folder: Path, examples: int, seconds: int) -> None:
    """Run it for about so long; every failed check, internal error and unlisted status counts."""
    with serving(folder, deadline_seconds="5") as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli"),
                *("--config-file", str(CONFIGURATION), "--no-color"),
                *("run", f"{server.url}/openapi.json"),
                *("--max-examples", str(examples), "--max-time", str(seconds)),
                *("--no-shrink", "--continue-on-failure", "--warnings", "off"),
                *("--suppress-health-check", "all"),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=2 * seconds + 60,
            check=False,
        )
        print(done.stdout[-20_000:])
        assert server.process.poll() is None
        log = server.log.read_text("utf-8", "replace")
        assert '"internal error"' not in log, [x for x in log.splitlines() if "internal error" in x]
        assert undocumented(logged(log)) == set()
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-4_000:]


@pytest.mark.timeout(180)
def test_the_service_does_what_its_document_says(tmp_path: Path) -> None:
    hold(tmp_path, examples=2, seconds=25)


@pytest.mark.fuzz
@pytest.mark.timeout(3 * LONG + 120)
def test_the_service_does_what_its_document_says_at_length(tmp_path: Path) -> None:
    hold(tmp_path, examples=200, seconds=LONG)
