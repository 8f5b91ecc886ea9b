"""What the guide says is so."""

from __future__ import annotations

import json
import re
from typing import get_args

from service.grading.diagnosis.words import MORE_TEXTS
from service.grading.formats import FORMATS
from service.grading.mistakes import TEXTS
from service.grading.task import Verdict
from service.grading.tolerance import METRICS
from service.routes.grade import Grading
from service.wire.context import Context
from service.wire.grading import GradeResponse, TaskModel
from tests.serving import ROOT

FOLDER = ROOT / "openapi" / "examples" / "grading"
GUIDE = (ROOT / "docs" / "grading.md").read_text("utf-8")


def test_the_example_gives_its_answer() -> None:
    body = (FOLDER / "sign.request.json").read_bytes()
    answer = json.loads(Grading().parse(body, Context(), True).execute(None))
    assert answer == json.loads((FOLDER / "sign.response.json").read_text("utf-8"))
    GradeResponse.model_validate(answer)


def test_every_code_verdict_metric_format_and_member_is_in_the_guide() -> None:
    named = set(re.findall(r"`([\w-]+)`", GUIDE))
    assert set(TEXTS) | set(MORE_TEXTS) <= named
    assert set(get_args(Verdict)) <= named
    assert set(METRICS) <= named
    assert set(FORMATS) <= named
    assert set(TaskModel.model_fields) <= named


def test_the_texts_are_for_students() -> None:
    for code, text in {**TEXTS, **MORE_TEXTS}.items():
        filled = text.format(wire="x", gate="g", op="mul", place="it feeds 'g'", digits="3 are")
        assert filled.endswith((".", "?", ")")), code
        assert len(filled) < 420, code
        assert "{" not in filled, code
