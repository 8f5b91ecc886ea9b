"""Who may ask."""

from __future__ import annotations

import pytest

from service.http.policy import Policy
from service.settings import SCOPES


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_is_asked_of_a_key(scope: str) -> None:
    assert Policy(scope).scope == scope  # type: ignore[arg-type]


def test_any_key_will_do_where_nothing_is_said() -> None:
    assert Policy().access == "any key"
    assert Policy().scope is None
    assert Policy("open").scope is None
