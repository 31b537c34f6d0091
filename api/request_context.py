"""Every request has an id: in the answer, in problems, in the log. Nothing unexpected leaks, and
no browser takes an answer for more than it is.
"""

import logging
import re
from secrets import token_hex

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_response
from shared.logging import bound
from shared.problems import problem

HEADER = "X-Request-Id"
_COMMON = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
_POLICY = b"content-security-policy"
_OF_PAGES = [*_COMMON, (_POLICY, b"frame-ancestors 'none'")]
_OF_OTHERS = [*_COMMON, (_POLICY, b"default-src 'none'; frame-ancestors 'none'")]
"""For an answer without a policy of its own: only a page has to load anything."""
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_log = logging.getLogger(__name__)


def request_id(connection: HTTPConnection) -> str:
    return str(connection.state.request_id)


class RequestContext:
    """ASGI middleware: takes the caller's `X-Request-Id` where it is harmless, else makes one; sets
    the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get(HEADER, "")
        identifier = asked if _ACCEPTABLE.fullmatch(asked) else token_hex(16)
        scope.setdefault("state", {})["request_id"] = identifier
        has_begun = False

        async def send_with_id(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                given = dict(message["headers"])
                is_page = given.get(b"content-type", b"").startswith(b"text/html")
                more = [it for it in (_OF_PAGES if is_page else _OF_OTHERS) if it[0] not in given]
                named = (HEADER.lower().encode(), identifier.encode())
                message["headers"] = [*message["headers"], named, *more]
            await send(message)

        try:
            with bound(request_id=identifier):
                await self._app(scope, receive, send_with_id)
        except Exception:
            if has_begun:
                raise  # only breaking the connection can tell the caller now
            with bound(request_id=identifier):
                _log.exception("request failed: %s %s", scope["method"], scope["path"])
            unexpected = problem(
                "internal_error",
                500,
                "Something went wrong on our side; name the request id when you report it.",
                instance=scope["path"],
                request_id=identifier,
            )
            await problem_response(unexpected)(scope, receive, send_with_id)
