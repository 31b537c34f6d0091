"""Callers below HTTP: heads that are slow, endless or ambiguous, and answers nobody takes."""

import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat

import httpx
import pytest
from redis import Redis

from api import http_protocol
from shared.api_keys import ApiKeys
from tests.fixtures.waiting import PATIENCE
from tests.integration.api.served import GOOD, problem_of

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@contextmanager
def connected(client: httpx.Client) -> Iterator[socket.socket]:
    address = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(address, PATIENCE) as caller:
        yield caller


def all_of(caller: socket.socket) -> bytes:
    """What comes until the other side closes."""
    received = b""
    try:
        while piece := caller.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("begun", [b"", HEAD], ids=["nothing", "half a head"])
def test_a_head_that_does_not_come_is_given_up(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.3)
    with connected(client) as caller:
        caller.sendall(begun)
        assert all_of(caller).startswith(b"HTTP/1.1 408 ")


def test_dripping_does_not_lengthen_the_time_for_a_head(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 1.5)
    with connected(client) as caller:
        caller.sendall(HEAD + b"\r\n")
        assert caller.recv(65536).startswith(b"HTTP/1.1 200 ")
        caller.settimeout(0.05)
        answer, deadline = b"", time.monotonic() + PATIENCE
        caller.sendall(HEAD)
        while not answer:
            assert time.monotonic() < deadline
            try:
                answer = caller.recv(65536)
            except TimeoutError:
                caller.sendall(b"X: y\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("begun", "endless"),
    [
        (b"GET /", b"a" * 4096),
        (HEAD, b"X: " + b"a" * 4096),
        (HEAD, b"X-Many: y\r\n" * 400),
        (
            b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X-Trailer: y\r\n" * 400,
        ),
    ],
    ids=["address", "header", "headers", "trailers"],
)
def test_a_head_without_end_is_refused_before_it_fills_the_memory(
    client: httpx.Client, begun: bytes, endless: bytes
) -> None:
    with connected(client) as caller:
        caller.sendall(begun)
        # Many times what the system's buffers hold while the server is not on a core.
        pieces = repeat(endless, 1024 * http_protocol.MAX_HEAD_BYTES // len(endless))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            deque(map(caller.sendall, pieces), maxlen=0)
    assert client.get("/healthz").is_success


def test_the_rest_of_a_refused_body_is_not_waited_for(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 1.0)
    with connected(client) as caller:
        caller.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert caller.recv(65536).startswith(b"HTTP/1.1 404 ")
        began = time.monotonic()
        caller.sendall(b"x")
        assert all_of(caller) == b""
        assert time.monotonic() - began < PATIENCE / 2


def test_a_caller_who_takes_nothing_of_the_answers_is_dropped(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "STALLED_SECONDS", 0.3)
    with connected(client) as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        deadline = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < deadline:
                caller.sendall(request)
                time.sleep(0.02)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Content-Length : 5\r\n",
        b"X: y\r\n Content-Length: 5\r\n",
        b"X: y\nContent-Length: 5\r\n",
        b"X: y\rContent-Length: 5\r\n",
    ],
    ids=repr,
)
def test_a_request_whose_end_two_parties_may_see_differently_is_refused(
    client: httpx.Client, head: bytes
) -> None:
    """Else a proxy before us could be made to pass on what it never saw (RFC 9112, 11.2)."""
    with connected(client) as caller:
        caller.sendall(b"POST /v1/preview HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n")
        caller.sendall(b"0\r\n\r\n" + HEAD + b"\r\n")
        answer = all_of(caller)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows is no request of its own"


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/nowhere", 404), ("/v1/models", 200), ("/docs", 200)]
)
def test_every_answer_tells_browsers_to_take_it_for_what_it_is(
    client: httpx.Client, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert ("default-src 'none'" in policy) == (path != "/docs")
    assert "Server" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_page_of_elsewhere_may_not_read_answers(client: httpx.Client) -> None:
    """No CORS: a browser asks before it sends a key, and is told nothing."""
    asked = client.options(
        "/v1/jobs",
        headers={
            "Origin": "https://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert asked.status_code == 405
    assert not any(name.lower().startswith("access-control") for name in asked.headers)


@pytest.mark.parametrize("host", ["user@evil.example", "evil.example/x", "a b", "a,b", "[x]"])
def test_links_are_not_made_of_a_host_that_is_none(
    client: httpx.Client, redis: Redis, host: str
) -> None:
    secret, _ = ApiKeys(redis).create("studio")  # such a host is not of this machine
    refused = client.get("/v1/jobs", headers={"Host": host, "Authorization": f"Bearer {secret}"})
    assert refused.status_code == 400
    assert problem_of(refused)["errors"][0]["location"] == "Host"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_links_lead_to_the_host_that_was_asked(client: httpx.Client, host: str) -> None:
    job = client.post("/v1/jobs", files=[GOOD], headers={"Host": host}).json()
    assert job["urls"]["self"].startswith(f"http://{host}/v1/jobs/")
