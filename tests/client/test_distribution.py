"""The client as a distribution of its own: built, and used where there is no server."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.serving import ROOT, serving

HERE = ROOT / "clients" / "python"
USE = """
import sys
import numpy as np
from gradient_client import Client, Var

assert "service" not in sys.modules
x = Var("x")
with Client(sys.argv[1]) as client:
    print(client.gradient(np.sum(x * x), {"x": np.array([1.0, 2.0])}).gradients["x"].tolist())
    print(client.gradient("x*y", {"x": 2, "y": 3}).value)
try:
    import service
except ImportError:
    print("alone")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # Built from a copy: setuptools leaves its folders beside what it builds.
    subprocess.run(["cp", "-r", str(HERE), str(source)], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*command, "-w", str(folder), str(source)], check=True, timeout=100)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_client_and_its_types(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "gradient_client/py.typed" in names
    modules = {path.relative_to(HERE).as_posix() for path in HERE.glob("gradient_client/*.py")}
    assert modules <= set(names)
    assert not [name for name in names if name.startswith(("service", "tests"))]


def test_it_works_without_the_server(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "alone"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    quiet = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*quiet, str(wheel)], check=True, timeout=110)
    script = tmp_path / "use.py"
    script.write_text(USE)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with serving(tmp_path) as server:
        done = subprocess.run(
            [str(python), str(script), server.url],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stdout.splitlines() == ["[2.0, 4.0]", "6.0", "alone"], done.stderr
