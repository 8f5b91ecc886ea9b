"""Every check stands before the route; refusals are problem documents."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import httpx

from service.engine.errors import LimitExceeded
from service.settings import ApiKey
from tests.http.fakes import FakeWork, app_of, play


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
