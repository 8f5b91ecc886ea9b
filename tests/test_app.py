"""The application as it is wired: every path, method and header that a client meets."""

import asyncio
import gc
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.codes import CODES
from service.settings import Settings

CIRCUIT = {
    "graph": {"expression": "f = (x + y) * z"},
    "inputs": {"x": -2, "y": 5, "z": -4},
}
GRADIENTS = {"x": -4.0, "y": -4.0, "z": 3.0}


def play(scenario: Callable[[httpx.AsyncClient], Awaitable[None]], **settings: Any) -> None:
    """Run a scenario against an application that has started."""

    async def run() -> None:
        app = create_app(Settings(**settings))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                await asyncio.wait_for(scenario(client), 30)

    interval = sys.getswitchinterval()
    try:
        asyncio.run(run())
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)


def test_the_notes_circuit_has_the_notes_gradients() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/gradient", json=CIRCUIT)
        assert answer.status_code == 200
        assert answer.json()["gradients"] == GRADIENTS

    play(scenario)


def test_health_and_readiness() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        transport: Any = client._transport
        transport.app.pipeline.state.draining = True
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert (await client.get("/healthz")).status_code == 200

    play(scenario)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/gradient", 405, "method_not_allowed"),
        ("PUT", "/v1/gradient", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("PURGE", "/healthz", 405, "method_not_allowed"),
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/v1/nowhere", 404, "not_found"),
        ("OPTIONS", "/nowhere", 404, "not_found"),
        ("GET", "/problems/nonsense", 404, "not_found"),
        ("GET", "/static/../../../etc/passwd", 404, "not_found"),
        ("GET", "/static/%2e%2e/settings.py", 404, "not_found"),
        ("GET", "/v1/graphs/nothing", 404, "graph_not_found"),
    ],
)
def test_what_is_not_there_is_a_problem(method: str, path: str, status: int, code: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        if status == 405:
            assert answer.headers["allow"]

    play(scenario)


def test_head_is_get_without_its_body() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for path in ("/healthz", "/docs", "/openapi.json"):
            head, get = await client.head(path), await client.get(path)
            assert head.status_code == get.status_code == 200
            assert head.content == b""
            assert head.headers["content-length"] == get.headers["content-length"]

    play(scenario)


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/healthz", "GET, HEAD, OPTIONS"), ("/v1/gradient", "OPTIONS, POST")],
)
def test_options_says_what_is_allowed(path: str, allow: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.options(path)
        assert (answer.status_code, answer.headers["allow"]) == (204, allow)

    play(scenario)


def test_pages_have_a_strict_policy_and_nothing_from_elsewhere() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        page = await client.get("/docs")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert not re.search(r"https?://", page.text)
        for source in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert (await client.get("/" + source)).status_code == 200

    play(scenario)


def test_every_code_has_a_page() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        listed = (await client.get("/problems")).json()["problems"]
        assert [row["code"] for row in listed] == list(CODES)
        for row in listed:
            assert (await client.get(row["type"])).json() == row

    play(scenario)


def test_metrics_count_what_was_served() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for _ in range(3):
            await client.post("/v1/gradient", json=CIRCUIT)
        await client.post("/v1/gradient", content=b"{")
        text = (await client.get("/metrics")).text
        ok = 'gradient_requests_total{method="POST",path="/v1/gradient",status="200"} 3.0'
        assert ok in text
        assert 'gradient_errors_total{code="malformed_json"} 1.0' in text
        assert "gradient_graph_cache_hits_total 2.0" in text
        nodes = re.search(r"^gradient_nodes_total (\S+)", text, re.MULTILINE)
        assert nodes is not None
        assert float(nodes[1]) == 15

    play(scenario)


def test_the_openapi_document_says_what_the_pipeline_may_answer() -> None:
    document = create_app(Settings.defaults()).openapi()
    operation = document["paths"]["/v1/gradient"]["post"]
    assert {"200", "400", "401", "403", "413", "415", "422", "429", "503", "504"} <= set(
        operation["responses"]
    )
    assert document["components"]["schemas"]["ErrorCode"]["enum"] == list(CODES)
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert "HTTPValidationError" not in json.dumps(document)


def test_the_same_request_gives_the_same_bytes() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answers = [await client.post("/v1/gradient", json=CIRCUIT) for _ in range(3)]
        padded = await client.post("/v1/gradient", content=json.dumps(CIRCUIT) + " " * 20_000)
        assert len({answer.content for answer in [*answers, padded]}) == 1

    play(scenario)


TRACED = """
import asyncio, httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
from service.app import create_app
from service.settings import Settings

async def main():
    app = create_app(Settings())
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test"
        ) as client:
            body = {"graph": {"expression": "x * x"}, "inputs": {"x": 3}}
            answer = await client.post("/v1/gradient", json=body)
            assert answer.json()["gradients"] == {"x": 6.0}, answer.text
            answer = await client.post("/v1/gradient", content=b"{")
            assert answer.status_code == 400, answer.text
    print([span.name for span in exporter.get_finished_spans()])

asyncio.run(main())
"""


def test_compute_requests_are_traced_when_somebody_collects() -> None:
    pytest.importorskip("opentelemetry.sdk")
    done = subprocess.run(
        [sys.executable, "-c", TRACED],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("/v1/gradient") == 2
