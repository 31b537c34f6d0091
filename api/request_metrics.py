"""Counts requests: by route, status and time to the first byte, and the bytes that they bring."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.counters import Counters

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """ASGI middleware. Labels hold no words of a caller's: an address is counted by its route."""

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def receive_counting() -> Message:
            message = await receive()
            if body := message.get("body"):
                self._counters.count("received_bytes", amount=len(body))
            return message

        async def send_counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"], time.monotonic() - began)
            await send(message)

        await self._app(scope, receive_counting, send_counting)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unknown")
        self._counters.count("requests", method, route, str(status))
        self._counters.observe("request_ms", method, route, value=round(seconds * 1000))
        if refusal := scope.get("state", {}).get("refusal"):
            self._counters.count("refusals", refusal)
