"""OpenTelemetry: FastAPI's span of a request, and under it what the service does itself.

FastAPI sets the exporters up from the variables OTEL_EXPORTER_OTLP_…, in every worker when it
starts, and makes the span of a request and its metrics. Here the parsing and the execution of
an operation get a span each, with the size of the graph, and a refusal its code. Nothing that
a client sent is recorded.
"""

from __future__ import annotations

import logging
import os
from importlib.util import find_spec
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import metrics, trace

from service.engine.control import Control
from service.errors import problem
from service.http.prepared import Answer, Parse, PreparedRequest
from service.wire.context import Context

EXPORTER = "opentelemetry.exporter.otlp.proto.http"
VARIABLES = tuple(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("", "TRACES_", "METRICS_"))

_TRACER = trace.get_tracer("gradient-service")


def configuration(wanted: bool) -> Any:
    """FastAPI's `telemetry`. Its own logs are off: they hold the texts of exceptions."""
    if wanted and any(map(os.environ.get, VARIABLES)) and not _has_exporter():
        logging.getLogger("service").warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but nothing is exported without the extra: "
            "pip install 'gradient-service[otel]'"
        )
        return {"auto_configure": False, "logs": False}
    return {"tracing": wanted, "metrics": wanted, "logs": False, "auto_configure": wanted}


def _has_exporter() -> bool:
    try:
        return find_spec(EXPORTER) is not None and find_spec("opentelemetry.sdk") is not None
    except ModuleNotFoundError:
        return False


def collected() -> bool:
    """Whether a provider of traces or of metrics has been set up in this process.

    If not, a request need not take the way on which FastAPI would record it.
    """
    tracing = trace.get_tracer_provider()
    metering = metrics.get_meter_provider()
    return not (
        isinstance(tracing, trace.ProxyTracerProvider | trace.NoOpTracerProvider)
        and type(metering).__name__ in {"_ProxyMeterProvider", "NoOpMeterProvider"}
    )


def annotate(refused: Exception | None) -> str | None:
    """Give the span of the present request the code of its refusal; the id of its trace."""
    span = trace.get_current_span()
    about = span.get_span_context()
    if not about.is_valid:
        return None
    if refused is not None:
        span.set_attribute("gradient.problem.code", problem(refused).code.name)
    return trace.format_trace_id(about.trace_id)


def traced(parse: Parse) -> Parse:
    """`parse`, with a span for it and one for what it prepares, in whichever thread."""
    parent = contexts.get_current()
    if not trace.get_current_span(parent).is_recording():
        return parse

    def parse_traced(body: bytes, context: Context, may_block: bool = True) -> PreparedRequest:
        with _span("parse", parent):
            prepared = parse(body, context, may_block)

        def execute(control: Control | None) -> bytes | Answer:
            with _span("compute", parent) as span:
                span.set_attribute("gradient.nodes", prepared.cost.nodes)
                span.set_attribute("gradient.flops", prepared.cost.flops)
                return prepared.execute(control)

        return PreparedRequest(prepared.cost, execute)

    return parse_traced


def _span(name: str, parent: contexts.Context) -> Any:
    # The text of an exception may hold what a client sent: its kind is on the request's span.
    return _TRACER.start_as_current_span(
        name, parent, record_exception=False, set_status_on_exception=False
    )
