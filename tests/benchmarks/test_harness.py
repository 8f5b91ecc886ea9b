"""The harness's own parts: ratios, the table, and a contender that cannot run."""

from __future__ import annotations

import importlib

import pytest

from tests.benchmarks.harness import CONTENDERS, Contender, Figure, Row, measure
from tests.benchmarks.rows import ROWS

ROW = Row("a row", Contender("a.py"), Contender("b.py"), 2.0)


def test_ratio_is_pair_by_pair_and_the_median_counts() -> None:
    figure = Figure(ROW, [1.0, 9.0, 3.0], [1.0, 1.0, 2.0])
    assert figure.ratios == [1.0, 9.0, 1.5]
    assert figure.reached
    assert "1.500 (1.000 to 9.000)  wanted <= 2  reached" in figure.line()


def test_more_is_better_where_the_row_says_so() -> None:
    row = Row("a rate", Contender("a.py"), Contender("b.py"), 2.0, "rate", True)
    assert not Figure(row, [3.0], [2.0]).reached
    assert Figure(row, [4.0], [2.0]).reached


def test_floor_is_told_only_where_the_target_is_missed() -> None:
    row = Row("a row", Contender("a.py"), Contender("b.py"), 2.0, floor="physics")
    assert "physics" not in Figure(row, [1.0], [1.0]).line()
    assert Figure(row, [3.0], [1.0]).line().endswith("NOT reached\n    physics")


def test_notes_of_contenders_are_shown_and_written() -> None:
    figure = Figure(ROW, [1.0], [1.0], notes={"load.py: no wrk"})
    assert "no wrk" in figure.line()
    assert figure.document()["notes"] == ["load.py: no wrk"]
    assert figure.document()["ratio"] == 1.0


def test_missing_reference_is_said() -> None:
    row = Row("a row", Contender("a.py", reference=True), Contender("b.py"), 2.0)
    figure = measure(row, None, 2)
    assert "not measured: the references could not be installed" in figure.line()
    assert not figure.reached


def test_a_contender_runs_in_a_process_of_its_own() -> None:
    row = Row(
        "points",
        Contender("points.py", ("100",)),
        Contender("points.py", ("200",)),
        100.0,
    )
    figure = measure(row, None, 2)
    assert figure.missing == ""
    assert len(figure.ratios) == 2


@pytest.mark.parametrize("kind", ["wide", "deep"])
def test_output_of_a_random_graph_depends_on_every_node(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(CONTENDERS))
    recipe = importlib.import_module("graphs").recipe
    leaves, steps = recipe(500, kind)
    assert len(steps) in (500, 501)
    read = {source for _, sources in steps for source in sources}
    assert read == set(range(len(leaves) + len(steps) - 1))
    assert recipe(500, kind) == (leaves, steps)


def test_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
