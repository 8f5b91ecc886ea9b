"""Print name, version and licence of every pinned core dependency, as installed."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.txt"


def licence(found: Distribution) -> str:
    """The licence as the package states it: expression, classifiers, or first line of text."""
    meta = found.metadata
    if meta.get("License-Expression"):
        return str(meta["License-Expression"])
    classified = [
        line.rsplit(" :: ", 1)[-1]
        for line in meta.get_all("Classifier") or []
        if line.startswith("License :: ")
    ]
    stated = (meta.get("License") or "").strip().splitlines()
    return ", ".join(classified) or (stated[0] if stated else "not stated")


def main() -> None:
    """One line a package; those for another platform are named as such."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", LOCK.read_text(), re.M)
    for name, version in pins:
        try:
            print(f"{name} {version}: {licence(distribution(name))}")
        except PackageNotFoundError:
            print(f"{name} {version}: not installed on this platform")


if __name__ == "__main__":
    main()
