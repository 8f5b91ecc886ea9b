"""Drawn inputs are exactly what NumPy draws."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from service.grading.draw import BadDraw, draw


def test_a_normal_draw_is_that_of_the_documented_generator() -> None:
    drawn = draw("x", {"dist": "normal", "shape": [4, 3], "seed": 231}, 0)
    assert np.array_equal(drawn, np.random.default_rng(231).normal(0.0, 1.0, (4, 3)))


def test_uniform_and_integers() -> None:
    uniform = draw("x", {"dist": "uniform", "low": -1, "high": 3, "shape": [5], "seed": 1}, 0)
    assert np.array_equal(uniform, np.random.default_rng(1).uniform(-1, 3, 5))
    integers = draw("y", {"dist": "integers", "high": 10, "shape": [5], "seed": 1}, 0)
    assert np.array_equal(integers, np.random.default_rng(1).integers(0, 10, 5))
    assert integers.dtype == np.int64


def test_the_legacy_generator_is_what_np_random_seed_sets_up() -> None:
    drawn = draw("x", {"dist": "normal", "shape": [3], "seed": 231, "generator": "mt19937"}, 0)
    assert np.array_equal(drawn, np.random.RandomState(231).normal(0, 1, 3))


def test_without_a_seed_it_depends_on_the_task_and_the_name() -> None:
    wanted = {"dist": "normal", "shape": [3]}
    expected = np.random.default_rng([9, zlib.crc32(b"x")]).normal(0, 1, 3)
    assert np.array_equal(draw("x", wanted, 9), expected)
    assert not np.array_equal(draw("y", wanted, 9), expected)
    assert not np.array_equal(draw("x", wanted, 8), expected)


@pytest.mark.parametrize(
    "wanted",
    [
        {"dist": "cauchy"},
        {"dist": "normal", "shape": [-1]},
        {"dist": "normal", "shape": [10**9, 10**9]},
        {"dist": "normal", "shape": "3"},
        {"dist": "normal", "seed": -1},
        {"dist": "normal", "seed": True},
        {"dist": "normal", "scale": -1.0},
        {"dist": "uniform", "low": 2, "high": 1},
        {"dist": "integers", "low": 0.5, "high": 2},
        {"dist": "normal", "generator": "xorshift"},
        {"dist": "normal", "sead": 3},
        {"dist": "normal", "loc": float("inf")},
    ],
)
def test_a_draw_that_is_written_wrong_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(BadDraw):
        draw("x", wanted, 0)
