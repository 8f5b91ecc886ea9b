"""Answers held to the OpenAPI document: which statuses it lists, and which were seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "openapi" / "openapi.json").read_text("utf-8"))

HUNG_UP = 499
"""What the log says where the client went away: nobody got an answer."""

Seen = tuple[str, str, int]
"""A method, a path and the status that it answered with."""

_PATHS = [
    (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + r"\Z"), operations)
    for path, operations in sorted(DOCUMENT["paths"].items(), key=lambda item: "{" in item[0])
]


def undocumented(seen: Iterable[Seen]) -> set[Seen]:
    """Those statuses that the document doesn't list.

    What any server may answer to a request that isn't one of the document's operations
    (an unknown path, a method that a path hasn't, bytes that aren't HTTP) is no part of it.
    """
    return {one for one in seen if not _listed(*one)}


def _listed(method: str, path: str, status: int) -> bool:
    for pattern, operations in _PATHS:
        if pattern.match(path.partition("?")[0]):
            if method.lower() not in operations:
                return status in {400, 401, 403, 405, 429, 431}
            return str(status) in operations[method.lower()]["responses"] or status == 431
    return True


def logged(log: str) -> set[Seen]:
    """Every method, path and status in the log of a server."""
    found = set()
    for line in log.splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        if entry.get("event") == "request" and entry.get("status") not in (None, HUNG_UP):
            found.add((entry["method"], entry["path"], entry["status"]))
    return found
