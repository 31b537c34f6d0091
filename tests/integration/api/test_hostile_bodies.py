"""Bodies that are slow, endless or vast, byte by byte on a bare connection."""

import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from shared.settings import Settings
from tests.fixtures.waiting import PATIENCE
from tests.integration.api.served import png, serving

AssertNothingIsLeft = Callable[[], None]


SLACK = 10.0
"""Seconds that a busy machine may add: by its own settings the service would wait longer still."""


@pytest.fixture
def impatient(api_settings: Settings) -> Iterator[httpx.Client]:
    """A service that waits 0.2 s for what is too slow."""
    pace = {"body_grace_seconds": 0.2, "min_body_rate": 1000}
    with serving(api_settings.model_copy(update=pace)) as client:
        yield client


@pytest.fixture
def hurried(api_settings: Settings) -> Iterator[httpx.Client]:
    """A service that takes nothing for longer than 0.6 s."""
    with serving(api_settings.model_copy(update={"body_timeout_seconds": 0.6})) as client:
        yield client


def connect(client: httpx.Client, headers: str) -> socket.socket:
    """A connection on which a POST with `headers` to `/v1/jobs` has begun."""
    host, port = client.base_url.host, client.base_url.port or 80
    caller = socket.create_connection((host, port), PATIENCE)
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n\r\n"
    caller.sendall(head.encode())
    return caller


MULTIPART = "Content-Type: multipart/form-data; boundary=x\r\n"
PART = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'


@pytest.mark.parametrize("pause", [0.05, PATIENCE], ids=["dripping", "stalled"])
def test_a_body_that_comes_too_slowly_is_given_up(
    impatient: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft, pause: float
) -> None:
    with connect(impatient, MULTIPART + "Content-Length: 100000") as caller:
        began = time.monotonic()
        caller.sendall(PART + png())
        caller.settimeout(pause)
        answer = b""
        while not answer:
            try:
                answer = caller.recv(65536)
            except TimeoutError:
                caller.sendall(b"x")
        assert 0.15 < time.monotonic() - began < 0.2 + SLACK
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"request_too_slow" in answer
        caller.settimeout(PATIENCE)
        assert caller.recv(100) == b"", "the connection is closed"
    assert_nothing_is_left()


def test_a_body_that_comes_fast_but_never_ends_is_given_up(
    hurried: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    with connect(hurried, MULTIPART + "Content-Length: 4000000") as caller:
        began = time.monotonic()
        caller.sendall(PART + png())
        caller.settimeout(0.05)
        answer = b""
        while not answer:
            try:
                answer = caller.recv(65536)
            except TimeoutError:
                caller.sendall(bytes(1000))
        assert 0.5 < time.monotonic() - began < 0.6 + SLACK
        assert answer.startswith(b"HTTP/1.1 408 ")
    assert_nothing_is_left()


def test_a_body_of_a_gigabyte_is_refused_by_its_header(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    with connect(client, MULTIPART + f"Content-Length: {1024**3}") as caller:
        answer = caller.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"request_too_large" in answer
    assert_nothing_is_left()


@pytest.mark.parametrize(
    ("pieces_a_file", "code"),
    [(None, b"file_too_large"), (8, b"request_too_large")],
    ids=["one file", "file after file"],
)
def test_a_chunked_body_without_end_is_counted(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    pieces_a_file: int | None,
    code: bytes,
) -> None:
    def chunk(data: bytes) -> bytes:
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    with connect(client, MULTIPART + "Transfer-Encoding: chunked") as caller:
        caller.sendall(chunk(PART + png()))
        sent, answer = 0, b""
        caller.settimeout(0.001)
        while not answer:
            assert sent < 1024, "an answer comes while the body goes on"
            try:
                answer = caller.recv(65536)
            except TimeoutError:
                caller.settimeout(PATIENCE)
                sent += 1
                if pieces_a_file and sent % pieces_a_file == 0:
                    caller.sendall(chunk(b"\r\n" + PART + png()))
                caller.sendall(chunk(bytes(0x10000)))
                caller.settimeout(0.001)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert code in answer
    assert_nothing_is_left()


@pytest.mark.parametrize(
    "headers",
    [
        MULTIPART + "Content-Length: 10\r\nTransfer-Encoding: chunked",
        MULTIPART + "Content-Length: 10\r\nContent-Length: 20",
        MULTIPART + "Content-Length: -1",
        MULTIPART + "Content-Length: 0x10",
        MULTIPART + "Transfer-Encoding: chunked, identity",
        "Content-Type: multipart/form-data; boundary=x\r\nX: " + "y" * 100_000,
    ],
)
def test_lengths_that_contradict_each_other_are_refused(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft, headers: str
) -> None:
    with connect(client, headers) as caller:
        caller.sendall(b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = caller.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert_nothing_is_left()
