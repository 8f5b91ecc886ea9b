"""The references' own environment, made once under .bench/."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HOME = Path(".bench")
PYTHON = HOME / "bin" / "python"
PACKAGES = (
    "jax", "jaxlib", "autograd", "orjson", "numpy", "fastapi", "uvicorn", "umbridge",
    "tesseract-core[runtime]",
)  # fmt: skip
_NAMES = ("torch", "jax", "autograd", "orjson", "numpy", "umbridge", "tesseract-core")


def references() -> tuple[str | None, dict[str, str]]:
    """The interpreter of the environment, and the versions in it; None when it can't be made."""
    ready = HOME / ".ready"
    if not ready.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", HOME], check=True, timeout=120)
            pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            # A build of torch for the CPU; a newer one would bring gigabytes for accelerators.
            subprocess.run([*pip, "torch==2.13.0"], check=True, timeout=1200)
            subprocess.run([*pip, *PACKAGES], check=True, timeout=1200)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"references not installed: {error}", file=sys.stderr)
            return None, {}
        ready.touch()
    code = (
        "import importlib.metadata as m, json\n"
        f"print(json.dumps({{n: m.version(n) for n in {_NAMES!r}}}))"
    )
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    versions: dict[str, str] = json.loads(done.stdout)
    return str(PYTHON), versions
