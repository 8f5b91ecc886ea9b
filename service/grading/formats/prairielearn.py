"""PrairieLearn's `results.json` of an external grader.

What can't be graded (no part of a submission can be read, or the request was refused) is
`gradable: false`, which costs a student no attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.grading.formats._format import Failure, Format, share
from service.grading.report import WORDS, explain, label


def _graded(shown: Mapping[str, Any], problem: str) -> dict[str, Any]:
    if "reason" in shown:
        return _ungradable(str(shown["reason"]))
    document: dict[str, Any] = {
        "gradable": True,
        "score": share(shown),
        "message": shown["message"],
    }
    if shown.get("notes"):
        document["output"] = "\n".join(shown["notes"])
    tests = []
    for kind, member in (("gradient", "nodes"), ("value", "values")):
        for node in shown.get(member, ()):
            if node["max_points"] == 0 and node["verdict"] == "correct":
                continue
            tests.append(
                {
                    "name": label(node, kind),
                    "points": node["points"],
                    "max_points": node["max_points"],
                    "message": WORDS[node["verdict"]],
                    "output": explain(node),
                }
            )
    if tests:
        document["tests"] = tests
    return document


def _ungradable(reason: str) -> dict[str, Any]:
    return {"gradable": False, "format_errors": [reason], "message": reason}


def _failed(failure: Failure, problem: str) -> dict[str, Any]:
    return _ungradable(failure.message)


FORMAT = Format("prairielearn", _graded, _failed)
