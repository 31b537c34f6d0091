"""Images that a job names by URL, from a real server that behaves well or badly."""

import base64
import contextlib
import gzip
import io
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from redis import Redis

from shared.settings import MEBIBYTE, Settings
from tests.integration.api.served import png, problem_of, serving
from tests.integration.api.test_submission import stored_images

AssertNothingIsLeft = Callable[[], None]
TIMEOUT = 60.0
IMPATIENCE = 0.6
"""The time-out of the tests of sources that are too slow."""
SLACK = 20.0
"""Seconds that a busy machine may add: such sources take longer still."""


class Source(BaseHTTPRequestHandler):
    """Answers by the first part of the path."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        action = self.path.strip("/").split("/")[0].partition(".")[0]
        self.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the caller had enough
            getattr(self, f"_{action}")()

    def _send(self, data: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def _picture(self) -> None:
        self._send(png(20, 10))

    def _page(self) -> None:
        self._send(b"<!doctype html><title>Log in</title>", Content_Type="text/html")

    def _archive(self) -> None:
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("a.png", png(30))
            archive.writestr("b.png", png(40))
        self._send(data.getvalue())

    def _empty(self) -> None:
        self._send(b"")

    def _missing(self) -> None:
        self._send(b"gone", 404)

    def _partial(self) -> None:
        self._send(png(), 206)

    def _moved(self) -> None:
        self._send(b"", 302, Location="http://169.254.169.254/latest/meta-data/")

    def _packed(self) -> None:
        self._send(gzip.compress(bytes(50 * MEBIBYTE)), Content_Encoding="gzip")

    def _announced(self) -> None:
        self._send(b"", Content_Length=str(10**12))

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(bytes(64 * 1024))

    def _dripping(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def _silent(self) -> None:
        self.connection.settimeout(60)
        self.rfile.read(1)  # until the caller leaves

    def _reset(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(png())
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _short(self) -> None:
        self._send(png(), Content_Length="1000")

    def _rubbish(self) -> None:
        self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")

    def _sum(self) -> None:
        self._send(png() + bytes(MEBIBYTE - 1000))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def source() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Source)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def address(source: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{source.server_address[1]}"


@pytest.fixture(scope="module")
def fetching(api_settings: Settings, source: ThreadingHTTPServer) -> Settings:
    return api_settings.model_copy(
        update={
            "allowed_networks": (ip_network("127.0.0.0/8"),),
            "allowed_ports": (source.server_address[1], 1),
            "fetch_timeout_seconds": TIMEOUT,
        }
    )


@pytest.fixture
def impatient(fetching: Settings) -> Settings:
    return fetching.model_copy(update={"fetch_timeout_seconds": IMPATIENCE})


@pytest.fixture(scope="module")
def client(fetching: Settings) -> Iterator[httpx.Client]:
    with serving(fetching) as client:
        yield client


def submit_urls(client: httpx.Client, *urls: str, **reference: Any) -> httpx.Response:
    return client.post("/v1/jobs", json={"images": [{"url": url, **reference} for url in urls]})


def test_images_by_url_keep_their_order_and_their_names(
    client: httpx.Client, redis: Redis, address: str
) -> None:
    images = [
        {"url": f"{address}/picture/owl%20one.png?size=large"},
        {"data": "data:image/png;base64," + base64.b64encode(png(1)).decode()},
        {"url": f"{address}/archive/shots"},
        {"url": f"{address}/picture", "name": "named.png", "label": "Owl", "metadata": {"n": 1}},
    ]
    answer = client.post("/v1/jobs", json={"images": images})
    assert answer.status_code == 202, answer.text
    stored = stored_images(redis, answer.json()["id"])
    names = [image.name for image in stored]
    assert names == ["owl one.png", "image-2", "a.png", "b.png", "named.png"]
    assert [image.width for image in stored] == [20, 1, 30, 40, 20]
    assert (stored[-1].label, stored[-1].metadata) == ("Owl", {"n": 1})


def test_many_images_are_fetched_a_few_at_a_time(
    client: httpx.Client, redis: Redis, address: str
) -> None:
    answer = submit_urls(client, *(f"{address}/picture/{n}.png" for n in range(12)))
    assert answer.status_code == 202, answer.text
    names = [image.name for image in stored_images(redis, answer.json()["id"])]
    assert names == [f"{n}.png" for n in range(12)]


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/page", "not_an_image", "not an image"),
        ("/empty", "not_an_image", "empty file"),
        ("/missing", "fetch_failed", "404"),
        ("/partial", "fetch_failed", "206"),
        ("/moved", "fetch_failed", "redirects are not followed"),
        ("/packed", "fetch_failed", "Content-Encoding"),
        ("/announced", "file_too_large", "1,048,576"),
        ("/endless", "file_too_large", "1,048,576"),
        ("/reset", "fetch_failed", "broke off"),
        ("/short", "fetch_failed", "broke off"),
        ("/rubbish", "fetch_failed", "broke off"),
    ],
)
def test_an_image_that_cannot_be_had_is_named(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    address: str,
    path: str,
    code: str,
    words: str,
) -> None:
    problem = problem_of(submit_urls(client, f"{address}/picture", f"{address}{path}"))
    assert problem["code"] == code
    assert problem["errors"][0]["location"] == "images[1].url"
    assert words in problem["detail"]
    assert_nothing_is_left()


@pytest.mark.parametrize("path", ["/dripping", "/silent"])
def test_an_image_that_comes_too_slowly_is_given_up(
    impatient: Settings, assert_nothing_is_left: AssertNothingIsLeft, address: str, path: str
) -> None:
    with serving(impatient) as client:
        began = time.monotonic()
        problem = problem_of(submit_urls(client, f"{address}{path}"))
    assert time.monotonic() - began < IMPATIENCE + SLACK
    assert (problem["code"], problem["errors"][0]["location"]) == ("fetch_failed", "images[0].url")
    assert "within 0.6 s" in problem["detail"]
    assert_nothing_is_left()


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("http://127.0.0.1:1/", "fetch_failed", "cannot be reached"),
        ("http://no-such-host.invalid:1/", "fetch_failed", "cannot be reached"),
        ("http://169.254.169.254:1/latest/meta-data/", "url_not_allowed", "link-local"),
        ("http://[::ffff:10.0.0.1]:1/", "url_not_allowed", "private"),
        ("http://127.0.0.1:22/", "url_not_allowed", "port 22"),
        ("http://me:secret@127.0.0.1:1/", "url_not_allowed", "password"),
        ("file:///etc/passwd", "url_not_allowed", "http://"),
        ("http://[::1", "url_not_allowed", "understood"),
    ],
)
def test_an_address_that_is_not_asked_is_named(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    url: str,
    code: str,
    words: str,
) -> None:
    problem = problem_of(submit_urls(client, url))
    assert (problem["code"], problem["errors"][0]["location"]) == (code, "images[0].url")
    assert words in problem["detail"]
    assert_nothing_is_left()


def test_all_images_that_cannot_be_had_are_named_at_once(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft, address: str
) -> None:
    urls = [f"{address}/missing", f"{address}/picture", f"{address}/page", "ftp://x"]
    problem = problem_of(submit_urls(client, *urls))
    locations = [error["location"] for error in problem["errors"]]
    assert locations == ["images[0].url", "images[2].url", "images[3].url"]
    assert_nothing_is_left()


def test_this_machine_is_not_asked_unless_its_operator_allows_it(
    fetching: Settings,
    assert_nothing_is_left: AssertNothingIsLeft,
    source: ThreadingHTTPServer,
    address: str,
) -> None:
    source.asked.clear()  # type: ignore[attr-defined]
    with serving(fetching.model_copy(update={"allowed_networks": ()})) as client:
        problem = problem_of(submit_urls(client, f"{address}/picture"))
    assert problem["code"] == "url_not_allowed"
    assert source.asked == []  # type: ignore[attr-defined]
    assert_nothing_is_left()


def test_all_images_of_a_request_have_one_time_limit(
    fetching: Settings, assert_nothing_is_left: AssertNothingIsLeft, address: str
) -> None:
    short = fetching.model_copy(update={"fetch_total_seconds": 0.8})
    with serving(short) as client:
        began = time.monotonic()
        problem = problem_of(submit_urls(client, *[f"{address}/silent"] * 12))
    assert time.monotonic() - began < 0.8 + SLACK < TIMEOUT
    assert len(problem["errors"]) == 12
    assert "together" in problem["errors"][-1]["detail"]
    assert_nothing_is_left()


def test_all_images_of_a_request_have_one_limit_of_bytes(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft, address: str
) -> None:
    problem = problem_of(submit_urls(client, *[f"{address}/sum"] * 6))
    assert problem["code"] == "request_too_large"
    assert "4,194,304" in problem["detail"]
    assert_nothing_is_left()


def test_too_many_images_are_refused_before_one_is_fetched(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    source: ThreadingHTTPServer,
    address: str,
) -> None:
    source.asked.clear()  # type: ignore[attr-defined]
    problem = problem_of(submit_urls(client, *[f"{address}/picture"] * 13))
    assert problem["code"] == "too_many_images"
    assert source.asked == []  # type: ignore[attr-defined]
    assert_nothing_is_left()


def test_an_image_has_one_source(client: httpx.Client, address: str) -> None:
    problem = problem_of(submit_urls(client, f"{address}/picture", upload_id="x"))
    assert "exactly one" in problem["detail"]
