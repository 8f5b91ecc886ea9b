"""The service's own format: the document as it is. A refusal is a problem document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.grading.formats._format import Format


def _graded(shown: Mapping[str, Any], problem: str) -> Mapping[str, Any]:
    return shown


FORMAT = Format("native", _graded, None)
