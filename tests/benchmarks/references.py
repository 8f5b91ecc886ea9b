"""The references' own environment, made once under .bench/."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HOME = Path(".bench")
PYTHON = HOME / "bin" / "python"
PACKAGES = (
    # A build of torch for the CPU; a newer one would bring gigabytes for accelerators.
    "torch==2.13.0",
    "jax jaxlib",
    "autograd",
    "umbridge",
    "tesseract-core[runtime]",
    "orjson numpy",
)
_NAMES = ("torch", "jax", "autograd", "umbridge", "tesseract-core", "orjson", "numpy")


def references() -> tuple[str | None, dict[str, str]]:
    """The interpreter of the environment, and the versions in it; None when it can't be made.

    A package that can't be installed is told and left out; its rows then say so.
    """
    ready = HOME / ".ready"
    if not ready.exists():
        print(f"setting up {HOME} (once)", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", HOME], check=True, timeout=120)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"references not installed: {error}", file=sys.stderr)
            return None, {}
        for package in PACKAGES:
            _install(package)
        ready.touch()
    code = (
        "import importlib.metadata as m, json\n"
        "have = {d.name.lower(): d.version for d in m.distributions()}\n"
        f"print(json.dumps({{n: have[n] for n in {_NAMES!r} if n in have}}))"
    )
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    versions: dict[str, str] = json.loads(done.stdout)
    return str(PYTHON), versions


def _install(package: str) -> None:
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run([*pip, *package.split()], check=True, timeout=1200)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"{package} not installed: {error}", file=sys.stderr)
