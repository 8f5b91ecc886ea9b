import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any

import httpx
import pytest

from service.codes import Refusal
from service.engine.errors import LimitExceeded
from service.http.application import Application
from service.http.operation import Handler, Operation
from service.http.pools import overloaded
from service.http.prepared import Answer
from service.settings import ApiKey
from tests.http.fakes import FakeWork, app_of, app_with

Scenario = Callable[[httpx.AsyncClient], Awaitable[None]]


def play(app: Application, scenario: Scenario) -> None:
    async def run() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await asyncio.wait_for(scenario(client), 20)
        app.close()

    asyncio.run(run())


def test_cheap_work_runs_on_the_loop_and_the_rest_in_its_pool() -> None:
    work = FakeWork()
    app = app_of(work, inline_flops=100, light_flops=1000, light_body_bytes=20_000)

    async def scenario(client: httpx.AsyncClient) -> None:
        padding = " " * 10_000
        for asked in ({}, {"flops": 500}, {"flops": 5000}):
            for text in (json.dumps(asked), json.dumps(asked) + padding):
                answer = await client.post("/v1/fake", content=text)
                assert answer.json() == {"done": True}
        await client.post("/v1/fake", content="{}" + " " * 30_000)

    play(app, scenario)
    pools = [name.partition("_")[0] for name in work.threads]
    assert pools == [
        "MainThread",
        "light-pool",
        "light-pool",
        "light-pool",
        "heavy-pool",
        "heavy-pool",
        "heavy-pool",
    ]
    assert app.metrics.nodes == 21
    assert app.metrics.inline == 1


def test_what_would_block_is_read_in_a_thread() -> None:
    work = FakeWork()

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/fake", json={"block": True})
        assert answer.status_code == 200

    play(app_of(work), scenario)
    assert work.blocked == 1
    assert work.threads[0].startswith("light-pool")


def test_answers_carry_the_request_id_and_security_headers() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        own = await client.post("/v1/fake", json={}, headers={"x-request-id": "abc-1"})
        assert own.headers["x-request-id"] == "abc-1"
        assert own.headers["x-content-type-options"] == "nosniff"
        assert own.headers["content-type"] == "application/json"
        made = [(await client.post("/v1/fake", json={})).headers["x-request-id"] for _ in "ab"]
        assert len(set(made)) == 2
        evil = await client.post("/v1/fake", json={}, headers={"x-request-id": 'a"b c'})
        assert re.fullmatch(r"[0-9a-f-]+", evil.headers["x-request-id"])
        refused = await client.post(
            "/v1/fake", json={}, headers={"content-type": "text/plain", "x-request-id": "q"}
        )
        assert refused.json()["request_id"] == refused.headers["x-request-id"] == "q"

    play(app_of(FakeWork()), scenario)


def test_refusals_are_problem_documents() -> None:
    work = FakeWork(errors={"limit": LimitExceeded("nodes", 1, 2), "bug": KeyError("me")})
    app = app_of(work, max_body_bytes=1000)

    async def scenario(client: httpx.AsyncClient) -> None:
        async def chunks() -> Any:
            for _ in range(20):
                yield b" " * 100

        cases = [
            (413, "limit_exceeded", {"content": b'{"raise":"limit"}'}),
            (500, "internal", {"content": b'{"raise":"bug"}'}),
            (413, "body_too_large", {"content": b" " * 1001}),
            (413, "body_too_large", {"content": chunks()}),
            (415, "unsupported_media_type", {"data": {"a": "b"}}),
            (406, "not_acceptable", {"content": b"{}", "headers": {"accept": "text/html"}}),
        ]
        for status, code, arguments in cases:
            answer = await client.post("/v1/fake", **arguments)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.headers["content-type"] == "application/problem+json"
        behind = await client.get("/broken")
        assert behind.status_code == 500
        assert "words of a client" not in behind.text

    play(app, scenario)
    assert app.metrics.errors["body_too_large"] == 2
    assert app.pools.held_bytes == 0
    assert app.pipeline.running == 0


def test_a_deadline_answers_504_and_stops_the_work() -> None:
    work = FakeWork()
    app = app_of(work, deadline_seconds=0.1)

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/fake", json={"flops": 10**6, "sleep": 5})
        assert answer.json()["code"] == "deadline_exceeded"
        for _ in range(100):
            if app.pools.light.running == 0:
                break
            await asyncio.sleep(0.01)

    play(app, scenario)
    assert work.cancelled == 1


def test_a_client_that_hangs_up_stops_its_work() -> None:
    work = FakeWork()
    app = app_of(work)

    async def run() -> None:
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": b'{"flops":1000000,"sleep":5}'},
        ]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/fake",
            "query_string": b"",
            "headers": [],
        }
        await asyncio.wait_for(app(scope, receive, send), 2)
        assert sent == []
        for _ in range(100):
            if work.cancelled:
                break
            await asyncio.sleep(0.01)
        app.close()

    asyncio.run(run())
    assert work.cancelled == 1
    assert app.metrics.hung_up == 1


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    app = app_of(FakeWork(), body_seconds=0.2)

    async def scenario(client: httpx.AsyncClient) -> None:
        async def slow() -> Any:
            yield b"{"
            await asyncio.sleep(5)
            yield b"}"

        answer = await client.post("/v1/fake", content=slow())
        assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"

    play(app, scenario)
    assert app.pools.held_bytes == 0


def test_overload_is_refused_at_once_while_light_work_goes_on() -> None:
    work = FakeWork()
    app = app_of(work, heavy_threads=1, heavy_queue=1, light_flops=1000, inline_flops=1)

    async def scenario(client: httpx.AsyncClient) -> None:
        heavy = {"flops": 10**6, "sleep": 0.5}
        answers = asyncio.gather(*(client.post("/v1/fake", json=heavy) for _ in range(6)))
        await asyncio.sleep(0.05)
        assert (await client.post("/v1/fake", json={"flops": 500})).status_code == 200
        assert not answers.done()
        statuses = sorted(answer.status_code for answer in await answers)
        assert statuses == [200, 200, 503, 503, 503, 503]
        refused = next(answer for answer in await answers if answer.status_code == 503)
        assert refused.headers["retry-after"] == "1"

    play(app, scenario)


def test_with_keys_set_nothing_is_open_without_one() -> None:
    key = ApiKey(name="k", sha256=sha256(b"s").hexdigest(), scopes=("compute",))
    app = app_of(FakeWork(), api_keys=(key,))

    async def scenario(client: httpx.AsyncClient) -> None:
        for method, path in [("POST", "/v1/fake"), ("GET", "/"), ("GET", "/docs")]:
            answer = await client.request(method, path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
        known = {"authorization": "Bearer s"}
        assert (await client.post("/v1/fake", json={}, headers=known)).status_code == 200
        assert (await client.get("/nowhere", headers=known)).status_code == 404

    async def forbidden(client: httpx.AsyncClient) -> None:
        known = {"authorization": "Bearer s"}
        for method in ("POST", "GET"):
            answer = await client.request(method, "/v1/fake", headers=known)
            assert answer.status_code == 403

    play(app, scenario)
    play(app_of(FakeWork(), access="admin", api_keys=(key,)), forbidden)


def test_cors_is_off_unless_set() -> None:
    headers = {"origin": "https://a.example", "access-control-request-method": "POST"}

    async def off(client: httpx.AsyncClient) -> None:
        answer = await client.options("/v1/fake", headers=headers)
        assert answer.status_code == 204
        assert answer.headers["allow"] == "OPTIONS, POST"
        assert "access-control-allow-origin" not in answer.headers

    async def on(client: httpx.AsyncClient) -> None:
        answer = await client.options("/v1/fake", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "x-api-key" in answer.headers["access-control-allow-headers"]
        answer = await client.post("/v1/fake", json={}, headers={"origin": "https://a.example"})
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        other = await client.post("/v1/fake", json={}, headers={"origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers

    play(app_of(FakeWork()), off)
    play(app_of(FakeWork(), cors_origins=("https://a.example",)), on)


def test_an_operation_may_answer_in_its_own_way() -> None:
    def refuse(error: Exception) -> Answer | None:
        if isinstance(error, Refusal):
            return Answer(b'{"score":null}', status=503)
        return Answer(b'{"score":0}', status=200) if isinstance(error, LimitExceeded) else None

    def handler_for(scope: Mapping[str, Any]) -> Handler:
        bad = FakeWork(errors={"x": KeyError("bad")})
        return Handler((bad if scope["query_string"] == b"bad" else work).parse, refuse)

    work = FakeWork(errors={"x": LimitExceeded("nodes", 1, 2), "busy": overloaded(1)})
    operation = Operation(
        "/v1/fake",
        work.parse,
        summary="",
        description="",
        media=("application/json", "image/svg+xml"),
        handler_for=handler_for,
    )

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/fake", json={"svg": True})
        assert (answer.status_code, answer.headers["content-type"]) == (203, "image/svg+xml")
        answer = await client.post("/v1/fake", json={"raise": "x"})
        assert (answer.status_code, answer.json()) == (200, {"score": 0})
        answer = await client.post("/v1/fake?bad", json={"raise": "x"})
        assert answer.status_code == 500
        answer = await client.post("/v1/fake", json={"raise": "busy"})
        assert (answer.status_code, answer.json()) == (503, {"score": None})
        assert answer.headers["retry-after"] == "1"

    play(app_with(operation), scenario)


def test_draining_asks_clients_to_close() -> None:
    app = app_of(FakeWork())
    app.pipeline.state.draining = True

    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.post("/v1/fake", json={})).headers["connection"] == "close"

    play(app, scenario)


def test_the_log_has_no_content(capfd: pytest.CaptureFixture[str]) -> None:
    app = app_of(FakeWork(errors={"x": KeyError("secret")}), access_log="all")

    async def scenario(client: httpx.AsyncClient) -> None:
        await client.post("/v1/fake?secret", json={"note": "secret"})
        await client.post("/v1/fake", json={"raise": "x", "note": "secret"})
        await client.get("/secret")

    play(app, scenario)
    written = capfd.readouterr().err
    lines = [json.loads(text) for text in written.splitlines() if text.startswith("{")]
    assert [line["status"] for line in lines if line["event"] == "request"] == [200, 500, 404]
    assert lines[0]["path"] == "/v1/fake"
    assert "secret" not in written
