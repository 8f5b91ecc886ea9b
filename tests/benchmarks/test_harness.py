"""The harness's own parts: ratios, the table, and a contender that cannot run."""

from __future__ import annotations

from tests.benchmarks.harness import Contender, Figure, Row, measure
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
    figure = measure(row, None, 1)
    assert figure.missing == ""
    assert len(figure.ratios) == 1


def test_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
