"""Numbers that are not finite go through every operator: nothing raises, warns or hangs.

The runs are a process of their own, since a LAPACK routine that never comes back keeps the
interpreter's lock, and no clock inside could stop it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

from service.engine.compute import document_names, forward, gradient
from service.engine.errors import EngineError
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for
from service.engine.registry import Example, Operator
from service.engine.run.batch import batch, batch_gradient
from tests.engine.drawing import GATES, draw, examples, graph_of

SECONDS = 100
BAD = (np.nan, np.inf, -np.inf)


def runs(op: Operator, example: Example) -> list[str]:
    """What went wrong with bad numbers in each floating input of the operator."""
    wrong = []
    drawn = [np.asarray(x) for x in draw(op, example, seed=5)]
    graph = graph_of(op, example, drawn)
    for place, whole in enumerate(drawn):
        for bad in BAD if whole.dtype.kind == "f" and whole.size else ():
            arrays = [x.copy() for x in drawn]
            arrays[place].flat[0] = bad
            inputs: dict[str, Any] = {
                f"x{i}": x if x.ndim or x.dtype.kind != "f" else float(x)
                for i, x in enumerate(arrays)
            }
            program = program_for(graph, inputs)
            try:
                forward(program, inputs)
                both = batch(graph, {name: np.stack([x, x]) for name, x in inputs.items()}, True)
                for name, _ in document_names(program)[len(inputs) :]:
                    spec = program.spec(name)
                    if spec.floating and op.differentiable:
                        ones = np.ones(spec.shape)
                        gradient(program, inputs, output=name, cotangent=ones)
                        batch_gradient(both, output=name, cotangent=ones)
            except (EngineError, ArithmeticError, ValueError, Warning, np.linalg.LinAlgError) as e:
                wrong.append(f"{op.name} {example.shapes} {bad} in {place}: {e!r}")
    return wrong


def test_every_operator_takes_numbers_that_are_not_finite() -> None:
    found = subprocess.run(
        [sys.executable, "-m", __name__], capture_output=True, text=True, timeout=SECONDS
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert json.loads(found.stdout) == []


@pytest.mark.parametrize("text", ["u, s, v = svd(x)\nf = sum(s)", "w, v = eigh(x)\nf = sum(w)"])
def test_a_batch_goes_on_beside_a_matrix_that_is_not_finite(text: str) -> None:
    x = np.stack([np.diag([1.0, 2.0, 3.0]), np.diag([1.0, np.nan, 3.0])])
    found = batch_gradient(batch(resolve(parse_expression(text)), {"x": x}, True))
    np.testing.assert_allclose(found.value, [6.0, np.nan])
    np.testing.assert_allclose(found.gradients["x"][0], np.eye(3), atol=1e-12)
    assert np.isnan(found.gradients["x"][1]).all()


if __name__ == "__main__":
    warnings.simplefilter("error")
    calls = [(op, example) for op in GATES for example in examples(op)]
    print(json.dumps([line for call in calls for line in runs(*call)]))
