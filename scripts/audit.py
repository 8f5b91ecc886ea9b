"""Hold the pinned dependencies to a folder of advisories: `audit.py FOLDER LOCK...`.

FOLDER is a copy of the Python Packaging Authority's advisory-database, or any folder of
documents in the OSV format (YAML or JSON), for where the package index can't be asked.
Source of the format: https://ossf.github.io/osv-schema/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", re.M)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def pins(lock: str) -> dict[str, str]:
    """Name and version of everything that a lock file pins."""
    return {canonicalize_name(name): version for name, version in _PIN.findall(lock)}


def advisories(folder: Path) -> list[dict[str, Any]]:
    """All advisories in a folder that were not withdrawn. JSON is read as the YAML it is."""
    documents = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".yaml", ".yml", ".json"):
            document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
            if isinstance(document, dict) and "affected" in document:
                documents.append(document)
    return [document for document in documents if not document.get("withdrawn")]


def concerns(affected: Mapping[str, Any], version: str) -> bool:
    """Whether a version is listed, or lies in a range of versions."""
    if version in affected.get("versions", ()):
        return True
    return any(
        _within(given["events"], Version(version))
        for given in affected.get("ranges", ())
        if given["type"] == "ECOSYSTEM"
    )


def _within(events: Sequence[Mapping[str, str]], version: Version) -> bool:
    """Whether the last event at or before `version` opened a range."""
    inside = False
    for event in sorted(events, key=lambda one: _at(next(iter(one.values())))):
        if "introduced" in event and version >= _at(event["introduced"]):
            inside = True
        if "fixed" in event and version >= _at(event["fixed"]):
            inside = False
        if "last_affected" in event and version > _at(event["last_affected"]):
            inside = False
    return inside


def _at(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def main(folder: str, *locks: str) -> int:
    """Print what was found; 1 for a finding, or where there was nothing to look into."""
    pinned: dict[str, dict[str, str]] = {lock: pins(Path(lock).read_text()) for lock in locks}
    found: list[str] = []
    count, newest = 0, ""
    for document in advisories(Path(folder)):
        count += 1
        newest = max(newest, str(document.get("published", "")))
        for affected in document["affected"]:
            package = affected.get("package", {})
            if package.get("ecosystem") != "PyPI":
                continue
            name = canonicalize_name(package["name"])
            for lock, versions in pinned.items():
                if name in versions and concerns(affected, versions[name]):
                    found.append(f"{lock}: {name} {versions[name]}: {document['id']}")
    print("\n".join(found))
    total = len({pair for versions in pinned.values() for pair in versions.items()})
    print(f"{total} pinned versions, {count} advisories up to {newest[:10]}, {len(found)} findings")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
