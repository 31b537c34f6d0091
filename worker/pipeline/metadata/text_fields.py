"""The text that a picture file carries beside its pixels, by the name it has there."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from worker.pipeline.metadata.containers import (
    Block,
    is_jpeg,
    is_png,
    is_webp,
    jpeg_blocks,
    png_blocks,
    webp_blocks,
)
from worker.pipeline.metadata.exif import exif_fields
from worker.pipeline.metadata.xmp import xmp_fields

MAX_TEXT_BYTES = 4 * 1024 * 1024
"""Of one text, unpacked; longer ones are not read. Prompts have kilobytes, graphs some hundred."""
MAX_FILE_BYTES = 2 * MAX_TEXT_BYTES
"""Of all texts of a file together."""
MAX_KEYWORD = 79
"""Bytes of a PNG keyword (PNG, third edition, 11.3.3)."""

XMP_KEYWORD = "XML:com.adobe.xmp"
KEYWORDS = frozenset(
    {
        XMP_KEYWORD,
        "parameters",
        "prompt",
        "fooocus_scheme",
        "invokeai_metadata",
        "sd-metadata",
        "Comment",
        "Description",
        "Software",
        "Source",
    }
)
EXIF_KEYWORD = "eXIf"  # has a chunk type of its own
EXIF_MARK = b"Exif\0\0"
XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"


def read_text_fields(file: BinaryIO) -> dict[str, str]:
    """Text by PNG keyword, or by the name of its EXIF tag or XMP property; the first of each.

    Empty for files of other formats. A damaged file gives what could be read before the damage.
    Raises the file's own errors only.
    """
    file.seek(0)
    head = bytes(file.read(12))
    if is_png(head):
        found = _png_fields(png_blocks(file))
    elif is_jpeg(head):
        found = _jpeg_fields(jpeg_blocks(file))
    elif is_webp(head):
        found = _webp_fields(webp_blocks(file))
    else:
        return {}
    fields: dict[str, str] = {}
    left = MAX_FILE_BYTES
    for name, text in found:
        left -= len(text)
        if left < 0:
            break
        fields.setdefault(name, text)
    return fields


def _png_fields(blocks: Iterator[Block]) -> Iterator[tuple[str, str]]:
    read = set[str]()  # each keyword once: many small chunks can unpack to much
    for block in blocks:
        if block.size > MAX_TEXT_BYTES:
            continue
        if block.kind == b"eXIf" and EXIF_KEYWORD not in read:
            read.add(EXIF_KEYWORD)
            yield from exif_fields(block.read())
        elif block.kind in (b"tEXt", b"zTXt", b"iTXt"):
            # The editor's drawing beside a graph is ten times its size: look before reading.
            keyword = block.read(MAX_KEYWORD + 1).partition(b"\0")[0].decode("latin-1")
            if keyword not in KEYWORDS or keyword in read:
                continue
            read.add(keyword)
            text = _png_text(block.kind, block.read()[len(keyword) + 1 :])
            yield from xmp_fields(text) if keyword == XMP_KEYWORD else [(keyword, text)]


def _png_text(kind: bytes, data: bytes) -> str:
    """PNG, third edition, 11.3.3; `data` comes after the keyword and its zero byte."""
    if kind == b"zTXt":
        return _decoded(_inflated(data[1:]))
    if kind == b"iTXt":
        is_packed, rest = data[:1] == b"\1", data[2:]
        text = rest.partition(b"\0")[2].partition(b"\0")[2]  # after language and translated keyword
        return _decoded(_inflated(text) if is_packed else text)
    return _decoded(data)


def _inflated(data: bytes) -> bytes:
    """Empty for what is broken or unpacks to more than a text may have."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MAX_TEXT_BYTES)
    except zlib.error:
        return b""
    return text if unpacker.eof else b""


def _decoded(data: bytes) -> str:
    """tEXt is Latin-1 by its standard, and UTF-8 from the tools that matter."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _jpeg_fields(blocks: Iterator[Block]) -> Iterator[tuple[str, str]]:
    for block in blocks:
        data = block.read()
        if data.startswith(EXIF_MARK):
            yield from exif_fields(data[len(EXIF_MARK) :])
        elif data.startswith(XMP_MARK):
            yield from xmp_fields(data[len(XMP_MARK) :].decode(errors="replace"))


def _webp_fields(blocks: Iterator[Block]) -> Iterator[tuple[str, str]]:
    read = set[bytes]()
    for block in blocks:
        if block.size > MAX_TEXT_BYTES or block.kind in read:
            continue
        if block.kind == b"EXIF":
            yield from exif_fields(block.read().removeprefix(EXIF_MARK))
        elif block.kind == b"XMP ":
            yield from xmp_fields(block.read().decode(errors="replace"))
        read.add(block.kind)
