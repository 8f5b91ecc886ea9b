"""What a format is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_SCHEMAS = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no result.

    `cause` "author": the task is wrong; "service": try again; "caller": access, or the form
    of the request. Never the student's: their mistakes are graded.
    """

    detail: str
    cause: Literal["author", "service", "caller"] = "author"
    code: str = ""

    @property
    def message(self) -> str:
        """For the student who sees it."""
        if self.cause == "service":
            return f"The grading service could not grade this now; please try again. ({self.code})"
        return (
            "This could not be graded, and it is not your mistake: please tell the course staff. "
            f"({self.code}: {self.detail})"
        )


@dataclass(frozen=True, slots=True)
class Format:
    """`graded` makes the document of a graded submission, `failed` that of a refusal.

    `graded(shown, problem)` gets the document of `report.shown` and the name of the problem
    (for graders that want one). `media` is the answer's media type.
    """

    name: str
    graded: Callable[[Mapping[str, Any], str], Any]
    failed: Callable[[Failure, str], Any] | None
    media: str = "application/json"

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its documents."""
        path = _SCHEMAS / f"{self.name}.schema.json"
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return document


def share(shown: Mapping[str, Any]) -> float:
    """The score as a number from 0 to 1."""
    most = shown["max_score"]
    return min(1.0, max(0.0, round(shown["score"] / most, 9))) if most else 0.0
