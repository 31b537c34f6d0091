"""HTTP/1.1 on a connection, with bounds that uvicorn's own protocol lacks.

Named to uvicorn by `--http api.http_protocol:BoundedProtocol`. Bodies have bounds of their own
(`api.byte_streams`), and so have streams of events (`api.event_stream`).
"""

import asyncio
from asyncio.events import TimerHandle
from collections.abc import Callable
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Of what comes without being a body: request line, headers, a chunk's extensions, trailers. It is
counted in the pieces that come from the network."""
HEAD_SECONDS = 20.0
"""From the connection, or from a head's first byte, to the head's end; also for the rest of a body
whose request was answered already."""
STALLED_SECONDS = 60.0
"""A caller who takes nothing of an answer for so long is dropped."""


class BoundedProtocol(HttpToolsProtocol):
    """Lets go of callers whose head is slow (CWE-400: "Slowloris") or endless, and of those who
    do not take their answers: each would hold a connection, or memory, as long as it liked."""

    _in_head = True
    _has_progress = False
    _unread_bytes = 0
    _overdue: TimerHandle | None = None
    _stalled: TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._expect_head(self._refuse_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._has_progress = False
        super().data_received(data)
        # What began in this very piece is counted from the next one on.
        self._unread_bytes = 0 if self._has_progress else self._unread_bytes + len(data)
        if self._unread_bytes > MAX_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._in_head and self._overdue is None:
            self._expect_head(self._refuse_slow)

    def on_message_begin(self) -> None:
        self._in_head = self._has_progress = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_came()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_progress = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and self._overdue is None:
            self._expect_head(self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def _expect_head(self, otherwise: Callable[[], None]) -> None:
        self._overdue = self.loop.call_later(HEAD_SECONDS, otherwise)

    def _head_came(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _refuse_slow(self) -> None:
        self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        if not self.transport.is_closing():
            ending = b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(b"HTTP/1.1 " + status + ending)
            self.transport.close()
