"""Server-sent events (HTML Living Standard, section 9.2)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import aclosing
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Send

MEDIA_TYPE = "text/event-stream"
SEND_SECONDS = 30.0
"""A client that takes nothing for so long is dropped."""
RECONNECT_MILLISECONDS = 2000

_log = logging.getLogger(__name__)

KEEP_ALIVE = ": alive\n\n"


def event(name: str, data: str, event_id: object = None) -> str:
    """`data` is JSON, so it has no line breaks."""
    identity = "" if event_id is None else f"id: {event_id}\n"
    return f"{identity}event: {name}\ndata: {data}\n\n"


class EventStream(StreamingResponse):
    """Sends each event when it comes. The next one is asked for only when it was taken, so that
    nothing piles up; a client that stops taking is let go."""

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(
            events,
            media_type=MEDIA_TYPE,
            # A proxy that collected the answer would hold the events back.
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self._events = events

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: MutableMapping[str, Any]) -> None:
            await asyncio.wait_for(send(message), SEND_SECONDS)

        async with aclosing(self._events):
            try:
                await super().stream_response(send_in_time)
            except TimeoutError:
                _log.info("dropped a listener who took nothing for %g s", SEND_SECONDS)
