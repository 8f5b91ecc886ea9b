"""Cross-entropy and nll with all their attributes, against torch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from service.engine.run.forward import run
from tests.oracles.comparing import eager_gradients, operator_code

pytestmark = pytest.mark.oracle

CASES = [
    case
    for case in itertools.product(
        ("cross_entropy", "nll"),
        ("mean", "sum", "none"),
        (None, [0.5, 1.0, 2.5, 0.0]),
        (None, -100, 1),
        (0.0, 0.2, 1.0),
        (False, True),
    )
    if case[0] == "cross_entropy" or not (case[4] or case[5])  # nll takes neither
]


@pytest.mark.parametrize(("op", "reduction", "weight", "ignored", "smoothing", "soft"), CASES)
def test_losses_are_those_of_torch(
    op: str, reduction: str, weight: Any, ignored: int | None, smoothing: float, soft: bool
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 4))
    labels: Any = rng.integers(0, 4, 6)
    attrs: dict[str, Any] = {"reduction": reduction, "weight": weight}
    more: dict[str, Any] = {
        "reduction": reduction,
        "weight": None if weight is None else torch.tensor(weight, dtype=torch.float64),
    }
    if soft:
        labels = rng.dirichlet(np.ones(4), 6)
    elif ignored is not None:
        labels[2] = labels[4] = ignored
        attrs["ignore_index"] = more["ignore_index"] = ignored
    if op == "cross_entropy":
        attrs["label_smoothing"] = more["label_smoothing"] = smoothing
    code, leaves, (slot,) = operator_code(op, [x, labels], attrs)
    value = np.asarray(run(code, leaves)[slot])
    weights = rng.normal(size=value.shape)
    slopes = eager_gradients(code, leaves, {slot: weights[()]})
    function = (
        torch.nn.functional.cross_entropy if op == "cross_entropy" else torch.nn.functional.nll_loss
    )
    tensor = torch.tensor(x, requires_grad=True)
    theirs = function(tensor, torch.tensor(labels), **more)
    theirs.backward(torch.tensor(weights))
    np.testing.assert_allclose(value, theirs.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slopes["x0"], tensor.grad.numpy(), rtol=1e-11, atol=1e-14)
