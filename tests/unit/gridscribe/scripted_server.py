"""An HTTP server that answers as a test tells it to."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the server says; with `cut_after` it promises the whole body and hangs up early."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedServer:
    """Gives `answers` in turn, one a request, and keeps the requests; None hangs up unanswered."""

    def __init__(self) -> None:
        self.answers: list[Answer | None] = []
        self.requests: list[Request] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                script.requests.append(
                    Request(self.command, self.path, dict(self.headers), self._body())
                )
                answer = script.answers.pop(0)
                self.close_connection = True
                if answer is None:
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body[: answer.cut_after])

            do_POST = do_GET  # noqa: N815  # the names are http.server's
            do_DELETE = do_GET  # noqa: N815

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    raise AssertionError("the client should know the length of its files")
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def job_answer(status: str = "queued", code: int = 200, **changes: Any) -> Answer:
    """A job as the service tells of it, with a field that this client does not know."""
    job = {
        "id": "j1",
        "status": status,
        "created_at": "2026-01-01T00:00:00Z",
        "progress": {"stage": "waiting", "done": 0, "total": 1},
        "attempts": 0,
        "spec": {},
        "urls": dict.fromkeys(("self", "cancel", "result", "manifest", "events", "deliveries"), ""),
        **changes,
    }
    return Answer(code, json.dumps(job).encode(), {"Retry-After": "1"})


def problem_answer(status: int, code: str, detail: str, **headers: str) -> Answer:
    problem = {"type": "t", "title": "t", "status": status, "detail": detail, "code": code}
    return Answer(status, json.dumps(problem).encode(), headers)
