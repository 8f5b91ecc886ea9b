"""The store on SQLite in memory, SQLite in a file, and PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from service.settings import Settings
from service.store import canonical_json, content_id, create_store
from service.store.create import database_url
from service.store.database import DatabaseStore
from service.store.folder import TaskFolder
from service.store.migrate import HEAD
from service.store.model import NameTaken, StoreFull, StoreUnavailable
from tests.store.postgres import Postgres

TEXT = canonical_json({"expression": "x * y"})
OTHER = canonical_json({"expression": "x + y"})


def test_a_graph_is_found_by_its_id_and_by_its_name(store: DatabaseStore) -> None:
    entry = store.put_graph(TEXT, "product")
    assert entry.id == content_id(TEXT)
    assert entry.names == ("product",)
    assert store.get_graph(entry.id) == TEXT
    assert store.get_graph("product") == TEXT
    assert store.get_graph("nothing") is None
    assert store.get_graph(content_id(OTHER)) is None


def test_registering_again_changes_nothing(store: DatabaseStore) -> None:
    first = store.put_graph(TEXT, "a")
    assert store.put_graph(TEXT, "a") == first
    assert store.put_graph(TEXT) == first
    assert len(store.list_graphs().items) == 1


def test_a_name_moves_and_ids_stay(store: DatabaseStore) -> None:
    first = store.put_graph(TEXT, "model")
    second = store.put_graph(OTHER, "model")
    assert store.get_graph("model") == OTHER
    assert store.get_graph(first.id) == TEXT
    found = store.find_graph(first.id)
    assert found is not None
    assert found.entry.names == ()
    assert second.names == ("model",)


def test_a_name_that_may_not_move_stays_and_nothing_is_kept(store: DatabaseStore) -> None:
    first = store.put_graph(TEXT, "model", may_move=False)
    assert store.put_graph(TEXT, "model", may_move=False) == first
    with pytest.raises(NameTaken):
        store.put_graph(OTHER, "model", may_move=False)
    assert store.get_graph("model") == TEXT
    assert store.get_graph(content_id(OTHER)) is None


def test_deleting_a_name_leaves_the_graph(store: DatabaseStore) -> None:
    entry = store.put_graph(TEXT, "a")
    store.put_graph(TEXT, "b")
    assert store.delete_graph("a")
    assert not store.delete_graph("a")
    found = store.find_graph(entry.id)
    assert found is not None
    assert found.entry.names == ("b",)


def test_deleting_a_graph_takes_its_names_along(store: DatabaseStore) -> None:
    entry = store.put_graph(TEXT, "a")
    assert store.delete_graph(entry.id)
    assert not store.delete_graph(entry.id)
    assert store.get_graph("a") is None
    assert store.put_graph(TEXT).names == ()


def test_pages_show_every_graph_once(store: DatabaseStore) -> None:
    ids = [store.put_graph(canonical_json({"expression": f"x + {i}"})).id for i in range(25)]
    found: list[str] = []
    cursor = None
    pages = 0
    while True:
        page = store.list_graphs(limit=10, cursor=cursor)
        found += [entry.id for entry in page.items]
        pages += 1
        cursor = page.cursor
        if cursor is None:
            break
        store.put_graph(canonical_json({"expression": f"y + {pages}"}))
    assert found[:25] == ids
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("text", ["", "a\0b", "../x", "sha256:0", "a/b", "é", "n" * 129, "-a"])
def test_what_can_not_be_a_name_is_nowhere(store: DatabaseStore, text: str) -> None:
    assert store.get_graph(text) is None
    assert store.find_graph(text) is None
    assert store.get_task(text) is None
    assert not store.delete_graph(text)
    assert not store.delete_task(text)
    with pytest.raises(ValueError, match="name"):
        store.put_graph(TEXT, text)
    with pytest.raises(ValueError, match="id"):
        store.put_task(text, "{}")


@pytest.mark.parametrize("cursor", ["x", "é", "AAAA", "MQ", "////", "LTEKYQ"])
def test_a_made_up_cursor_is_a_value_error(store: DatabaseStore, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        store.list_graphs(cursor=cursor)


def test_fifty_writers_of_one_graph_make_one_row(store: DatabaseStore) -> None:
    with ThreadPoolExecutor(50) as pool:
        entries = list(pool.map(lambda _: store.put_graph(TEXT, "same"), range(50)))
    assert len({(entry.id, entry.created_at) for entry in entries}) == 1
    assert len(store.list_graphs().items) == 1


def test_writers_and_deleters_at_once_leave_a_whole_store(store: DatabaseStore) -> None:
    def work(i: int) -> None:
        if i % 3:
            store.put_graph(TEXT, "same")
        else:
            store.delete_graph(content_id(TEXT))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(60)))
    store.put_graph(TEXT, "same")
    assert store.get_graph("same") == TEXT


WRITER = """
import sys
from service.store.database import DatabaseStore
store = DatabaseStore(sys.argv[1])
sys.stdin.readline()
print(store.put_graph(sys.argv[2], "shared").id)
"""


@pytest.mark.parametrize("kind", ["file", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_processes_that_start_at_once_share_one_store(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    if kind == "postgres":
        url = request.getfixturevalue("postgres_url")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, TEXT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [writer.communicate("go\n", timeout=60)[0].strip() for writer in writers]
    assert answers == [content_id(TEXT)] * 4
    here = DatabaseStore(url)
    assert here.get_graph("shared") == TEXT
    here.put_graph(OTHER, "other")
    there = DatabaseStore(url)
    assert there.get_graph("other") == OTHER
    here.close()
    there.close()


def test_the_file_is_in_write_ahead_mode_and_survives(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    first = DatabaseStore(url)
    first.put_graph(TEXT, "kept")
    first.close()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
    engine.dispose()
    second = DatabaseStore(url)
    assert second.get_graph("kept") == TEXT
    second.close()


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    folder = Path(__import__("service.store").store.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_the_migrations_make_the_tables_of_the_code(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from service.store.tables import METADATA

    store = DatabaseStore(url)
    assert store.ping()
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    store.close()


def test_a_database_of_a_newer_release_is_used_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    first = DatabaseStore(url)
    first.put_graph(TEXT)
    with first._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    first.close()
    second = DatabaseStore(url)
    assert second.get_graph(content_id(TEXT)) == TEXT
    assert "newer release" in caplog.text
    second.close()


def test_a_full_store_says_so_and_goes_on(tmp_path: Path) -> None:
    store = DatabaseStore(f"sqlite:///{tmp_path / 'small.sqlite'}", max_bytes=200_000)
    store.put_graph(TEXT, "kept")
    texts = [canonical_json({"expression": f"x + {i}" + " " * 10_000}) for i in range(100)]
    with pytest.raises(StoreFull):
        list(map(store.put_graph, texts))
    assert store.get_graph("kept") == TEXT
    first = store.list_graphs().items[1].id
    assert store.delete_graph(first)
    assert store.put_graph(OTHER).id == content_id(OTHER)
    store.close()


def test_a_database_out_of_reach_is_unavailable_and_may_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    store = DatabaseStore(f"sqlite:///{folder / 'store.sqlite'}")
    assert not store.ping()
    with pytest.raises(StoreUnavailable):
        store.put_graph(TEXT)
    folder.mkdir()
    assert store.ping()
    assert store.put_graph(TEXT).id == content_id(TEXT)
    store.close()


def test_a_writer_waits_for_another_process_and_gives_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.database.BUSY_SECONDS", 0.2)
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    store = DatabaseStore(url)
    store.put_graph(TEXT)
    blocker = DatabaseStore(url)
    with blocker._writing():
        with pytest.raises(StoreUnavailable):
            store.put_graph(OTHER)
        assert store.get_graph(content_id(TEXT)) == TEXT
    assert store.put_graph(OTHER).id == content_id(OTHER)
    store.close()
    blocker.close()


@pytest.mark.postgres
def test_postgresql_that_restarts_is_found_again(postgres: Postgres, postgres_url: str) -> None:
    store = DatabaseStore(postgres_url)
    store.put_graph(TEXT, "kept")
    postgres.stop()
    try:
        assert not store.ping()
        with pytest.raises(StoreUnavailable) as caught:
            store.get_graph("kept")
        assert caught.value.code.status == 503
        assert ("retry-after", "1") in caught.value.headers
    finally:
        postgres.start()
    assert store.get_graph("kept") == TEXT
    store.close()


def test_tasks_are_put_replaced_listed_and_deleted(store: DatabaseStore) -> None:
    assert store.get_task("hw1") is None
    store.put_task("hw1", '{"a":1}')
    store.put_task("hw1", '{"a":2}')
    store.put_task("Hw2", "{}")
    assert store.get_task("hw1") == '{"a":2}'
    page = store.list_tasks(limit=1)
    rest = store.list_tasks(limit=5, cursor=page.cursor)
    assert sorted(entry.id for entry in (*page.items, *rest.items)) == ["Hw2", "hw1"]
    assert rest.cursor is None
    assert store.delete_task("hw1")
    assert not store.delete_task("hw1")


def test_a_mounted_folder_of_tasks_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "circuit.json").write_text(json.dumps({"graph": {"expression": "x"}}))
    (tmp_path / "notes.txt").write_text("not a task")
    store = DatabaseStore("sqlite://", folder=TaskFolder(tmp_path))
    store.put_task("added", "{}")
    assert json.loads(store.get_task("circuit") or "") == {"graph": {"expression": "x"}}
    assert [(entry.id, entry.read_only) for entry in store.list_tasks().items] == [
        ("added", False),
        ("circuit", True),
    ]
    with pytest.raises(PermissionError):
        store.put_task("circuit", "{}")
    with pytest.raises(PermissionError):
        store.delete_task("circuit")
    assert store.get_task("../circuit") is None
    store.close()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("", "sqlite://"),
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://h/d", "postgresql+psycopg://h/d"),
        ("sqlite:///a.sqlite", "sqlite:///a.sqlite"),
    ],
)
def test_urls_as_platforms_write_them(given: str, wanted: str) -> None:
    assert database_url(given) == wanted


def test_a_strange_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="must begin with") as caught:
        database_url("mysql://user:secret@host/db")
    assert "secret" not in str(caught.value)


def test_workers_in_memory_share_a_file_where_they_share_a_folder(tmp_path: Path) -> None:
    settings = Settings(database_url=SecretStr("sqlite://"), state_dir=tmp_path)
    one, two = create_store(settings), create_store(settings)
    one.put_graph(TEXT, "shared")
    assert two.get_graph("shared") == TEXT
    one.close()
    two.close()
