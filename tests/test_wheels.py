"""On every system that users have, what is needed installs from wheels alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = (
    "windows",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-manylinux_2_39",
    "aarch64-manylinux_2_28",
    "x86_64-manylinux2014",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
NO_NUMPY = {("x86_64-manylinux2014", "3.14")}
"""NumPy has no wheel there: its first for this Python need a newer glibc."""
SHORT = {(system, "3.11") for system in SYSTEMS} | {("windows", "3.14")}


def resolved(project: Path, system: str, python: str, *options: str) -> str:
    """What would be installed. Fails where a wheel is missing."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"]
    command += ["--only-binary", ":all:", "--python-platform", system, "--python-version", python]
    done = subprocess.run(
        [*command, *options, str(project / "pyproject.toml")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("system", "python"),
    [
        pytest.param(s, p, marks=() if (s, p) in SHORT else pytest.mark.wheels)
        for s in SYSTEMS
        for p in PYTHONS
        if (s, p) not in NO_NUMPY
    ],
)
def test_the_service_and_its_client_need_no_compiler(system: str, python: str) -> None:
    service = resolved(ROOT, system, python, "--extra", "postgres")
    assert "numpy==" in service
    assert ("uvloop==" in service) == (system != "windows")
    assert "numpy==" in resolved(ROOT / "clients" / "python", system, python)
