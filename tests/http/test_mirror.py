"""Every module of service.http has its file of tests."""

from __future__ import annotations

from pathlib import Path

import service.http

HERE = Path(__file__).parent
TYPES = {"asgi", "prepared", "request_context"}
"""They hold values and do nothing."""


def test_each_module_has_its_tests() -> None:
    modules = {file.stem for file in Path(service.http.__file__).parent.glob("[!_]*.py")}
    tested = {file.stem.removeprefix("test_") for file in HERE.glob("test_*.py")}
    assert modules - tested == TYPES
