"""Values, gradients and second derivatives keep their digits at every registered scale."""

from __future__ import annotations

import numpy as np
import pytest

from service.engine.registry import Operator
from tests.engine.drawing import GATES
from tests.engine.scaled import errors, scaled_examples, scales_of

BOUNDS = (16.0, 64.0, 64.0)
"""Units in the last place, counted with what the last digits of the inputs are worth."""

CASES = [
    pytest.param(op, scale, id=f"{op.name}-{scale}") for op in GATES for scale in scales_of(op)
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("op", "scale"), CASES)
def test_digits_are_kept(op: Operator, scale: str, dtype: str) -> None:
    for example in scaled_examples(op):
        with np.errstate(all="ignore"):
            found = errors(op, example, scale, 1, dtype)
        for what, bound, one in zip(("value", "gradient", "second"), BOUNDS, found, strict=False):
            assert one.conditioned <= bound, f"{what} of {dict(example.attrs)} {one.where}"


def test_every_kind_of_scale_is_registered_somewhere() -> None:
    seen = {scale for op in GATES for scale in scales_of(op)}
    assert seen == {"reach", "near", "size", "rows", "columns", "both", "offset"}
