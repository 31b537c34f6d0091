"""How fast the front end takes files and answers polls: `python -m benchmarks.http`.

What is measured and its bound take turns against two servers of the same make, so that whatever
else the machine does falls on both; what counts is the median of the ratios.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from gridscribe.supervisor import Supervisor
from gridscribe.valkey import EmbeddedValkey

FILES, FILE_BYTES = 9, 1_500_000
PIPELINED, CONNECTIONS = 16, 16
MEMORY_BYTES = 2_000_000_000
JOB = "/v1/jobs"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing measured against its bound, in `unit`s a second; `target` is the least ratio."""

    name: str
    unit: str
    target: float
    measured: float
    bound: float
    ratio: float

    @classmethod
    def of(
        cls,
        name: str,
        unit: str,
        target: float,
        measure: Callable[[], float],
        bound: Callable[[], float],
        rounds: int,
    ) -> "Comparison":
        measure(), bound()  # warm
        pairs = [(measure(), bound()) for _ in range(rounds)]
        return cls(
            name,
            unit,
            target,
            statistics.median(m for m, _ in pairs),
            statistics.median(b for _, b in pairs),
            statistics.median(m / b for m, b in pairs),
        )


class Server:
    """A uvicorn process of its own, as in production: one process, nothing logged of requests."""

    def __init__(self, app: str, environment: Mapping[str, str], *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", app, *options, "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--log-level", "warning", "--no-access-log"],
            env={**os.environ, **environment},
        )
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator["Server"]:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    self.connect().close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
            yield self
        finally:
            self.process.terminate()
            self.process.wait()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 60)

    def memory(self) -> int:
        """Bytes in memory now."""
        shown = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.process.pid)],
            capture_output=True,
            check=True,
        )
        return int(shown.stdout) * 1024


def png(size: int) -> bytes:
    """A picture of one pixel and what follows its end: its header is read, its bytes are stored."""
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
        "0000000c4944415478da63f8cfc0000003010100c992fe4b0000000049454e44ae426082"
    )
    return pixel + os.urandom(size - len(pixel))


def post(server: Server, path: str, body: bytes, content_type: str) -> bytes:
    """The whole answer to a request on a connection of its own."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with server.connect() as connection:
        connection.sendall(head.encode())
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 202")):
        raise RuntimeError(f"{path} answered {answer[:500]!r}")
    return answer


def uploads_per_second(server: Server, path: str, body: bytes, content_type: str) -> float:
    """Megabytes a second of five requests, one after the other."""
    began = time.perf_counter()
    for _ in range(5):
        post(server, path, body, content_type)
    return 5 * len(body) / (time.perf_counter() - began) / 1e6


def gets_per_second(server: Server, path: str, seconds: float = 1.5) -> float:
    """Answers a second over kept connections; requests are pipelined to spare the generator."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    counts = [0] * CONNECTIONS
    deadline = time.perf_counter() + seconds

    def ask(index: int) -> None:
        with server.connect() as connection:
            while time.perf_counter() < deadline:
                connection.sendall(request * PIPELINED)
                answered = 0
                while answered < PIPELINED:
                    answered += connection.recv(1 << 20).count(b"HTTP/1.1 200")
                counts[index] += PIPELINED

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def highest_memory(server: Server, body: bytes, content_type: str) -> int:
    """Bytes in memory at most while `MEMORY_BYTES` go through, two requests at a time."""
    highest = 0

    def send() -> None:
        for _ in range(MEMORY_BYTES // len(body) // 2):
            post(server, JOB, body, content_type)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        highest = max(highest, server.memory())
        time.sleep(0.05)
    return highest


def run(rounds: int) -> tuple[list[Comparison], int]:
    """All comparisons, and the API's highest memory in bytes."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gridscribe-bench-")))
        valkey = EmbeddedValkey(folder / "valkey", persistent=False)
        supervisor = Supervisor([[valkey.command]], log=lambda _name, _line: None)
        stack.callback(valkey.close)
        stack.callback(supervisor.stop)
        supervisor.start()
        environment = {
            "GRIDSCRIBE_REDIS_URL": valkey.url,
            "GRIDSCRIBE_DATA_DIR": str(folder),
            "GRIDSCRIBE_LOG_LEVEL": "WARNING",
            "GRIDSCRIBE_AUTH": "open",  # on loopback, as `gridscribe dev` does
            "GRIDSCRIBE_MAX_QUEUED_JOBS_PER_TENANT": "1000000",
            "GRIDSCRIBE_REQUESTS_PER_MINUTE": "1000000000",
            "BENCHMARK_FOLDER": str(folder),
        }
        options = ("--factory", "--http", "api.http_protocol:BoundedProtocol")
        api = stack.enter_context(Server("api.app:create_app", environment, *options).running())
        bare = stack.enter_context(Server("benchmarks.bare:app", environment).running())

        files = [("images", (f"{n}.png", png(FILE_BYTES))) for n in range(FILES)]
        request = httpx.Request("POST", "http://x", files=files)
        body, kind = request.read(), request.headers["Content-Type"]
        upload = Comparison.of(
            f"POST {JOB}, {FILES} files of 1.5 MB",
            "MB",
            0.6,
            lambda: uploads_per_second(api, JOB, body, kind),
            lambda: uploads_per_second(bare, "/raw", body, kind),
            rounds,
        )
        job = httpx.post(api.url + JOB, files=files).raise_for_status().json()
        poll = Comparison.of(
            f"GET {JOB}/{{id}}",
            "requests",
            0.5,
            lambda: gets_per_second(api, f"{JOB}/{job['id']}"),
            lambda: gets_per_second(bare, "/empty"),
            rounds,
        )
        return [upload, poll], highest_memory(api, body, kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the numbers to this file as well")
    arguments = parser.parse_args()
    comparisons, memory = run(arguments.rounds)
    table = Table("", "measured", "bound", "ratio", "target")
    for it in comparisons:
        figures = f"{it.measured:,.0f} {it.unit}/s", f"{it.bound:,.0f} {it.unit}/s"
        table.add_row(it.name, *figures, f"{it.ratio:.2f}", f"{it.target:.2f}")
    sent = f"API's memory while {MEMORY_BYTES / 1e9:g} GB go through"
    table.add_row(sent, f"{memory / 1e6:,.0f} MB", "", "", "200 MB")
    Console().print(table)
    if arguments.json:
        found = {"comparisons": [asdict(it) for it in comparisons], "memory_bytes": memory}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
