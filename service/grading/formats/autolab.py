"""Autolab's scores: one compact line of JSON, the last one of the grader's output.

The name of the problem has to be exactly that of the assessment: `?problem=` sets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.grading.formats._format import Failure, Format


def _graded(shown: Mapping[str, Any], problem: str) -> dict[str, Any]:
    return {"scores": {problem: shown["score"]}}


def _failed(failure: Failure, problem: str) -> dict[str, Any]:
    return {"scores": {problem: 0}}


FORMAT = Format("autolab", _graded, _failed)
