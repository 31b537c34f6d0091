"""A real server on a free port, and what tests send to it."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from PIL import Image

from api.app import create_app
from shared.settings import Settings
from tests.fixtures.waiting import PATIENCE

Part = tuple[str, tuple[str | None, bytes | str]]


@contextmanager
def serving(settings: Settings) -> Iterator[httpx.Client]:
    """A client of a server on a free port of this machine, which ends with the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        lifespan="on",
        http="api.http_protocol:BoundedProtocol",
        ws="none",
        server_header=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # A connection made before the server listens waits for it.
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        yield client
    server.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()


def png(width: int = 8, height: int = 6, color: str = "red") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), color).save(data, "PNG")
    return data.getvalue()


def image_part(name: str, data: bytes | None = None) -> Part:
    return ("images", (name, png() if data is None else data))


def spec_part(spec: Any) -> Part:
    return ("spec", (None, json.dumps(spec)))


def submit(client: httpx.Client, *parts: Part) -> httpx.Response:
    return client.post("/v1/jobs", files=list(parts))


GOOD = image_part("good.png")


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert problem["type"].endswith(problem["code"])
    return problem
