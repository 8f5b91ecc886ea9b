"""Hold the pinned dependencies to advisories: `audit.py FOLDER LOCK...`, `audit.py index LOCK...`.

FOLDER is a copy of the Python Packaging Authority's advisory-database, or any folder of
documents in the OSV format (YAML or JSON), for where the package index can't be asked.
`index` asks the index for each package: a mirror may have the advisories of the latest
release alone, which is enough for a pin that is the latest. What could not be looked up
counts as a failure.
Source of the format: https://ossf.github.io/osv-schema/
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pip._internal.models.index import PyPI  # the address, as pip knows it

Pin = tuple[str, str]
"""The name and version of a package."""
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


def in_folder(folder: Path, versions: set[Pin]) -> tuple[list[str], str]:
    """The findings, and what they rest on."""
    pinned = dict.fromkeys(name for name, _ in versions)
    found = []
    count, newest = 0, ""
    for document in advisories(folder):
        count += 1
        newest = max(newest, str(document.get("published", "")))
        for affected in document["affected"]:
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") == "PyPI" and name in pinned:
                found += [
                    f"{name} {version}: {document['id']}"
                    for other, version in sorted(versions)
                    if other == name and concerns(affected, version)
                ]
    if not count:
        found.append("no advisories: nothing was audited")
    return found, f"{count} advisories up to {newest[:10]}"


def in_index(versions: set[Pin]) -> tuple[list[str], str]:
    """The same from the package index."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(_asked, sorted(versions)))
    return [line for lines in answers for line in lines], "the advisories of the package index"


def _asked(pin: Pin) -> list[str]:
    name, version = pin
    for path in (f"{name}/{version}", name):
        try:
            with urllib.request.urlopen(f"{PyPI.pypi_url}/{path}/json", timeout=30) as answer:
                document = json.load(answer)
        except (OSError, ValueError):
            continue
        if document["info"]["version"] == version:
            listed = document["vulnerabilities"]
            return [f"{name} {version}: {one['id']}" for one in listed if not one.get("withdrawn")]
    return [f"{name} {version}: could not be looked up"]


def main(source: str, *locks: str) -> int:
    """Print what was found; 1 for a finding, or where there was nothing to look into."""
    versions = {pin for lock in locks for pin in pins(Path(lock).read_text()).items()}
    found, basis = in_index(versions) if source == "index" else in_folder(Path(source), versions)
    print("\n".join([*found, f"{len(versions)} pinned versions, {basis}, {len(found)} findings"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
