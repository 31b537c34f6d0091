"""Traces, where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector; else nothing of it is imported.

That variable and those beside it are OpenTelemetry's own, which its packages read themselves.
"""

import logging
import os

_log = logging.getLogger(__name__)


def configure_tracing(process: str) -> bool:
    """Send this process's spans to the collector, as service `gridscribe-PROCESS`.

    True where the caller should now instrument what it uses.
    """
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not endpoint:
        return False
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        _log.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but traces need the extra gridscribe[otel]: %s",
            error,
        )
        return False
    resource = Resource.create({"service.name": f"gridscribe-{process}"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True
