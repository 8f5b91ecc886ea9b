"""What holds for every test: with --no-skips, as in CI, a skipped test is a failure."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# These need libraries that only their own environment has (make test-oracles, test-cluster).
APART = {"oracle": ("oracles", "torch"), "cluster": ("cluster", "ray")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="count a skipped test as failed")
    parser.addoption(
        "--models-alone",
        action="store_true",
        help="read every body by the models, with the quick reader out of use",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Put the quick reader out of use where that is asked for."""
    if config.getoption("--models-alone"):
        from service.wire import decode

        decode.QUICK = False


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out folders whose library isn't here, unless their tests were asked for."""
    wanted = str(config.getoption("markexpr") or "")
    for marker, (folder, library) in APART.items():
        asked = marker in wanted and f"not {marker}" not in wanted
        if collection_path == HERE / folder and not asked:
            return True if importlib.util.find_spec(library) is None else None
    return None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.getoption("--no-skips") or reporter is None:
        return
    if reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("\nfailed: tests were skipped, and --no-skips is set", red=True)
