"""The chunks of a PNG file: where they begin, found without reading them, and what texts hold."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNK_HEAD = struct.Struct(">I4s")
"""Bytes of its data, and its type (PNG, third edition, 5.3)."""
CHECKSUM_SIZE = 4
MOST_CHUNKS = 50_000
"""Looked at; a picture of 64 MiB in the 8 KiB that libpng writes at a time has 8000."""


class Chunk(NamedTuple):
    kind: bytes
    start: int
    """Where its head stands in the file."""
    size: int
    """Bytes of its data, as the file says."""

    @property
    def data_start(self) -> int:
        return self.start + CHUNK_HEAD.size

    @property
    def end(self) -> int:
        return self.data_start + self.size + CHECKSUM_SIZE


def png_chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Those before `IEND`, in their order; none of a file that is no PNG.

    The file may be read between two of them. One that ends too early ends the chunks.
    """
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return
    position = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        file.seek(position)
        head = file.read(CHUNK_HEAD.size)
        if len(head) < CHUNK_HEAD.size:
            return
        size, kind = CHUNK_HEAD.unpack(head)
        if kind == b"IEND":
            return
        chunk = Chunk(kind, position, size)
        yield chunk
        position = chunk.end


def text_of(kind: bytes, rest: bytes) -> tuple[bytes, bool]:
    """What a tEXt, zTXt, iTXt or iCCP chunk holds, of the `rest` behind its keyword and the zero
    byte, and whether it is deflated (PNG, third edition, 11.3.2.3 and 11.3.3)."""
    match kind:
        case b"zTXt" | b"iCCP":
            return rest[1:], True
        case b"iTXt":  # the language and the translated keyword come before the text
            return rest[2:].partition(b"\0")[2].partition(b"\0")[2], rest[:1] == b"\1"
        case _:
            return rest, False
