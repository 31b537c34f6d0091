"""HTTP with nothing but the standard library: ComfyUI's Python need not have a client library."""

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin

from .host import raise_if_interrupted
from .service_address import Address, parse_address
from .sheet_order import SheetError

_TIMEOUT = 60.0
_CHUNK = 1024 * 1024
_MOST_JSON = 64 * 1024 * 1024
_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (http.client.TOO_MANY_REQUESTS, http.client.SERVICE_UNAVAILABLE)
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0
_CANCEL_SEEN_AFTER = 0.2

ResultT = TypeVar("ResultT")


class RefusedError(SheetError):
    """The service answered, and the answer is no; its own words are the message."""

    def __init__(self, message: str, status: int, retry_after: float) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        """Seconds that the service asks to wait; 0 where it says nothing."""


class UnreachableError(SheetError):
    """No answer came."""


@dataclass(frozen=True)
class Body:
    """What a request sends; `chunks` are iterated anew for every try."""

    chunks: Iterable[bytes]
    length: int
    media_type: str


class Connection:
    """Asks the service at `address`.

    Its methods raise `UnreachableError` or `RefusedError`. What may pass, a lost connection or a
    429 or 503, is tried again for `patience` seconds first.
    """

    def __init__(self, address: Address, api_key: str | None) -> None:
        self._address = address
        self._authorization = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def ask(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = 30.0,
    ) -> dict[str, Any]:
        """The JSON object that the service answers with; `path` begins with a slash."""

        def once() -> dict[str, Any]:
            sent = {**self._authorization, **(headers or {})}
            target = self._address.path + path
            with _answer(self._address, method, target, sent, body) as response:
                answer = _json_of(response, self._address)
                if not 200 <= response.status < 300:
                    raise _refusal(response, answer)
            if not isinstance(answer, dict):
                raise SheetError(
                    f"{self._address.url}{path} does not answer in JSON: this is no Gridscribe"
                    " service; see server_url"
                )
            return answer

        return _patiently(once, patience)

    def fetch(self, path: str, file: Path, patience: float = 30.0) -> None:
        """Save what lies at `path`, following redirects, as `file`."""
        _patiently(lambda: self._fetch_once(path, file), patience)

    def _fetch_once(self, path: str, file: Path) -> None:
        address, target, headers = self._address, self._address.path + path, self._authorization
        for _ in range(_MOST_REDIRECTS + 1):
            with _answer(address, "GET", target, headers) as response:
                if response.status == http.client.OK:
                    with file.open("wb") as saved:
                        while chunk := _read(response, _CHUNK, address):
                            saved.write(chunk)
                    return
                if response.status not in _REDIRECTS:
                    raise _refusal(response, _json_of(response, address))
                location = response.headers.get("Location", "")
            # To a signed address of an object storage, which must not see the service's key.
            address, target = _redirected(f"{address.url}{target}", location)
            headers = {}
        raise SheetError(f"{self._address.url}{path}: more than {_MOST_REDIRECTS} redirects")


def sleep(seconds: float) -> None:
    """Wait, but raise ComfyUI's own exception soon after its user has pressed Cancel."""
    deadline = time.monotonic() + seconds
    while True:
        raise_if_interrupted()
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _CANCEL_SEEN_AFTER))


def _patiently(attempt: Callable[[], ResultT], patience: float) -> ResultT:
    deadline = time.monotonic() + patience
    pause = _FIRST_PAUSE
    while True:
        try:
            return attempt()
        except UnreachableError:
            if time.monotonic() + pause > deadline:
                raise
        except RefusedError as error:
            pause = max(pause, min(error.retry_after, _LONGEST_PAUSE))
            if error.status not in _PASSING or time.monotonic() + pause > deadline:
                raise
        sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _redirected(url: str, location: str) -> tuple[Address, str]:
    """Where a redirect from `url` leads: the server, and what to ask it for."""
    try:
        bare, question, query = urljoin(url, location).partition("?")
    except ValueError as error:
        raise SheetError(f"{url} leads to {location!r}, which is no address: {error}") from error
    address = parse_address(bare)
    return replace(address, path=""), f"{address.path or '/'}{question}{query}"


@contextlib.contextmanager
def _answer(
    address: Address,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Body | None = None,
) -> Iterator[http.client.HTTPResponse]:
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=_TIMEOUT)
    try:
        with _unreachable(address):
            connection.putrequest(method, target)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Type", body.media_type)
            connection.putheader("Content-Length", str(body.length if body else 0))
            connection.endheaders()
            # A server that has seen enough answers, then hangs up: its answer says why.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for chunk in body.chunks if body else ():
                    connection.send(chunk)
            response = connection.getresponse()
        yield response
    finally:
        connection.close()


@contextlib.contextmanager
def _unreachable(address: Address) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(
            f"no Gridscribe service answers at {address.url} ({error or type(error).__name__});"
            " start it with `gridscribe dev`, or see server_url"
        ) from error


def _read(response: http.client.HTTPResponse, size: int, address: Address) -> bytes:
    """Up to `size` bytes; empty only at the very end, never where the connection broke."""
    with _unreachable(address):
        data = response.read(size)
        if not data and response.length:
            raise http.client.IncompleteRead(b"", response.length)
    return data


def _json_of(response: http.client.HTTPResponse, address: Address) -> object:
    """The body's value; None for one that is no JSON."""
    data = b""
    while chunk := _read(response, _CHUNK, address):
        data += chunk
        if len(data) > _MOST_JSON:
            return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _refusal(response: http.client.HTTPResponse, answer: object) -> RefusedError:
    """From problem details (RFC 9457), or from whatever else answered."""
    problem = answer if isinstance(answer, dict) else {}
    detail = problem.get("detail") or f"{response.status} {response.reason}"
    if response.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        detail = (
            f"{detail} (set GRIDSCRIBE_API_KEY, and GRIDSCRIBE_SERVER to this service: the key is"
            " sent to no other)"
        )
    retry_after = response.headers.get("Retry-After", "")
    return RefusedError(
        f"the service refused: {detail}",
        response.status,
        float(retry_after) if retry_after.isdecimal() else 0.0,
    )
