"""Spans of requests, which FastAPI makes itself once there is somewhere to send them."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

_ASKED_ALL_THE_TIME = frozenset({"/healthz", "/readyz", "/metrics"})


def _is_health_check(scope: MutableMapping[str, Any]) -> bool:
    return scope["path"] in _ASKED_ALL_THE_TIME


SPANS: TelemetryConfig = {
    "exclude": _is_health_check,
    "operation_spans": False,
    # We have our own, which blot out secrets and work without a collector.
    "metrics": False,
    "logs": False,
}
