"""One picture on its way into storage: counted and hashed as it passes, its header read there."""

import hashlib
import io
from collections.abc import AsyncIterator

from anyio import to_thread

from api.byte_streams import bounded, look_ahead
from api.inspection import ImageHeader, read_header
from shared.errors import ErrorCode, GridscribeError
from shared.object_storage import ObjectStorage
from shared.schemas import SourceImage
from shared.settings import Settings

SMALL = 2 * 1024 * 1024
"""Bytes of a file that is held in memory: most pictures are smaller, and take one step each."""


class _Digest:
    """Counts and hashes what passes through."""

    def __init__(self) -> None:
        self.bytes = 0
        self.sha256 = hashlib.sha256()

    def add(self, data: bytes) -> None:
        self.bytes += len(data)
        self.sha256.update(data)

    async def over(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.add(chunk)
            yield chunk


async def store_image(
    storage: ObjectStorage, settings: Settings, key: str, name: str, chunks: AsyncIterator[bytes]
) -> SourceImage:
    """Store `chunks` under `key` and say what they are.

    Raises `GridscribeError` with NOT_AN_IMAGE, TOO_MANY_PIXELS or FILE_TOO_LARGE; what is stored
    by then is the caller's to delete.
    """
    too_large = GridscribeError(
        ErrorCode.FILE_TOO_LARGE,
        f"{name!r} is larger than {settings.max_file_bytes:,} bytes, the most a file may have",
    )
    chunks = bounded(chunks, settings.max_file_bytes, too_large)
    head, chunks = await look_ahead(chunks, SMALL + 1)
    if not head:
        raise GridscribeError(ErrorCode.NOT_AN_IMAGE, f"empty file: {name!r}")
    digest = _Digest()

    def inspect() -> ImageHeader:
        with storage.open(key) as file:
            return read_header(file, name, settings.max_image_pixels)

    def inspect_whole() -> ImageHeader:
        digest.add(head)
        return read_header(io.BytesIO(head), name, settings.max_image_pixels)

    if len(head) <= SMALL:  # looked at before it is stored, and never fetched back
        header = await to_thread.run_sync(inspect_whole)
        await storage.put_bytes_async(key, head)
    else:
        await storage.put_stream(key, digest.over(chunks))
        header = await to_thread.run_sync(inspect)
    return SourceImage(
        name=name,
        key=key,
        media_type=header.media_type,
        width=header.width,
        height=header.height,
        bytes=digest.bytes,
        sha256=digest.sha256.hexdigest(),
    )
