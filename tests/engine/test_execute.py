"""What follows from constants alone is computed once, within a bound, with the same answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine.compute import gradient
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import Program, program_for
from service.engine.run import execute, forward, native

TEXT = (
    "t = np.linspace(-1.0, 1.0, 3000)\nw = np.exp(t) * t ** 3.0\nk = np.argmax(w)\n"
    "y = np.sum(x * w) + np.sum(w) * x[0] + np.sum(w[::7] ** 2.0)"
)


def program() -> Program:
    return program_for(resolve(parse_expression(TEXT)), {"x": np.ones(3000)})


@pytest.fixture(autouse=True)
def _by_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "installed", lambda: False)


def test_constants_are_computed_at_the_first_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    function = forward.ARRAYS.function

    def counted(op: Any) -> Any:
        ran.append(op.name)
        return function(op)

    monkeypatch.setattr(type(forward.ARRAYS), "function", lambda _, op: counted(op))
    made, inputs = program(), {"x": np.linspace(0.0, 1.0, 3000)}
    first = gradient(made, inputs)
    assert {"exp", "pow", "argmax"} <= set(ran)
    ran.clear()
    again = gradient(made, inputs)
    assert not {"exp", "pow", "argmax"} & set(ran)
    assert "multiply" in ran
    assert repr(again) == repr(first)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    made = program()
    whole = execute.foldable(made.code)
    monkeypatch.setattr(execute, "MOST_FOLDED_BYTES", 50_000)
    some = execute.foldable(made.code)
    assert some == whole[: len(some)]
    assert 0 < len(some) < len(whole)
    assert sum(made.code.steps[slot].spec.nbytes for slot in some) <= 50_000
    inputs = {"x": np.linspace(0.0, 1.0, 3000)}
    assert repr(gradient(made, inputs)) == repr(gradient(program(), inputs))
