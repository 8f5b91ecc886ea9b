"""The same result as each grader wants it; a refusal as a document of the same kind.

A script that is a bare `curl … > results.json` has to end up with a valid file when the
request was refused, so every format but the native one has its own failing document.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.grading.formats import (
    autolab,
    coursera,
    github_classroom,
    gradescope,
    native,
    prairielearn,
)
from service.grading.formats._format import Failure, Format

FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        native.FORMAT,
        gradescope.FORMAT,
        prairielearn.FORMAT,
        autolab.FORMAT,
        coursera.FORMAT,
        github_classroom.FORMAT,
    )
}
"""Every format by the name that `?format=` takes."""

__all__ = ["FORMATS", "Failure", "Format"]
