"""The package, its locks, its image file and its scripts."""

from __future__ import annotations

import importlib.util
import io
import json
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
    [
        ("requirements.txt", ["postgres", "layout"]),
        ("requirements-dev.txt", ["postgres", "layout", "jit", "dev"]),
        ("requirements-jit.txt", ["jit"]),
        ("requirements-cluster.txt", ["cluster"]),
    ],
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


def versions(lock: str) -> set[tuple[str, str]]:
    text = (ROOT / lock).read_text()
    return set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.M))


def test_locks_agree() -> None:
    """What the tests run on is what is shipped."""
    assert versions("requirements.txt") <= versions("requirements-dev.txt")
    base = versions("requirements-dev.txt")
    names = {name for name, _ in base}
    assert {one for one in versions("requirements-cluster.txt") if one[0] in names} <= base


def test_the_build_backend_is_pinned_by_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (backend,) = project["build-system"]["requires"]
    text = (ROOT / "requirements-build.txt").read_text()
    assert text.startswith(f"{backend} ")
    assert "--hash=sha256:" in text


def test_heavy_libraries_stay_out_of_the_core() -> None:
    assert not pinned("requirements.txt") & {
        "torch",
        "jax",
        "ray",
        "onnx",
        "playwright",
        "scipy",
        "llvmlite",
    }


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


@pytest.mark.parametrize(
    ("limit", "stated", "workers"),
    [
        ("200000 100000", None, "2"),
        ("150000 100000", None, "2"),
        ("50000 100000", None, "1"),
        ("max 100000", None, "3"),
        ("900000 100000", None, "3"),
        (None, None, "3"),
        ("200000 100000", "7", "7"),
        ("200000 100000", "", "2"),
    ],
)
def test_the_image_starts_a_worker_for_each_core_it_may_use(
    tmp_path: Path, limit: str | None, stated: str | None, workers: str
) -> None:
    quota = tmp_path / "cpu.max"
    if limit is not None:
        quota.write_text(limit + "\n")
    for name, script in [("nproc", "echo 3"), ("gradient-service", 'echo "$GRADIENT_WORKERS $@"')]:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CPU_MAX_FILE": str(quota)}
    if stated is not None:
        environment["GRADIENT_WORKERS"] = stated
    done = subprocess.run(
        [ROOT / "deploy" / "serve"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == f"{workers} serve\n"


def test_a_fitting_python_is_asked_for_by_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "venv.sh", tmp_path / "venv"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": "no-such-python"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode != 0
    assert "Python 3.11 or later" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_scripts_are_valid_shell() -> None:
    scripts = sorted((ROOT / "scripts").glob("*.sh"))
    for script in [*scripts, ROOT / ".ci" / "run", ROOT / "deploy" / "serve"]:
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


ADVISORY = """
id: {id}
published: "2026-01-01T00:00:00Z"
affected:
- package: {{name: NumPy, ecosystem: PyPI}}
  ranges:
  - type: ECOSYSTEM
    events: [{events}]
"""


@pytest.mark.parametrize(
    ("version", "events", "found"),
    [
        ("2.4.6", "{introduced: '0'}, {fixed: 2.4.6}", False),
        ("2.4.5", "{introduced: '0'}, {fixed: 2.4.6}", True),
        ("2.10.0", "{introduced: '2.9'}, {fixed: '3.0'}", True),
        ("1.0", "{introduced: '2.9'}, {fixed: '3.0'}", False),
        ("3.0", "{introduced: '2.9'}, {last_affected: '3.0'}", True),
        ("3.0.1", "{introduced: '2.9'}, {last_affected: '3.0'}", False),
        ("1.5", "{introduced: '0'}, {fixed: '1.0'}, {introduced: '1.5'}, {fixed: '2.0'}", True),
    ],
)
def test_audit_names_what_an_advisory_concerns(
    tmp_path: Path, version: str, events: str, found: bool
) -> None:
    (tmp_path / "lock.txt").write_text(f"numpy=={version} \\\n    --hash=sha256:00\nother==1.0\n")
    folder = tmp_path / "advisories"
    folder.mkdir()
    (folder / "one.yaml").write_text(ADVISORY.format(id="PLANTED-1", events=events))
    script = [sys.executable, ROOT / "scripts" / "audit.py", folder, tmp_path / "lock.txt"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == (1 if found else 0), done.stderr
    assert ("PLANTED-1" in done.stdout) is found


def test_an_audit_without_advisories_fails(tmp_path: Path) -> None:
    lock = ROOT / "requirements.txt"
    script = [sys.executable, ROOT / "scripts" / "audit.py", tmp_path, lock]
    done = subprocess.run(script, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "0 advisories" in done.stdout


def test_an_audit_by_the_index_takes_no_silence_for_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mirror that knows the latest releases alone: one wrong, one right, one that is older."""
    place = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert place is not None
    assert place.loader is not None
    audit = importlib.util.module_from_spec(place)
    place.loader.exec_module(audit)
    latest = {"old": "2.0", "right": "1.0", "wrong": "1.0"}

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        name, *rest = url.removeprefix(audit.PyPI.pypi_url + "/").removesuffix("/json").split("/")
        if rest:
            raise OSError("404")
        listed = [{"id": "PLANTED-2"}, {"id": "X", "withdrawn": "2026"}] if name == "wrong" else []
        document = {"info": {"version": latest[name]}, "vulnerabilities": listed}
        return io.BytesIO(json.dumps(document).encode())

    monkeypatch.setattr(audit.urllib.request, "urlopen", urlopen)
    found, _ = audit.in_index({(name, "1.0") for name in latest})
    assert found == ["old 1.0: could not be looked up", "wrong 1.0: PLANTED-2"]
