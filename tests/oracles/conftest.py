"""The counts of what was compared and skipped, at the end of the run."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    from tests.oracles.comparing import COUNTED

    if not COUNTED:
        return
    terminalreporter.section("compared with other people's answers")
    for line, count in sorted(COUNTED.items()):
        terminalreporter.write_line(f"{count:6d}  {line}")
