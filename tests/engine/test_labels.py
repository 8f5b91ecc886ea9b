"""Losses with labels: what is no label is refused in the loss's own name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.engine.compute import forward, gradient
from service.engine.errors import GraphError
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for
from service.engine.run.batch import batch, batch_gradient
from tests.engine.graphs import graph_from, leaf, node

ROWS = np.array([[0.5, -1.0, 2.0], [1.5, 0.0, -0.5], [0.0, 3.0, 1.0]])
LOSSES = ["cross_entropy", "nll", "hinge"]


def loss(op: str, labels: Any, **attrs: Any) -> Any:
    """Value and gradient of a loss of ROWS."""
    graph = graph_from([leaf("x"), leaf("t"), node("loss", op, "x", "t", **attrs)])
    given = {"x": ROWS, "t": np.asarray(labels)}
    return gradient(program_for(graph, given), given, wrt=["x"], cotangent=attrs.get("g"))


@pytest.mark.parametrize("op", LOSSES)
@pytest.mark.parametrize(
    "labels", [[0, 1, -1], [0, 1, 3], [0, 0.5, 1], [-100, 0, 1], [0, 1, math.nan]]
)
def test_what_is_no_label_is_refused_by_the_loss(op: str, labels: Any) -> None:
    with pytest.raises(GraphError) as caught:
        loss(op, labels)
    (fault,) = caught.value.faults
    assert (fault.node, fault.op, fault.pointer, fault.code) == ("loss", op, "/nodes/2", "dtype")
    assert fault.detail == f"{op} 'loss': labels must be integers from 0 to 2"


def test_in_source_text_the_place_is_line_and_column() -> None:
    graph = resolve(parse_expression("a = x * 2\ncross_entropy(a, t)"))
    given = {"x": ROWS, "t": np.array([0, 1, 7])}
    with pytest.raises(GraphError) as caught:
        forward(program_for(graph, given), given)
    (fault,) = caught.value.faults
    assert (fault.op, fault.line, fault.pointer) == ("cross_entropy", 2, "/expression")


def test_in_a_batch_the_point_is_named() -> None:
    graph = graph_from([leaf("x"), leaf("t"), node("loss", "cross_entropy", "x", "t")])
    given = {"x": ROWS, "t": np.array([0, 1, -1])}
    with pytest.raises(GraphError) as caught:
        batch_gradient(batch(graph, given, ("x", "t")))
    assert caught.value.faults[0].detail.startswith("at point 2: cross_entropy 'loss'")


def logs() -> Any:
    return ROWS - np.log(np.exp(ROWS).sum(axis=1, keepdims=True))


def test_an_ignored_label_counts_for_nothing() -> None:
    found = loss("cross_entropy", [0, -100, 2], ignore_index=-100)
    assert float(found.value) == pytest.approx(-(logs()[0, 0] + logs()[2, 2]) / 2)
    assert not found.gradients["x"][1].any()
    assert float(loss("nll", [0, 1, 1], ignore_index=1).value) == -0.5


def test_a_mean_with_weights_is_a_weighted_one() -> None:
    weight = [1.0, 2.0, 5.0]
    found = loss("cross_entropy", [0, 1, 2], weight=weight)
    terms = -np.diag(logs()) * weight
    assert float(found.value) == pytest.approx(terms.sum() / 8.0)
    with pytest.raises(GraphError, match="2 weights for 3 classes"):
        loss("cross_entropy", [0, 1, 2], weight=[1.0, 2.0])


def test_smoothing_spreads_a_share_over_all_classes() -> None:
    found = loss("cross_entropy", [0, 1, 2], label_smoothing=0.3)
    target = 0.7 * np.eye(3) + 0.1
    assert float(found.value) == pytest.approx(-(target * logs()).sum() / 3)
    with pytest.raises(GraphError, match="at most 1"):
        loss("cross_entropy", [0, 1, 2], label_smoothing=1.5)
