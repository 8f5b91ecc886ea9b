"""Numbers as the note writes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.diagrams.numbers import number, tensor
from service.diagrams.text import split_name


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (3.0, "3.00"),
        (-0.5345, "-0.53"),
        (0.0, "0.00"),
        (0.05, "0.05"),
        (0.0356, "0.036"),
        (0.00312, "0.0031"),
        (1.234e-5, "1.2e-5"),
        (123456.7, "1.2e5"),
        (-1536.0, "-1536.00"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "NaN"),
        (True, "true"),
        (7, "7"),
    ],
)
def test_numbers_are_short_and_tell_enough(x: float, text: str) -> None:
    assert number(x) == text


def test_small_tensors_are_written_out_and_large_ones_by_their_norm() -> None:
    assert tensor(np.array([1.0, 2.0])) == "[1.00, 2.00]"
    assert tensor(np.array([[3.0, 0.0], [0.0, 4.0]])) == "‖5.00‖"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("w0", ("w", "0")),
        ("x_12", ("x", "12")),
        ("W_in", ("W", "in")),
        ("dot", ("dot", "")),
        ("w0x", ("w0x", "")),
        ("learning_rate", ("learning_rate", "")),
    ],
)
def test_names_have_subscripts(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts
