"""The package, its locks, its image file and its scripts."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(lock: str) -> set[str]:
    text = (ROOT / lock).read_text()
    return {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", text, re.M)}


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return found[0].lower()


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("requirements.txt", ["postgres"]), ("requirements-dev.txt", ["postgres", "dev"])],
)
def test_lock_pins_every_dependency_with_hashes(lock: str, extras: list[str]) -> None:
    wanted = PROJECT["dependencies"] + [
        one for extra in extras for one in PROJECT["optional-dependencies"][extra]
    ]
    assert {name_of(one) for one in wanted} <= pinned(lock)
    text = (ROOT / lock).read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text


def test_heavy_libraries_stay_out_of_the_core() -> None:
    assert not pinned("requirements.txt") & {"torch", "jax", "ray", "onnx", "playwright", "scipy"}


def test_dockerfile_passes_the_linter() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, "--failure-threshold", "info", str(ROOT / "Dockerfile")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dockerfile_runs_as_a_numeric_user_from_a_pinned_base() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", text, re.M)
    assert "HEALTHCHECK" in text
    for base in re.findall(r"^FROM (\S+)", text, re.M):
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base), base
    assert "--require-hashes" in text


def test_scripts_are_valid_shell() -> None:
    for script in [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]:
        done = subprocess.run(["bash", "-n", script], capture_output=True, timeout=20, check=False)
        assert done.returncode == 0, (script, done.stderr)
        assert script.stat().st_mode & 0o111, f"{script} is not executable"


def test_licence_list_names_every_pinned_version() -> None:
    lock = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)",
        (ROOT / "requirements.txt").read_text(),
        re.M,
    )
    listed = (ROOT / "licences.txt").read_text().splitlines()
    assert [f"{name} {version}" for name, version in lock] == [
        line.split(":")[0] for line in listed
    ]
    assert not [line for line in listed if "not stated" in line]
