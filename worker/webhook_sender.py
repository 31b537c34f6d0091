"""One attempt at one webhook: a POST that is never redirected, and never into our own network."""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import anyio
import httpx

from shared.delivery_queue import Outcome
from shared.url_guard import ForbiddenUrlError, UrlGuard, guarded_client

READ_BYTES = 4096
"""Of an answer; the rest is not waited for."""
_KEPT_CHARACTERS = 500
_BODY_SECONDS = 2.0
_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "Gridscribe-Webhooks/1",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    duration_ms: int = 0
    status: int | None = None
    text: str | None = None
    """How the answer's body begins."""
    error: str | None = None
    """Why it counts as failed."""
    retry_after: float | None = None
    """Seconds that the receiver asks to be left alone for."""


class WebhookSender:
    """Use it as an async context. Connections are not kept: receivers differ from one to the next,
    and one that was idle may fail for no fault of the receiver's."""

    def __init__(self, guard: UrlGuard, timeout: float, connections: int) -> None:
        self._guard = guard
        self._timeout = timeout
        self._client = guarded_client(
            guard,
            timeout=httpx.Timeout(timeout),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=0),
        )

    async def __aenter__(self) -> "WebhookSender":
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """What became of it; whatever goes wrong outside is an answer too."""
        started = time.monotonic()
        try:
            with anyio.fail_after(self._timeout):
                answer = await self._post(url, headers, body)
        except ForbiddenUrlError as error:
            answer = _unanswered(f"not allowed: {error}")
        except (TimeoutError, httpx.TimeoutException):
            answer = _unanswered(f"no answer within {self._timeout:g} s")
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            answer = _unanswered(f"its host cannot be reached{_words(error)}")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer = _unanswered(f"the connection broke off{_words(error)}")
        return replace(answer, duration_ms=round((time.monotonic() - started) * 1000))

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        async with self._client.stream(
            "POST", self._guard.check_url(url), headers=_HEADERS | headers, content=body
        ) as answer:
            status = answer.status_code
            data = b""
            # The status says it all: a body that stalls or breaks off changes nothing.
            with suppress(httpx.HTTPError), anyio.move_on_after(_BODY_SECONDS):
                async for chunk in answer.aiter_raw():
                    data += chunk
                    if len(data) >= READ_BYTES:
                        break
        return Answer(
            _outcome(status),
            status=status,
            text=data[:READ_BYTES].decode(errors="replace")[:_KEPT_CHARACTERS],
            error=_complaint(answer),
            retry_after=_retry_after(answer.headers.get("retry-after")),
        )


def _unanswered(error: str) -> Answer:
    return Answer(Outcome.UNANSWERED, error=error)


def _words(error: Exception) -> str:
    return f": {error}" if str(error) else ""


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome.DELIVERED
    return Outcome.GONE if status == httpx.codes.GONE else Outcome.REFUSED


def _complaint(answer: httpx.Response) -> str | None:
    if answer.is_success:
        return None
    if answer.is_redirect:
        return f"it answered {answer.status_code}; redirects are not followed"
    return f"it answered {answer.status_code}, not 2xx"


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number of them or from a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:  # "-0000": in UTC, from nowhere
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
