"""A batch shares the truth of its task: what that is worth."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from service.grading.circuit import Pass
from service.grading.formats import FORMATS
from service.grading.truth import Truth
from service.routes._grading import find_truth, graded, rendered
from service.wire.context import Context, recent_graphs
from service.wire.grading import parse_grading

COUNT = 300


def circuit() -> tuple[dict[str, Any], list[str]]:
    """A task of thirty named scalar nodes, and their names."""
    rng = np.random.default_rng(0)
    lines = ["v0 = x0 * x1"]
    names = ["x0", "x1", "x2", "x3", "v0"]
    for number in range(1, 26):
        a, b = rng.choice(names, 2)
        gate = (f"{a} * {b}", f"{a} + v{number - 1}", f"sigmoid({a})", f"tanh(v{number - 1})")
        lines.append(f"v{number} = {gate[number % 4]}")
        names.append(f"v{number}")
    lines.append("f = v25 * (x0 + x1 + x2 + x3) + " + " + ".join(f"v{n}" for n in range(1, 25)))
    inputs = {f"x{n}": float(rng.uniform(0.3, 1.2)) for n in range(4)}
    return {"graph": {"expression": "\n".join(lines)}, "inputs": inputs}, names


def submissions(truth: Truth, names: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """All gradients right; the same with a sign turned in the middle, carried on."""
    point = truth.points[0]
    wrong = Pass(truth.circuit, point.values, {"v12": -point.gradients["v12"]}).held

    def document(held: dict[str, Any]) -> dict[str, Any]:
        return {"id": "s", "gradients": {name: float(held[name]) for name in names}}

    return document(point.gradients), document(wrong)


def seconds(work: Callable[[], object]) -> float:
    """The processor's time, the least of three: other programs don't count."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def test_three_hundred_submissions_share_their_truth() -> None:
    task, names = circuit()
    context = Context(graphs=recent_graphs(0, 0))
    truth, reveal = find_truth(task, context)
    native = FORMATS["native"]
    figures = {}
    for label, given in zip(("right", "wrong"), submissions(truth, names), strict=True):
        body = json.dumps({**task, "submission": given}).encode()
        whole = json.dumps({**task, "submissions": [given] * COUNT}).encode()

        def alone(body: bytes = body) -> None:
            """A request as a service without a memory would answer it."""
            document = parse_grading(body, 64)
            fresh = Truth(_task(document, context))
            rendered(graded(fresh, reveal, document["submission"], context), native, "p")

        def together(whole: bytes = whole) -> None:
            document = parse_grading(whole, 64)
            fresh = Truth(_task(document, context))
            for one in document["submissions"]:
                rendered(graded(fresh, reveal, one, context), native, "p")

        figures[label] = COUNT * seconds(alone) / seconds(together)
    print(f"a batch of {COUNT} is faster than single requests by {figures}")
    # What a diagnosis finds for one submission serves all that hold the same numbers.
    assert figures["right"] > 12
    assert figures["wrong"] > 12


def _task(document: dict[str, Any], context: Context) -> Any:
    from service.wire.grading import read_task, task_part

    return read_task(task_part(document), context)
