"""Planted mistakes: found where they were made, and called by their names."""

from __future__ import annotations

import pytest

from service.grading.mistakes import TEXTS, WEIGHTS
from tests.grading.circuits import CIRCUITS
from tests.grading.planted import Shares, measure

SMALL = ("product of a sum", "sigmoid neuron", "staged", "add, max and mul", "heavy fan-out")


@pytest.fixture(scope="module")
def all_wires() -> dict[str, Shares]:
    return {name: measure(name) for name in CIRCUITS}


def together(shares: dict[str, Shares]) -> Shares:
    whole = Shares()
    for one in shares.values():
        whole.planted += one.planted
        whole.found += one.found
        whole.first += one.first
        whole.in_first_group += one.in_first_group
        whole.in_any_group += one.in_any_group
        whole.by_code += one.by_code
    return whole


def test_there_are_at_least_twelve_circuits_and_thousands_of_mistakes(
    all_wires: dict[str, Shares],
) -> None:
    assert len(all_wires) >= 12
    assert all(one.planted >= 30 for one in all_wires.values())
    assert together(all_wires).planted >= 2_000


def test_every_mistake_of_the_table_is_planted_somewhere(all_wires: dict[str, Shares]) -> None:
    planted = set(together(all_wires).by_code)
    assert planted == set(TEXTS) == set(WEIGHTS)


def test_the_faulty_wire_is_found(all_wires: dict[str, Shares]) -> None:
    for name, one in all_wires.items():
        assert one.found >= 0.99 * one.planted, f"{name}: {one} {one.missed}"


def test_the_mistake_is_named_in_the_first_group(all_wires: dict[str, Shares]) -> None:
    whole = together(all_wires)
    assert whole.in_first_group >= 0.98 * whole.planted, str(whole)
    assert whole.first >= 0.88 * whole.planted, str(whole)
    for name, one in all_wires.items():
        assert one.in_first_group >= 0.9 * one.planted, f"{name}: {one} {one.missed}"


@pytest.mark.parametrize("name", SMALL)
def test_with_inputs_alone_the_mistake_is_still_among_the_hypotheses(name: str) -> None:
    one = measure(name, leaves_only=True)
    assert one.found >= 0.99 * one.planted, f"{one} {one.missed}"
    assert one.in_any_group >= 0.98 * one.planted
    assert one.in_first_group >= 0.9 * one.planted


@pytest.mark.fuzz
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(CIRCUITS))
@pytest.mark.parametrize("more", [0, 2])
@pytest.mark.parametrize("seed", [7, 8])
def test_every_circuit_at_one_and_at_three_points(name: str, more: int, seed: int) -> None:
    for leaves_only in (False, True):
        one = measure(name, leaves_only=leaves_only, more=more, seed=seed)
        assert one.found >= 0.99 * one.planted, f"{one} {one.missed}"
        assert one.in_first_group >= 0.9 * one.planted, f"{one} {one.missed}"
