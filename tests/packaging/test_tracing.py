"""Traces are sent where a collector is named, and cost nothing where none is."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest

from shared.settings import Settings

# FastAPI brings OpenTelemetry's interfaces, and redis-py looks for its SDK, without being asked.
START_THE_PARTS = """
import logging, sys
logging.basicConfig(level="WARNING")
from api.app import create_app
from worker.tracing import trace_messages
create_app()
trace_messages("dispatcher")
ours = ("opentelemetry.exporter", "opentelemetry.instrumentation", "google.protobuf")
print(*(name for name in sys.modules if name.startswith(ours)))
"""

WITHOUT_THE_EXTRA = """
import sys
sys.modules["opentelemetry.sdk"] = sys.modules["opentelemetry.exporter"] = None
"""

ASK_ONCE = """
import threading, time
import httpx, uvicorn, socket
from api.app import create_app
listener = socket.create_server(("127.0.0.1", 0))
server = uvicorn.Server(uvicorn.Config(create_app(), log_config=None))
thread = threading.Thread(target=server.run, args=([listener],))
thread.start()
url = f"http://127.0.0.1:{listener.getsockname()[1]}"
httpx.get(f"{url}/healthz", trust_env=False)
httpx.get(f"{url}/v1/models", trust_env=False).raise_for_status()
server.should_exit = True
thread.join()
"""

PUBLISH_ONCE = """
from shared.queue import make_celery, publish
from shared.settings import get_settings
from shared.work_units import Ticket
from worker.tracing import trace_messages
trace_messages("dispatcher")
publish(make_celery(get_settings()), Ticket("job", "compose", 1))
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    assert run(START_THE_PARTS).stdout.split() == []


def test_a_collector_without_the_extra_is_told_and_breaks_nothing() -> None:
    done = run(
        WITHOUT_THE_EXTRA + START_THE_PARTS, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"
    )
    assert "need the extra gridscribe[otel]" in done.stderr


@pytest.fixture
def collector() -> Iterator[tuple[str, Queue[bytes]]]:
    """An HTTP server that keeps what is posted to `/v1/traces`."""
    received: Queue[bytes] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                received.put(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_message_leaves_a_span(collector: tuple[str, Queue[bytes]], settings: Settings) -> None:
    url, received = collector
    run(
        PUBLISH_ONCE,
        OTEL_EXPORTER_OTLP_ENDPOINT=url,
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
        GRIDSCRIBE_REDIS_URL=settings.redis_url,
    )
    spans = received.get(timeout=5)
    assert b"gridscribe-dispatcher" in spans
    assert b"gridscribe.compose" in spans


def test_a_request_leaves_a_span_with_its_route(
    collector: tuple[str, Queue[bytes]], settings: Settings
) -> None:
    url, received = collector
    run(
        ASK_ONCE,
        OTEL_EXPORTER_OTLP_ENDPOINT=url,
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
        GRIDSCRIBE_AUTH="open",
        GRIDSCRIBE_REDIS_URL=settings.redis_url,
        GRIDSCRIBE_DATA_DIR=str(settings.data_dir),
    )
    spans = received.get(timeout=5)
    assert b"gridscribe-api" in spans
    assert b"/v1/models" in spans
    assert b"/healthz" not in spans
