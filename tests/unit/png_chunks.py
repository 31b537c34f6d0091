"""Chunks of PNG files."""

import struct
import zlib


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_text(kind: bytes, text: bytes, keyword: bytes = b"Comment") -> bytes:
    """tEXt as it is, of zTXt, iTXt and iCCP packed."""
    packed = zlib.compress(text, 9)
    layouts = {
        b"tEXt": b"\0" + text,
        b"zTXt": b"\0\0" + packed,
        b"iCCP": b"\0\0" + packed,
        b"iTXt": b"\0\1\0\0\0" + packed,
    }
    return png_chunk(kind, keyword + layouts[kind])


IEND = png_chunk(b"IEND", b"")


def bomb_png() -> bytes:
    """A header that promises 40,000 x 40,000 pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 0) + b"IDAT"
