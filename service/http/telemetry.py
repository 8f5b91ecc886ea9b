"""Whether anybody collects FastAPI's OpenTelemetry."""

from __future__ import annotations


def collected() -> bool:
    """Whether a provider of traces or of metrics has been set up in this process.

    If not, a request need not take the way on which FastAPI would record it.
    """
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        return False
    tracing = trace.get_tracer_provider()
    metering = metrics.get_meter_provider()
    return not (
        isinstance(tracing, trace.ProxyTracerProvider | trace.NoOpTracerProvider)
        and type(metering).__name__ in {"_ProxyMeterProvider", "NoOpMeterProvider"}
    )
