"""Bytes that come bit by bit: bounding them, looking ahead, reading small ones whole."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO

import anyio
from anyio import to_thread

from shared.errors import GridscribeError

READ_CHUNK = 1024 * 1024


async def bounded(
    chunks: AsyncIterator[bytes], limit: int, error: GridscribeError
) -> AsyncIterator[bytes]:
    """The same chunks; raises `error` as soon as more than `limit` bytes have come."""
    count = 0
    async for chunk in chunks:
        count += len(chunk)
        if count > limit:
            raise error
        yield chunk


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow a body may come: `grace` seconds, then at least `rate` bytes a second on average,
    and `total` seconds at most. Only waiting for the caller counts, never our own storage."""

    grace: float
    rate: float
    total: float

    def allows(self, count: int) -> float:
        """Seconds of waiting in all within which `count` bytes must be followed by more."""
        return min(self.grace + count / self.rate, self.total)


async def paced(
    chunks: AsyncIterator[bytes], pace: Pace, error: GridscribeError
) -> AsyncIterator[bytes]:
    """The same chunks; raises `error` as soon as they come more slowly than `pace`."""
    waited, count = 0.0, 0
    while True:
        began = anyio.current_time()
        try:
            with anyio.fail_after(max(0.0, pace.allows(count) - waited)):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise error from None
        if chunk is None:
            return
        waited += anyio.current_time() - began
        count += len(chunk)
        yield chunk


async def read_whole(chunks: AsyncIterator[bytes], limit: int, error: GridscribeError) -> bytes:
    """All bytes at once, for what is small by its limit."""
    return b"".join([chunk async for chunk in bounded(chunks, limit, error)])


async def look_ahead(chunks: AsyncIterator[bytes], size: int) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first `size` bytes (fewer where the stream is shorter), and the whole stream again."""
    seen, count = [], 0
    while count < size and (chunk := await anext(chunks, None)) is not None:
        seen.append(chunk)
        count += len(chunk)
    head = b"".join(seen)
    return head[:size], _prepend(head, chunks)


async def from_bytes(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


async def from_file(file: BinaryIO) -> AsyncIterator[bytes]:
    """What `file` holds from its position on, read in a thread; closes it."""
    try:
        while chunk := await to_thread.run_sync(file.read, READ_CHUNK):
            yield chunk
    finally:
        await to_thread.run_sync(file.close)


async def _prepend(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for chunk in chunks:
        yield chunk
