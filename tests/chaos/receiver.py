"""A receiver of webhooks with moods: it fails, hangs and resets by seed, and can be killed.

As a process: `python -m tests.chaos.receiver PORT FOLDER [SEED]`. It notes in a file what came,
before it says so; without a seed it is in good health.
"""

import json
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.webhook_signature import InvalidSignatureError, new_secret, verify

_NOTES, _SECRET = "received.jsonl", "secret"
_HANG_SECONDS = 30.0
"""Longer than any attempt may take."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message that came, and was answered well or not at all."""

    id: str
    event: str
    job_id: str
    happened_at: str
    refusal: str | None
    """Why its signature is not good."""


class Receiver:
    """The process's parent; it keeps the port while no process listens there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.secret = new_secret()
        (folder / _SECRET).write_text(self.secret)
        # Bound but not listening: who calls is refused, and nobody else is given the port.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind(("127.0.0.1", 0))
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self._place.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._place.getsockname()[1]}/"

    def start(self, seed: int | None = None) -> None:
        """Anew, in the moods of `seed`, or without one in good health; returns when it listens."""
        self.kill()
        port = str(self._place.getsockname()[1])
        moods = [] if seed is None else [str(seed)]
        command = [sys.executable, "-m", "tests.chaos.receiver", port, str(self._folder), *moods]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "listening\n", "the receiver did not start"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def receipts(self) -> list[Receipt]:
        notes = self._folder / _NOTES
        lines = notes.read_text().splitlines() if notes.exists() else []
        return [Receipt(**json.loads(line)) for line in lines]


# --- In the process -------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receipt = _receipt(dict(self.headers.items()), body, self.server.secret)
        self.server.next_mood()(self, receipt)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Its own log of requests is of no use here."""

    def take(self, receipt: Receipt) -> None:
        self.server.note(receipt)
        self.send_response(204)
        self.end_headers()

    def take_and_reset(self, receipt: Receipt) -> None:
        """The sender cannot know that it came."""
        self.server.note(receipt)
        self.reset(receipt)

    def reset(self, _: Receipt) -> None:
        at_once = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.close_connection = True

    def fail(self, _: Receipt) -> None:
        self.send_response(500)
        self.end_headers()

    def ask_for_time(self, _: Receipt) -> None:
        self.send_response(429)
        self.send_header("Retry-After", "1")
        self.end_headers()

    def hang(self, _: Receipt) -> None:
        time.sleep(_HANG_SECONDS)
        self.close_connection = True


_Mood = Callable[[_Handler, Receipt], None]
_MOODS: dict[_Mood, int] = {
    _Handler.take: 10,
    _Handler.take_and_reset: 3,
    _Handler.fail: 3,
    _Handler.ask_for_time: 2,
    _Handler.reset: 2,
    _Handler.hang: 1,
}
"""How often, of so many."""


class _Server(ThreadingHTTPServer):
    allow_reuse_port = True
    request_queue_size = 128

    def __init__(self, port: int, folder: Path, seed: str | None = None) -> None:
        self.secret = (folder / _SECRET).read_text()
        self._notes = folder / _NOTES
        self._moods = None if seed is None else random.Random(f"moods {seed}")
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def next_mood(self) -> _Mood:
        if self._moods is None:
            return _Handler.take
        with self._lock:
            return self._moods.choices(list(_MOODS), list(_MOODS.values()))[0]

    def note(self, receipt: Receipt) -> None:
        line = json.dumps({name: getattr(receipt, name) for name in Receipt.__slots__})
        # One write of an open-for-append file: whoever is killed leaves a whole line or none.
        with self._lock, self._notes.open("ab", buffering=0) as notes:
            notes.write(f"{line}\n".encode())

    def handle_error(self, request: object, client_address: object) -> None:
        """A deliverer that was killed in mid-sentence is nothing to report."""


def _receipt(headers: dict[str, str], body: bytes, secret: str) -> Receipt:
    content, refusal = json.loads(body), None
    try:
        verify([secret], headers, body)
    except InvalidSignatureError as error:
        refusal = str(error)
    return Receipt(
        id=headers["webhook-id"],
        event=content["type"],
        job_id=content["data"]["id"],
        happened_at=content["timestamp"],
        refusal=refusal,
    )


def _end_with_the_parent(server: _Server) -> None:
    with suppress(OSError):
        sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    with _Server(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]) as server:
        print("listening", flush=True)  # noqa: T201  # its parent waits for it
        threading.Thread(target=_end_with_the_parent, args=(server,), daemon=True).start()
        server.serve_forever()
