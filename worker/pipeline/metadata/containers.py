"""Where the blocks of a PNG, JPEG or WebP file begin, found without reading what is in them.

Each block is valid until the next one is asked for. A file that ends too early ends the blocks.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from shared.png_chunks import SIGNATURE, png_chunks

MAX_BLOCKS = 50_000
"""Of one JPEG or WebP file; those that tools write have a few dozen."""

JPEG_APP1 = 0xE1
JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
JPEG_IMAGE = frozenset({0xD9, 0xDA})
"""The picture's end, and the scan, after which nothing of interest comes."""


@dataclass(frozen=True, slots=True)
class Block:
    file: BinaryIO
    kind: bytes
    start: int
    """Of its data, in the file."""
    size: int
    """Bytes of its data, as the file says."""

    def read(self, size: int | None = None) -> bytes:
        """Its first `size` bytes, or all of them."""
        self.file.seek(self.start)
        return bytes(self.file.read(self.size if size is None else min(size, self.size)))


def is_png(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def is_jpeg(head: bytes) -> bool:
    return head.startswith(b"\xff\xd8\xff")


def is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def png_blocks(file: BinaryIO) -> Iterator[Block]:
    for chunk in png_chunks(file):
        yield Block(file, chunk.kind, chunk.data_start, chunk.size)


def webp_blocks(file: BinaryIO) -> Iterator[Block]:
    """RIFF: type, length, data, one byte more where the length is odd."""
    position = 12
    for _ in range(MAX_BLOCKS):
        file.seek(position)
        head = bytes(file.read(8))
        if len(head) < 8:
            return
        kind, size = struct.unpack("<4sI", head)
        yield Block(file, kind, position + 8, size)
        position += 8 + size + size % 2


def jpeg_blocks(file: BinaryIO) -> Iterator[Block]:
    """The APP1 segments before the picture (ITU-T T.81, B.1.1); at most 64 KiB each."""
    position = 2
    for _ in range(MAX_BLOCKS):
        file.seek(position)
        head = bytes(file.read(4))
        if len(head) < 4 or head[0] != 0xFF or head[1] in JPEG_IMAGE:
            return
        if head[1] == 0xFF:  # a fill byte
            position += 1
        elif head[1] in JPEG_ALONE:
            position += 2
        else:
            size = int.from_bytes(head[2:4])
            if size < 2:
                return
            if head[1] == JPEG_APP1:
                yield Block(file, b"APP1", position + 4, size - 2)
            position += 2 + size
