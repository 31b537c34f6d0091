"""`multipart/form-data` (RFC 7578) read as it arrives: a part's bytes are never held whole."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from shared.errors import ErrorCode, GridscribeError

MAX_HEADER_BYTES = 4096
MAX_HEADERS = 8
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    filename: str | None
    chunks: AsyncIterator[bytes]
    """The part's bytes; only valid until the next part is asked for."""


def media_type(content_type: str | None) -> str:
    """`Content-Type` without its parameters, in lower case; empty without one."""
    return parse_options_header(content_type)[0].decode("latin-1")


async def read_parts(
    body: AsyncIterator[bytes], content_type: str | None, *, max_parts: int
) -> AsyncIterator[Part]:
    """The parts of `body` in order; what the caller leaves of one is skipped.

    Raises `GridscribeError` with INVALID_REQUEST for a body that breaks the format, ends early or
    has more than `max_parts` parts.
    """
    events = _EventStream(body, content_type)
    count = 0
    while (headers := await events.next_headers()) is not None:
        count += 1
        if count > max_parts:
            raise _broken(f"it has more than {max_parts} parts")
        name, filename = _names(headers, count)
        chunks = events.part_chunks()
        yield Part(name, filename, chunks)
        async for _ in chunks:
            pass


async def read_single_part(body: AsyncIterator[bytes], content_type: str | None, name: str) -> Part:
    """The only part, which must be called `name`; a second one fails the reading of its bytes."""
    parts = read_parts(body, content_type, max_parts=1)
    part = await anext(parts, None)
    if part is None or part.name != name:
        found = "none" if part is None else repr(part.name[:100])
        raise _broken(f"its one part must be {name!r}, not {found}")

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in part.chunks:
            yield chunk
        async for _ in parts:
            pass

    return Part(part.name, part.filename, chunks())


class _EventStream:
    """What the parser reports, in order: headers begin a part, bytes follow, None ends it."""

    def __init__(self, body: AsyncIterator[bytes], content_type: str | None) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise _broken("its Content-Type names no boundary")
        self._body = body
        self._events: deque[dict[bytes, bytes] | bytearray | None] = deque()
        self._ended = False
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_count=MAX_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise _broken(str(error)) from error

    async def next_headers(self) -> dict[bytes, bytes] | None:
        """The headers of the part that begins now; None at the end of the body."""
        while not self._events and not self._ended:
            await self._feed()
        headers = self._events.popleft() if self._events else None
        if isinstance(headers, bytearray):
            raise TypeError("the part before this one was not read to its end")
        return headers

    async def part_chunks(self) -> AsyncIterator[bytes]:
        while True:
            while not self._events:
                await self._feed()
            event = self._events.popleft()
            if not isinstance(event, bytearray):
                return
            yield bytes(event)

    async def _feed(self) -> None:
        chunk = await anext(self._body, None)
        if chunk is None:
            raise _broken("it ends before its last boundary")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(str(error)) from error

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        self._events.append(self._headers)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        # Bytes that look like a boundary's beginning come one by one: they are joined again here,
        # or a file made of them would cost a round trip to the storage for each.
        if self._events and isinstance(self._events[-1], bytearray):
            self._events[-1] += memoryview(data)[start:end]
        else:
            self._events.append(bytearray(memoryview(data)[start:end]))

    def _on_part_end(self) -> None:
        self._events.append(None)

    def _on_end(self) -> None:
        self._ended = True


def _names(headers: dict[bytes, bytes], position: int) -> tuple[str, str | None]:
    disposition, options = parse_options_header(headers.get(b"content-disposition"))
    name = options.get(b"name")
    if disposition != b"form-data" or name is None:
        raise _broken(f"part {position} has no Content-Disposition that names it")
    filename = options.get(b"filename")
    return _text(name), None if filename is None else _text(filename)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _broken(why: str) -> GridscribeError:
    return GridscribeError(
        ErrorCode.INVALID_REQUEST,
        f"the multipart body cannot be read: {why}; send {MULTIPART} as RFC 7578 has it",
    )
