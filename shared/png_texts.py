"""PNG files as if they had no texts that are too long for Pillow.

Pillow refuses a whole picture for one compressed text that unpacks to more than 1 MiB, and keeps
plain ones in memory whatever their length. Drawing needs none of them, and what a picture says of
itself is read by `worker.pipeline.metadata`, which has bounds of its own.
"""

import io
import zlib
from itertools import accumulate, pairwise
from typing import BinaryIO

from shared.png_chunks import Chunk, png_chunks, text_of

LONGEST_TEXT = 1024 * 1024
"""Bytes of a text, packed or not: Pillow's `MAX_TEXT_CHUNK`."""
SURELY_SHORT = LONGEST_TEXT // 1032
"""Bytes that cannot unpack to more than that: deflate makes one byte of 1,032 at best."""
MOST_UNPACKED = 16
"""Texts that are unpacked to learn their length; any more of that size are taken for too long."""

TEXT_KINDS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
"""A colour profile is bounded as texts are."""


def without_long_texts(file: BinaryIO, *, header_only: bool = False) -> BinaryIO:
    """`file` itself, unless it is a PNG with too long a text; then a view that passes over these.

    The file is left at its beginning. Of a bomb 1 MiB is unpacked at most, and 16 of that a file.

    Args:
        header_only: Look no further than where the pixels begin, for those who read no further.
    """
    kept, start, unpacked = [], 0, 0
    for chunk in png_chunks(file):
        if header_only and chunk.kind == b"IDAT":
            break
        if chunk.kind not in TEXT_KINDS or chunk.size <= SURELY_SHORT:
            continue
        is_too_long = chunk.size > LONGEST_TEXT
        if not is_too_long and (packed := _packed_data(file, chunk)):
            unpacked += 1
            is_too_long = unpacked > MOST_UNPACKED or _unpacks_beyond(packed, LONGEST_TEXT)
        if is_too_long:
            kept.append((start, chunk.start))
            start = chunk.end
    if kept:
        end = file.seek(0, io.SEEK_END)
        kept.append((min(start, end), end))
    file.seek(0)
    return io.BufferedReader(_Spans(file, kept)) if kept else file


def _packed_data(file: BinaryIO, chunk: Chunk) -> bytes:
    """What is deflated of a text; empty where nothing is."""
    if chunk.kind == b"tEXt":
        return b""
    file.seek(chunk.data_start)
    data, is_packed = text_of(chunk.kind, file.read(chunk.size).partition(b"\0")[2])
    return data if is_packed else b""


def _unpacks_beyond(packed: bytes, most: int) -> bool:
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed, most)
    except zlib.error:
        return False  # which Pillow passes over
    return bool(unpacker.unconsumed_tail)


class _Spans(io.RawIOBase):
    """Parts of a file, each from its first byte to before its last, as one."""

    def __init__(self, file: BinaryIO, spans: list[tuple[int, int]]) -> None:
        self._file = file
        self._spans = spans
        self._bounds = list(accumulate((end - start for start, end in spans), initial=0))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._bounds[-1]}
        self._position = max(0, origins[whence] + offset)
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override] # typeshed: Buffer
        for (low, high), (start, _) in zip(pairwise(self._bounds), self._spans, strict=True):
            if low <= self._position < high:
                self._file.seek(start + self._position - low)
                data = self._file.read(min(len(buffer), high - self._position))
                buffer[: len(data)] = data
                self._position += len(data)
                return len(data)
        return 0
