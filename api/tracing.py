"""Spans of requests, which FastAPI makes itself once there is somewhere to send them."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

_ASKED_ALL_THE_TIME = frozenset({"/healthz", "/readyz", "/metrics"})


def _has_no_span(scope: MutableMapping[str, Any]) -> bool:
    # A span tells the whole address, in which senders of events may have to write their secret.
    return scope["path"] in _ASKED_ALL_THE_TIME or scope["path"].startswith("/v1/inbound/")


SPANS: TelemetryConfig = {
    "exclude": _has_no_span,
    "operation_spans": False,
    # We have our own, which blot out secrets and work without a collector.
    "metrics": False,
    "logs": False,
}
