"""Coursera's `feedback.json` of a custom grader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.grading.formats._format import Failure, Format, share
from service.grading.report import feedback


def _graded(shown: Mapping[str, Any], problem: str) -> dict[str, Any]:
    return {
        "fractionalScore": share(shown),
        "feedback": feedback(shown),
        "feedbackType": "TXT",
    }


def _failed(failure: Failure, problem: str) -> dict[str, Any]:
    return {"fractionalScore": 0, "feedback": failure.message, "feedbackType": "TXT"}


FORMAT = Format("coursera", _graded, _failed)
