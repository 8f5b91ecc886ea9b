"""Tolerances as people know them, and the traps in them."""

from __future__ import annotations

import numpy as np
import pytest

from service.grading.tolerance import METRICS, Tolerance


@pytest.mark.parametrize("metric", METRICS)
def test_equal_tensors_are_equal_by_every_metric(metric: str) -> None:
    for value in (0.0, 1.5, np.zeros(3), np.array([[1e-12, -3.0], [2e9, 0.0]])):
        assert Tolerance(metric).figure(value, value) == 0.0
        assert Tolerance(metric).equal(value, value)


@pytest.mark.parametrize("metric", METRICS)
def test_a_turned_sign_is_not_equal_by_any_metric(metric: str) -> None:
    assert not Tolerance(metric).equal(np.array([1.0, 2.0]), np.array([1.0, -2.0]))


def test_the_default_is_not_fooled_by_small_gradients_as_allclose_is() -> None:
    assert np.allclose(1e-9, 5e-9)
    assert Tolerance("allclose").equal(1e-9, 5e-9)
    assert not Tolerance("analytic").equal(1e-9, 5e-9)


def test_the_two_cs231n_metrics_are_up_to_a_factor_of_two_apart() -> None:
    notebook = Tolerance("cs231n").figure(1.0, 1.1)
    prose = Tolerance("cs231n_prose").figure(1.0, 1.1)
    assert notebook == pytest.approx(0.1 / 2.1)
    assert prose == pytest.approx(0.1 / 1.1)


def test_the_norm_metric_weighs_all_elements_together() -> None:
    x, t = np.array([3.0, 4.0]), np.array([3.0, 4.0 + 1e-3])
    expected = 1e-3 / (np.linalg.norm(x) + np.linalg.norm(t))
    assert Tolerance("norm").figure(x, t) == pytest.approx(expected)


@pytest.mark.parametrize(("given", "equal"), [(0.2, True), (0.19, False), (0.21, False)])
def test_rounding_accepts_what_rounds_to_the_same_number(given: float, equal: bool) -> None:
    assert Tolerance("rounding", decimals=2).equal(given, 0.196611933) is equal


def test_rounding_by_figures_follows_the_size_of_the_number() -> None:
    figures = Tolerance("rounding", figures=3)
    assert figures.equal(0.00123, 0.0012345)
    assert not figures.equal(0.00122, 0.0012345)
    assert figures.equal(123_000, 123_450.0)


def test_what_is_not_finite_equals_only_the_same() -> None:
    tolerance = Tolerance()
    assert tolerance.equal(np.nan, np.nan)
    assert tolerance.equal(np.inf, np.inf)
    assert not tolerance.equal(np.inf, -np.inf)
    assert not tolerance.equal(np.nan, 1.0)
    assert not tolerance.equal(1.0, np.nan)


def test_noise_covers_what_is_left_when_large_numbers_cancel() -> None:
    tolerance = Tolerance()
    assert not tolerance.equal(1e-17, 0.0)
    assert tolerance.equal(1e-17, 0.0, noise=tolerance.noise(1.0))


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="no metric"):
        Tolerance("close enough")
