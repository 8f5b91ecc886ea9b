"""Gradescope's `results.json` (also Otter's).

Points are those of the rubric: make the assignment's autograder points the task's
`max_score`. There is no `execution_time`: the same submission gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.grading.formats._format import Failure, Format
from service.grading.report import WORDS, explain, label


def _graded(shown: Mapping[str, Any], problem: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "score": shown["score"],
        "output": "\n".join([shown["message"], *shown.get("notes", ())]),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"max_score": shown["max_score"]},
    }
    tests: list[dict[str, Any]] = []
    for kind, member in (("gradient", "nodes"), ("value", "values")):
        for node in shown.get(member, ()):
            if node["max_points"] == 0 and node["verdict"] == "correct":
                continue
            said = explain(node)
            tests.append(
                {
                    "name": label(node, kind),
                    "number": str(len(tests) + 1),
                    "score": node["points"],
                    "max_score": node["max_points"],
                    "status": "passed" if node["verdict"] == "correct" else "failed",
                    "output": WORDS[node["verdict"]] + (f"\n{said}" if said else ""),
                    "output_format": "text",
                    "tags": [node["verdict"]],
                    "visibility": "visible",
                    "extra_data": {"codes": [one["code"] for one in node.get("diagnoses", ())]},
                }
            )
    if tests:
        document["tests"] = tests
    return document


def _failed(failure: Failure, problem: str) -> dict[str, Any]:
    return {
        "score": 0,
        "output": failure.message,
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"refused": failure.code},
        "tests": [],
    }


FORMAT = Format("gradescope", _graded, _failed)
