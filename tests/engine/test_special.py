"""Special functions against arithmetic of 60 digits, in units in the last place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from service.engine.namespaces import ARRAYS

MP = mpmath.mp.clone()
MP.dps = 60


def log_ndtr(x: Any) -> Any:
    tail = MP.erfc(abs(x) / MP.sqrt(2)) / 2
    return MP.log(tail) if x < 0 else MP.log1p(-tail)


def orders(low: float, high: float, count: int = 150) -> Any:
    return 10.0 ** np.random.default_rng(1).uniform(low, high, count)


def evenly(low: float, high: float, count: int = 150) -> Any:
    return np.random.default_rng(2).uniform(low, high, count)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "attrs", "exact", "points", "bound"),
    [
        (
            "erfinv",
            {},
            MP.erfinv,
            [evenly(-1, 1), 1 - orders(-15, -1, 60), orders(-300, -1, 40)],
            2,
        ),
        ("ndtr", {}, MP.ncdf, [evenly(-37, 9), -orders(-20, 1)], 3),
        ("log_ndtr", {}, log_ndtr, [evenly(-60, 9), -orders(-5, 5), orders(-5, 1)], 4),
        ("lgamma", {}, lambda x: MP.loggamma(x).real, [evenly(0.01, 20), orders(-10, 5)], 6),
        (
            "lgamma",
            {},
            lambda x: MP.loggamma(x).real,
            [1 + orders(-12, -1), 2 - orders(-12, -1)],
            4,
        ),
        ("digamma", {}, MP.digamma, [evenly(0.01, 20), orders(-10, 5)], 10),
        ("digamma", {}, MP.digamma, [1.4616321449683622 + orders(-12, -1)], 6),
        (
            "polygamma",
            {"order": 1},
            lambda x: MP.polygamma(1, x),
            [evenly(-5, 20), orders(-3, 4)],
            8,
        ),
        (
            "polygamma",
            {"order": 3},
            lambda x: MP.polygamma(3, x),
            [evenly(0, 20), orders(-3, 4)],
            12,
        ),
    ],
)
def test_values_are_within_units_in_the_last_place(
    name: str,
    attrs: dict[str, Any],
    exact: Callable[[Any], Any],
    points: Any,
    bound: int,
    dtype: str,
) -> None:
    xs = np.concatenate(points).astype(dtype)
    xs = xs[np.abs(xs) < 1] if name == "erfinv" else xs
    found = getattr(ARRAYS, name)(xs, **attrs)
    assert found.dtype == dtype
    info = np.finfo(dtype)
    for x, y in zip(xs, found, strict=True):
        wanted = exact(MP.mpf(float(x)))
        if abs(wanted) < info.max and abs(wanted) > info.tiny:
            unit = float(np.spacing(np.abs(np.asarray(float(wanted), dtype))))
            assert abs(MP.mpf(float(y)) - wanted) <= bound * unit, (x, y, wanted)


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("erfinv", 1.0, np.inf), ("erfinv", -1.0, -np.inf), ("erfinv", 1.5, np.nan),
        ("erfinv", -0.0, -0.0),
        ("ndtr", -np.inf, 0.0), ("ndtr", np.inf, 1.0), ("ndtr", 0.0, 0.5),
        ("log_ndtr", -np.inf, -np.inf), ("log_ndtr", np.inf, -0.0),
        ("lgamma", 0.0, np.inf), ("lgamma", -3.0, np.inf), ("lgamma", 1.0, 0.0),
        ("lgamma", 2.0, 0.0), ("lgamma", np.inf, np.inf),
        ("digamma", -2.0, np.nan), ("digamma", np.inf, np.inf),
    ],
)  # fmt: skip
def test_values_at_ends_and_poles(name: str, x: float, expected: float) -> None:
    found = getattr(ARRAYS, name)(np.array([x]))
    np.testing.assert_array_equal(found, [expected])
    assert np.signbit(found[0]) == np.signbit(expected) or np.isnan(expected)
