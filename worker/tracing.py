"""Spans of the messages that are published and worked on; see `shared.tracing`."""

from shared.tracing import configure_tracing


def trace_messages(process: str) -> None:
    """Where a collector is configured."""
    if configure_tracing(process):
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]  # untyped in the package
