"""A part of the cost audit; all of it is `make cost-audit`."""

from __future__ import annotations

from tests.benchmarks.cost_audit import audit, excess, worst

SAMPLE = ["maximum", "concat", "cumulative_prod", "matmul", "softmax", "exp"]


def test_requests_take_what_was_declared_for_them() -> None:
    found = [taken for name in SAMPLE for taken in audit([name], 6.0)]
    print(worst(found))
    assert len(found) > 50
    assert excess(found) == []
