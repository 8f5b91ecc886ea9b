"""OpenTelemetry works when its variables are set: spans from client to engine, ids in the log."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx
import pytest
from gradient_client import Client
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.http.collector import Span, collecting
from tests.serving import serving

GRAPH = {"graph": {"expression": "x * SECRET"}, "inputs": {"x": 3, "SECRET": 4}}


def exporting(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "300")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_trace_from_client_to_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    exported = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    instrumentor = HTTPXClientInstrumentor()
    with collecting() as collector:
        exporting(monkeypatch, collector.url)
        settings = {"workers": workers, "access_log": "all"}
        with serving(tmp_path, **settings) as server:
            instrumentor.instrument(tracer_provider=provider)
            try:
                with Client(server.url) as client:
                    answer = client.gradient("x * SECRET", {"x": 3.0, "SECRET": 4.0})
            finally:
                instrumentor.uninstrument()
            assert answer.gradients["x"] == 4.0
            (asked,) = exported.get_finished_spans()
            context = asked.get_span_context()
            assert context is not None
            trace = f"{context.trace_id:032x}"

            def ours() -> dict[str, Span]:
                return {span.name: span for span in collector.spans if span.trace == trace}

            wanted = {"POST /v1/gradient", "parse", "compute"}
            collector.wait(lambda: wanted <= set(ours()))
            spans = ours()
            request = spans["POST /v1/gradient"]
            assert request.parent == f"{context.span_id:016x}"
            for name in ("parse", "compute"):
                by_id = {span.id: span for span in spans.values()}
                above = spans[name]
                while above.parent in by_id:
                    above = by_id[above.parent]
                assert above is request, name
            assert spans["compute"].attributes["gradient.nodes"] == 3
            collector.wait(lambda: "http.server.request.duration" in collector.metrics)
            assert not any("SECRET" in span.text for span in collector.spans)
        written = server.log.read_text().splitlines()
        lines = [json.loads(line) for line in written if line.startswith("{")]
        logged = [line for line in lines if line.get("path") == "/v1/gradient"]
        assert [line["trace_id"] for line in logged] == [trace]


def test_a_refusal_has_its_code_on_the_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        exporting(monkeypatch, collector.url)
        with serving(tmp_path, workers="1") as server:
            refused = {"/v1/gradient": b"{", "/v1/forward": json.dumps(GRAPH).encode()[:-1]}
            refused["/v1/grade"] = json.dumps({"task": "SECRET", "submission": {}}).encode()
            codes = {}
            for path, body in refused.items():
                answer = httpx.post(
                    server.url + path, content=body, headers={"content-type": "application/json"}
                )
                codes[f"POST {path}"] = answer.json()["code"]
            httpx.post(server.url + "/v1/graphs/none/gradient", json={"inputs": {}})

            def found() -> dict[str, object]:
                key = "gradient.problem.code"
                return {s.name: s.attributes[key] for s in collector.spans if key in s.attributes}

            collector.wait(lambda: codes.items() <= found().items())
            assert not any("SECRET" in span.text for span in collector.spans)


def test_nothing_is_exported_where_it_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        exporting(monkeypatch, collector.url)
        with serving(tmp_path, workers="1", telemetry="false") as server:
            assert httpx.post(server.url + "/v1/gradient", json=GRAPH).status_code == 200
        assert not collector.spans
        assert not collector.metrics


def test_without_the_extra_the_log_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting(monkeypatch, "http://127.0.0.1:9")
    program = (
        "import sys; sys.modules['opentelemetry.exporter'] = None; sys.argv[1:] = ['serve']\n"
        "from service.cli import main; main()"
    )
    with serving(tmp_path, program=program, workers="1") as server:
        assert httpx.post(server.url + "/v1/gradient", json=GRAPH).status_code == 200
    assert "pip install 'gradient-service[otel]'" in server.log.read_text()
    assert sys.modules.get("opentelemetry.exporter", True) is not None
