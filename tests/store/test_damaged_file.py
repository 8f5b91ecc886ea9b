"""A database file that is deleted, damaged or replaced while the service runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from service.store import StoreUnavailable, canonical_json
from service.store.database import DatabaseStore
from tests.routes.calling import Caller

TEXT = canonical_json({"expression": "x * y"})


def gone(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = [gone, garbage, cut_short]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def filled(path: Path) -> DatabaseStore:
    store = DatabaseStore(f"sqlite:///{path}")
    store.put_graph(TEXT, "kept")
    store.close()  # the log is written into the file
    assert store.get_graph("kept") == TEXT
    return store


@pytest.mark.parametrize("damage", DAMAGES)
def test_nothing_is_written_to_a_damaged_file(path: Path, damage: Callable[[Path], None]) -> None:
    store = filled(path)
    assert store.intact()
    damage(path)
    assert not store.intact()
    with pytest.raises(StoreUnavailable):
        store.put_graph(canonical_json({"expression": "x + y"}))
    with pytest.raises(StoreUnavailable):
        store.delete_graph("kept")
    store.close()


def test_a_backup_that_is_put_back_is_taken_up(path: Path, tmp_path: Path) -> None:
    store = filled(path)
    shutil.copy(path, tmp_path / "backup")
    path.unlink()
    assert not store.intact()
    shutil.copy(tmp_path / "backup", path)
    assert store.get_graph("kept") == TEXT
    store.put_graph(canonical_json({"expression": "x + y"}), "new")
    assert store.intact()
    store.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_service_says_that_it_is_not_ready(path: Path, damage: Callable[[Path], None]) -> None:
    call = Caller(database_url=f"sqlite:///{path}")
    graph = {"graph": {"expression": "x * y"}}
    assert call("POST", "/v1/graphs", json=graph).status_code == 201
    call.store.close()
    assert call("GET", "/readyz").status_code == 200
    damage(path)
    assert call("GET", "/readyz").status_code == 503
    graph = {"graph": {"expression": "x + y"}}
    assert call("POST", "/v1/graphs", json=graph).status_code == 503
    assert call("GET", "/healthz").status_code == 200
    call.close()
