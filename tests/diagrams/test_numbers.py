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
        (3.0, "3"),
        (-0.5345, "−0.534"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.05, "0.05"),
        (0.59, "0.59"),
        (0.5901, "0.590"),
        (0.0356, "0.0356"),
        (0.00312, "0.00312"),
        (9.996, "10.0"),
        (99_999.4, "99999"),
        (12_345.678, "12346"),
        (1e-3, "0.001"),
        (1.234e-5, "1.2·10⁻⁵"),
        (1e-12, "1·10⁻¹²"),
        (123456.7, "1.2·10⁵"),
        (-1536.0, "−1536"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "NaN"),
        (True, "true"),
        (7, "7"),
        (np.int64(-3), "−3"),
    ],
)
def test_numbers_are_short_and_tell_enough(x: float, text: str) -> None:
    assert number(x) == text


def test_small_tensors_are_written_out_and_large_ones_by_their_norm() -> None:
    assert tensor(np.array([1.0, 2.0])) == "[1, 2]"
    assert tensor(np.array([[3.0, 0.0], [0.0, 4.0]])) == "‖5‖"


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
