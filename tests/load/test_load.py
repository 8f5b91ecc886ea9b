"""The load test's short and long form."""

from pathlib import Path

import pytest

from tests.load.run import run


@pytest.mark.load
def test_a_short_storm(tmp_path: Path) -> None:
    figures = run(10, clients=8, folder=tmp_path)
    print("\n" + figures.show())
    # Too short for memory to settle, and other tests may share the machine.
    assert figures.faults(memory=False, health=0.25) == []
    assert min(figures.done[name] for name in ("small", "staged", "cycle", "too large")) > 0


@pytest.mark.load
def test_a_storm_that_overfills_the_queue(tmp_path: Path) -> None:
    figures = run(6, clients=24, folder=tmp_path, heavy_queue="2", light_queue="2")
    print("\n" + figures.show())
    assert figures.statuses[503] > 0
    assert figures.wrong == figures.lost == []


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_ten_minutes_at_saturation(tmp_path: Path) -> None:
    figures = run(600, clients=24, folder=tmp_path)
    print("\n" + figures.show())
    assert figures.faults() == []
