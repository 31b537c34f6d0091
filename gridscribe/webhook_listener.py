"""A receiver on this machine, for people who write one: verifies deliveries and passes them on."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from gridscribe.client import ApiError, ServerUnreachableError
from gridscribe.client.answers import problem_of
from shared.webhook_signature import InvalidSignatureError, verify

MAX_BODY = 64 * 1024
_READ_SECONDS = 15.0
_FORWARD_SECONDS = 15.0
_OF_CONNECTION = frozenset({"host", "connection", "content-length", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Heard:
    """One delivery, and what it was answered."""

    id: str
    event: str
    data: Mapping[str, Any]
    signature: str
    """`verified`, `not checked`, or why it is not good."""
    status: int
    """Of our answer: the receiver's, where there is one behind us."""


class WebhookListener:
    """Listens on `127.0.0.1`; `heard` is told of each delivery, from any thread.

    Port 0 takes a free one. Deliveries are verified with `secret`, where there is one, and passed
    on to `forward` as they came.
    """

    def __init__(
        self, port: int, heard: Callable[[Heard], None], forward: str | None = None
    ) -> None:
        self.secret: str | None = None
        self._heard = heard
        self._forward = forward
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _READ_SECONDS

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not length.isdecimal() or int(length) > MAX_BODY:
                    self.send_error(413 if length.isdecimal() else 411)
                    return
                body = self.rfile.read(int(length))
                status = listener._receive(dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _receive(self, headers: Mapping[str, str], body: bytes) -> int:
        status, signature = 204, "not checked"
        if self.secret is not None:
            try:
                verify([self.secret], headers, body)
                signature = "verified"
            except InvalidSignatureError as error:
                status, signature = 401, str(error)
        if status != 401 and self._forward is not None:
            status = self._passed_on(self._forward, headers, body)
        message = _parsed(body)
        data = message.get("data")
        given = {name.lower(): value for name, value in headers.items()}
        self._heard(
            Heard(
                id=given.get("webhook-id", "?"),
                event=str(message.get("type", "?")),
                data=data if isinstance(data, dict) else {},
                signature=signature,
                status=status,
            )
        )
        return status

    def _passed_on(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        kept = {name: it for name, it in headers.items() if name.lower() not in _OF_CONNECTION}
        try:
            answer = httpx.post(url, headers=kept, content=body, timeout=_FORWARD_SECONDS)
        except httpx.HTTPError:
            return httpx.codes.BAD_GATEWAY
        return answer.status_code


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


@contextmanager
def temporary_endpoint(
    server: str, api_key: str | None, url: str, events: tuple[str, ...]
) -> Iterator[str]:
    """Have the service at `server` tell `url` of the caller's jobs while the block runs.

    Gives the endpoint's secret. Raises `ApiError` or `ServerUnreachableError`.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with httpx.Client(base_url=server, headers=headers, timeout=10) as client:
        endpoint = _asked(
            client,
            "POST",
            "/v1/webhook-endpoints",
            {"url": url, "events": events, "description": "gridscribe listen"},
        ).json()
        try:
            yield endpoint["secret"]
        finally:
            _asked(client, "DELETE", f"/v1/webhook-endpoints/{endpoint['id']}")


def _asked(client: httpx.Client, method: str, path: str, body: Any = None) -> httpx.Response:
    try:
        answer = client.request(method, path, json=body)
    except httpx.TransportError as error:
        raise ServerUnreachableError(f"no answer from {client.base_url}: {error}") from error
    if not answer.is_success:
        raise ApiError(problem_of(answer))
    return answer
