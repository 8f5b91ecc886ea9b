"""/v1/graphs over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import rfc8785
from pydantic import SecretStr

from service.settings import ApiKey
from tests.routes.calling import Caller
from tests.serving import serving
from tests.store.postgres import Postgres, find_postgres

CIRCUIT: Any = {
    "nodes": [
        {"id": "x", "op": "input", "value": -2},
        {"id": "y", "op": "input", "value": 5.0},
        {"id": "z", "op": "input"},
        {"id": "q", "op": "add", "inputs": ["x", "y"]},
        {"id": "f", "op": "mul", "inputs": ["q", "z"]},
    ],
    "output": "f",
}
ID = "sha256:" + hashlib.sha256(rfc8785.dumps(CIRCUIT)).hexdigest()


@pytest.fixture
def call() -> Iterator[Caller]:
    caller = Caller()
    yield caller
    caller.close()


def test_the_id_is_the_digest_of_the_canonical_json(call: Caller) -> None:
    answer = call("POST", "/v1/graphs", json={"graph": CIRCUIT, "name": "circuit"})
    assert answer.status_code == 201
    assert answer.json()["id"] == ID
    assert answer.headers["location"] == f"/v1/graphs/{ID}"
    again = call("POST", "/v1/graphs", json={"graph": CIRCUIT, "name": "circuit"})
    assert (again.status_code, again.content) == (201, answer.content)


def test_a_graph_that_was_fetched_registers_under_the_same_id(call: Caller) -> None:
    graph = {"nodes": [{"id": "c", "op": "constant", "value": [1e16, -0.0, 1e300, 5e-324]},
                       {"id": "s", "op": "sum", "inputs": ["c"]}]}  # fmt: skip
    first = call("POST", "/v1/graphs", json={"graph": graph}).json()["id"]
    fetched = call("GET", f"/v1/graphs/{first}")
    body = b'{"graph":' + fetched.content.partition(b'"graph":')[2]
    assert call("POST", "/v1/graphs", content=body).json()["id"] == first


@pytest.mark.parametrize("zero", ["-0.0", "-0"])
def test_negative_zero_keeps_its_meaning_however_it_is_written(call: Caller, zero: str) -> None:
    node = '{"id":"f","op":"div","inputs":["x",' + zero + "]}"
    body = '{"graph":{"nodes":[{"id":"x","op":"input"},' + node + ']},"name":"inverse"}'
    assert call("POST", "/v1/graphs", content=body).status_code == 201
    request = {"graph": "inverse", "inputs": {"x": 1.0}}
    assert call("POST", "/v1/forward", json=request).json()["outputs"]["f"] == "-Infinity"


@pytest.mark.parametrize("reference", [ID, "circuit"])
def test_computing_takes_the_id_and_the_name(call: Caller, reference: str) -> None:
    call("POST", "/v1/graphs", json={"graph": CIRCUIT, "name": "circuit"})
    request = {"graph": reference, "inputs": {"z": -4}}
    answer = call("POST", "/v1/gradient", json=request).json()
    assert answer["gradients"] == {"x": -4.0, "y": -4.0, "z": 3.0}


def test_a_name_moves_and_computing_follows(call: Caller) -> None:
    call("POST", "/v1/graphs", json={"graph": {"expression": "x + 1"}, "name": "model"})
    request = {"graph": "model", "inputs": {"x": 1}, "values": "output"}
    assert call("POST", "/v1/forward", json=request).json() == {"outputs": {"output": 2.0}}
    call("POST", "/v1/graphs", json={"graph": {"expression": "x + 2"}, "name": "model"})
    assert call("POST", "/v1/forward", json=request).json() == {"outputs": {"output": 3.0}}


def test_a_registered_graph_can_be_given_another_name(call: Caller) -> None:
    call("POST", "/v1/graphs", json={"graph": CIRCUIT, "name": "a"})
    answer = call("POST", "/v1/graphs", json={"graph": "a", "name": "b"})
    assert answer.json()["names"] == ["a", "b"]
    assert call("POST", "/v1/graphs", json={"graph": ID, "name": "c"}).status_code == 201
    assert call("POST", "/v1/graphs", json={"graph": "nothing", "name": "d"}).status_code == 404


def test_an_entity_tag_saves_sending_it_again(call: Caller) -> None:
    call("POST", "/v1/graphs", json={"graph": CIRCUIT, "name": "circuit"})
    answer = call("GET", "/v1/graphs/circuit")
    tag = answer.headers["etag"]
    assert answer.json()["graph"]["nodes"][1] == {"id": "y", "op": "input", "value": 5}
    for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = call("GET", "/v1/graphs/circuit", headers={"if-none-match": header})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    call("POST", "/v1/graphs", json={"graph": CIRCUIT, "name": "another"})
    changed = call("GET", "/v1/graphs/circuit", headers={"if-none-match": tag})
    assert changed.status_code == 200
    assert changed.json()["names"] == ["another", "circuit"]


def test_pages_lead_through_the_whole_list(call: Caller) -> None:
    for i in range(7):
        call("POST", "/v1/graphs", json={"graph": {"expression": f"x + {i}"}, "name": f"g{i}"})
    names: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        query: dict[str, Any] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = call("GET", "/v1/graphs", params=query).json()
        names += [name for graph in page["graphs"] for name in graph["names"]]
        cursor = page["next"]
    assert cursor is None
    assert names == [f"g{i}" for i in range(7)]


@pytest.mark.parametrize("query", ["cursor=x", "cursor=%00", "limit=0", "limit=x", "limit=1001"])
def test_a_bad_page_is_refused(call: Caller, query: str) -> None:
    answer = call("GET", f"/v1/graphs?{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"


def test_deleting(call: Caller) -> None:
    call("POST", "/v1/graphs", json={"graph": CIRCUIT, "name": "circuit"})
    assert call("DELETE", "/v1/graphs/circuit").status_code == 204
    assert call("GET", "/v1/graphs/circuit").json()["code"] == "graph_not_found"
    assert call("GET", f"/v1/graphs/{ID}").status_code == 200
    assert call("DELETE", f"/v1/graphs/{ID}").status_code == 204
    assert call("DELETE", f"/v1/graphs/{ID}").status_code == 404
    request = {"graph": ID, "inputs": {"z": 1}}
    assert call("POST", "/v1/gradient", json=request).json()["code"] == "graph_not_found"


@pytest.mark.parametrize(
    ("graph", "code", "node"),
    [
        ({"nodes": [{"id": "a", "op": "nothing", "inputs": []}]}, "unknown_operator", "a"),
        ({"expression": "x +"}, "syntax", None),
        (
            {
                "nodes": [
                    {"id": "u", "op": "input"},
                    {"id": "x", "op": "input", "shape": [2, 3]},
                    {"id": "y", "op": "matmul", "inputs": ["x", "x"]},
                    {"id": "w", "op": "add", "inputs": ["u", "y"]},
                ]
            },
            "shape_mismatch",
            "y",
        ),
    ],
)
def test_a_wrong_graph_is_refused_and_not_kept(
    call: Caller, graph: Any, code: str, node: str | None
) -> None:
    answer = call("POST", "/v1/graphs", json={"graph": graph})
    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert answer.json()["errors"][0].get("node") == node
    assert call("GET", "/v1/graphs").json()["graphs"] == []


def test_shapes_that_are_not_declared_are_not_guessed(call: Caller) -> None:
    graph = {"expression": "W @ x"}
    assert call("POST", "/v1/graphs", json={"graph": graph}).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {"graph": CIRCUIT, "name": "a/b"},
        {"graph": CIRCUIT, "name": "sha256:" + "0" * 64},
        {"graph": CIRCUIT, "name": ""},
        {"graph": CIRCUIT, "name": 3},
        {"graph": CIRCUIT, "more": 1},
        {"name": "a"},
        {"graph": {"nodes": [{"id": "x", "op": "input", "value": 2**53 + 1}]}},
        [],
    ],
)
def test_a_wrong_request_is_refused(call: Caller, body: Any) -> None:
    answer = call("POST", "/v1/graphs", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_store_out_of_reach_is_503_and_computing_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    call = Caller(database_url=SecretStr(f"sqlite:///{folder}/store.sqlite"))
    answer = call("GET", "/v1/graphs")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer.headers["retry-after"] == "1"
    request: dict[str, Any] = {"graph": "circuit", "inputs": {}}
    assert call("POST", "/v1/forward", json=request).json()["code"] == "store_unavailable"
    request = {"graph": {"expression": "x"}, "inputs": {"x": 1}}
    assert call("POST", "/v1/forward", json=request).status_code == 200
    folder.mkdir()
    assert call("GET", "/v1/graphs").status_code == 200
    call.close()


def test_a_full_store_is_507_and_goes_on(tmp_path: Path) -> None:
    url = SecretStr(f"sqlite:///{tmp_path}/store.sqlite")
    call = Caller(database_url=url, store_max_bytes=1024 * 1024)
    codes = []
    for i in range(20):
        graph = {"nodes": [{"id": "c", "op": "constant", "value": [i + 0.1] * 20_000},
                           {"id": "s", "op": "sum", "inputs": ["c"]}]}  # fmt: skip
        answer = call("POST", "/v1/graphs", json={"graph": graph})
        codes.append((answer.status_code, answer.json().get("code")))
    assert codes[0] == (201, None)
    assert codes[-1] == (507, "store_full")
    assert call("GET", "/v1/graphs").status_code == 200
    call.close()


def test_two_workers_in_memory_see_each_others_graphs(tmp_path: Path) -> None:
    with serving(tmp_path, workers="2", database_url="sqlite://") as server:
        for i in range(6):
            httpx.post(
                f"{server.url}/v1/graphs", json={"graph": {"expression": f"x * {i}"}, "name": "g"}
            ).raise_for_status()
            request = {"graph": "g", "inputs": {"x": 1}, "values": "output"}
            answer = httpx.post(f"{server.url}/v1/forward", json=request).json()
            assert answer["outputs"] == {"output": float(i)}


@pytest.mark.postgres
def test_two_replicas_on_one_postgresql(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    programs = find_postgres()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    database = Postgres(programs)
    try:
        database.start()
        settings = {"database_url": database.url}
        with serving(tmp_path, **settings) as one, serving(tmp_path, **settings) as two:

            def post(i: int) -> str:
                url = (one if i % 2 else two).url
                answer = httpx.post(f"{url}/v1/graphs", json={"graph": CIRCUIT, "name": "c"})
                assert answer.status_code == 201
                return answer.text

            with ThreadPoolExecutor(25) as pool:
                answers = set(pool.map(post, range(50)))
            assert len(answers) == 1
            for server in (one, two):
                assert len(httpx.get(f"{server.url}/v1/graphs").json()["graphs"]) == 1
            database.stop()
            answer = httpx.get(f"{one.url}/v1/graphs", timeout=20)
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            database.start()
            assert httpx.get(f"{one.url}/v1/graphs/c").status_code == 200
    finally:
        database.close()


def test_what_others_go_by_is_changed_with_the_scope_tasks_alone() -> None:
    keys = tuple(
        ApiKey(name=name, sha256=hashlib.sha256(name.encode()).hexdigest(), scopes=scopes)
        for name, scopes in {"student": ("compute",), "staff": ("compute", "tasks")}.items()
    )
    call = Caller(api_keys=keys)
    student, staff = ({"authorization": f"Bearer {key.name}"} for key in keys)
    first = {"graph": CIRCUIT, "name": "circuit"}
    other = {"graph": {"expression": "x + y"}, "name": "circuit"}
    for _ in range(2):
        assert call("POST", "/v1/graphs", json=first, headers=student).status_code == 201
    refused = call("POST", "/v1/graphs", json=other, headers=student)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    for reference in ("circuit", ID, "nobody"):
        answer = call("DELETE", f"/v1/graphs/{reference}", headers=student)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert call("GET", "/v1/graphs/circuit", headers=student).json()["id"] == ID
    assert call("POST", "/v1/graphs", json=other, headers=staff).status_code == 201
    assert call("GET", "/v1/graphs/circuit", headers=student).json()["id"] != ID
    assert call("DELETE", f"/v1/graphs/{ID}", headers=staff).status_code == 204
    call.close()
