"""What a guarded client connects to, seen from real servers on this machine."""

import asyncio
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import httpx
import pytest
import trustme

from shared.url_guard import ForbiddenUrlError, Resolver, UrlGuard, guarded_client, resolve

LOOPBACK = ip_network("127.0.0.0/8")
TIMEOUT = httpx.Timeout(5)


class _Answer(BaseHTTPRequestHandler):
    """Says by which address it was reached and what was asked of it."""

    def do_GET(self) -> None:
        seen: list[tuple[str, str]] = self.server.seen  # type: ignore[attr-defined]
        seen.append((self.connection.getsockname()[0], self.headers["Host"]))
        moved = self.path.startswith("/moved-to/")
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", self.path.removeprefix("/moved-to/"))
        self.send_header("Set-Cookie", "a=b")
        self.send_header("Content-Length", "0")
        self.end_headers()
        seen.append(("cookie", self.headers.get("Cookie", "")))

    def log_message(self, *_: object) -> None:
        pass


class Server:
    def __init__(self, context: ssl.SSLContext | None = None, address: str = "") -> None:
        self._http = ThreadingHTTPServer((address, 0), _Answer)
        self._http.seen = []  # type: ignore[attr-defined]
        if context:
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.port = int(self._http.server_address[1])

    @property
    def seen(self) -> list[tuple[str, str]]:
        return self._http.seen  # type: ignore[attr-defined, no-any-return]

    @contextmanager
    def running(self) -> Iterator["Server"]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        thread.start()
        yield self
        self._http.shutdown()
        thread.join()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server().running() as server:
        yield server


class Names:
    """A name server of our own; each question takes the next of its answers."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:  # noqa: ARG002 (a Resolver)
        self.asked.append(host)
        return self._answers[host].pop(0)


def get(
    url: str,
    server: Server,
    *,
    resolver: Resolver = resolve,
    loopback: bool = True,
    verify: ssl.SSLContext | None = None,
    times: int = 1,
) -> httpx.Response:
    guard = UrlGuard([LOOPBACK] if loopback else [], [server.port, 80], resolver)

    async def ask() -> httpx.Response:
        async with guarded_client(guard, timeout=TIMEOUT, verify=verify) as client:
            for _ in range(times):
                answer = await client.get(guard.check_url(url))
            return answer

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost",
        "LOCALHOST.",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "127。0。0。1",
        "①②⑦.0.0.1",
    ],
)
def test_this_machine_is_not_reached_by_any_spelling(server: Server, host: str) -> None:
    # A spelling that this system does not take for an address at all is as good.
    with pytest.raises((ForbiddenUrlError, httpx.ConnectError)):
        get(f"http://{host}:{server.port}/", server, loopback=False)
    assert server.seen == []


def test_the_spellings_lead_to_this_machine_where_it_is_allowed(server: Server) -> None:
    for host in ("127.0.0.1", "2130706433", "0x7f.1", "127.1"):
        assert get(f"http://{host}:{server.port}/", server).status_code == 200


def test_one_address_that_is_not_public_spoils_all(server: Server) -> None:
    names = Names(mixed_example=[["127.0.0.1", "10.0.0.1"]])
    with pytest.raises(ForbiddenUrlError, match="private"):
        get(f"http://mixed.example:{server.port}/", server, resolver=names.resolve)
    assert server.seen == []


def test_a_name_is_asked_for_once_and_that_very_answer_is_connected_to(server: Server) -> None:
    names = Names(rebinding_example=[["127.0.0.2"], ["169.254.169.254"]])
    url = f"http://rebinding.example:{server.port}/"
    assert get(url, server, resolver=names.resolve).status_code == 200
    assert names.asked == ["rebinding.example"]
    assert server.seen[0] == ("127.0.0.2", f"rebinding.example:{server.port}")


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    names = Names(two_example=[["127.0.0.3", "127.0.0.2"]])
    with Server(address="127.0.0.2").running() as server:
        url = f"http://two.example:{server.port}/"
        assert get(url, server, resolver=names.resolve).status_code == 200


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:6379/", "file:///x"]
)
def test_a_redirect_is_an_answer_and_nothing_more(server: Server, target: str) -> None:
    answer = get(f"http://127.0.0.1:{server.port}/moved-to/{target}", server)
    assert answer.status_code == 302
    assert len(server.seen) == 2


def test_a_proxy_of_the_environment_is_not_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
    with pytest.raises(ForbiddenUrlError):
        get("http://10.0.0.1/", server)
    assert server.seen == []


def test_cookies_are_not_kept(server: Server) -> None:
    get(f"http://127.0.0.1:{server.port}/", server, times=2)
    assert [value for kind, value in server.seen if kind == "cookie"] == ["", ""]


def test_tls_verifies_the_name_and_not_the_address() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("images.example").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with Server(context).running() as server:
        names = Names(images_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
        ask = partial(get, server=server, resolver=names.resolve, verify=trust)
        assert ask(f"https://images.example:{server.port}/").status_code == 200
        with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
            ask(f"https://other.example:{server.port}/")


def test_a_name_that_is_unknown_or_slow_is_no_connection(server: Server) -> None:
    with pytest.raises(httpx.ConnectError):
        get("http://no-such-host.invalid/", server)

    async def slow(host: str, port: int) -> Sequence[str]:  # noqa: ARG001 (a Resolver)
        await asyncio.sleep(10)
        return []

    guard = UrlGuard(resolver=slow)

    async def ask() -> None:
        async with guarded_client(guard, timeout=httpx.Timeout(0.1)) as client:
            await client.get("http://slow.example/")

    with pytest.raises(httpx.ConnectTimeout):
        asyncio.run(ask())
