"""GitHub Classroom's result of an autograding step: JSON in base64.

The reporter adds up the tests' scores for partial credit, and counts passes by status.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from service.grading.formats._format import Failure, Format
from service.grading.report import WORDS, explain, label


def _graded(shown: Mapping[str, Any], problem: str) -> str:
    tests = []
    for kind, member in (("gradient", "nodes"), ("value", "values")):
        for node in shown.get(member, ()):
            if node["max_points"] == 0 and node["verdict"] == "correct":
                continue
            said = explain(node)
            tests.append(
                {
                    "name": label(node, kind),
                    "status": "pass" if node["verdict"] == "correct" else "fail",
                    "score": node["points"],
                    "message": WORDS[node["verdict"]] + (f"\n{said}" if said else ""),
                }
            )
    passed = shown["score"] >= shown["max_score"]
    if not tests:
        status = "pass" if passed else "fail"
        tests = [
            {
                "name": problem,
                "status": status,
                "score": shown["score"],
                "message": shown["message"],
            }
        ]
    return _encoded(
        {
            "version": 1,
            "status": "pass" if passed else "fail",
            "max_score": shown["max_score"],
            "tests": tests,
        }
    )


def _failed(failure: Failure, problem: str) -> str:
    test = {"name": problem, "status": "error", "score": 0, "message": failure.message}
    return _encoded({"version": 1, "status": "error", "max_score": 0, "tests": [test]})


def _encoded(document: Mapping[str, Any]) -> str:
    return base64.b64encode(orjson.dumps(document)).decode("ascii")


FORMAT = Format("github-classroom", _graded, _failed, "text/plain")
