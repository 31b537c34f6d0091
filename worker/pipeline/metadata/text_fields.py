"""The text that a picture file carries beside its pixels, by the name it has there."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from shared.png_chunks import text_of
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


class TextFields(NamedTuple):
    texts: dict[str, str]
    """By PNG keyword, or by the name of its EXIF tag or XMP property; the first of each."""
    too_long: tuple[str, ...] = ()
    """Names of those that are there and were not read for their length, each once."""


def read_text_fields(file: BinaryIO) -> TextFields:
    """What a picture says in words; nothing for files of other formats.

    A damaged file gives what could be read before the damage. Raises the file's own errors only.
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
        return TextFields({})
    texts: dict[str, str] = {}
    too_long: list[str] = []
    left = MAX_FILE_BYTES
    for name, text in found:
        if name in texts or name in too_long:  # a JPEG may have thousands of each
            continue
        if text is None or len(text) > left:
            too_long.append(name)
        else:
            left -= len(text)
            texts[name] = text
    return TextFields(texts, tuple(too_long))


Field = tuple[str, str | None]
"""A name and its text; None where that is too long to be read."""


def _png_fields(blocks: Iterator[Block]) -> Iterator[Field]:
    read = set[str]()  # each keyword once: many small chunks can unpack to much
    for block in blocks:
        if block.kind == b"eXIf" and EXIF_KEYWORD not in read:
            read.add(EXIF_KEYWORD)
            if block.size > MAX_TEXT_BYTES:
                yield EXIF_KEYWORD, None
            else:
                yield from exif_fields(block.read())
        elif block.kind in (b"tEXt", b"zTXt", b"iTXt"):
            # The editor's drawing beside a graph is ten times its size: look before reading.
            keyword = block.read(MAX_KEYWORD + 1).partition(b"\0")[0].decode("latin-1")
            if keyword not in KEYWORDS or keyword in read:
                continue
            read.add(keyword)
            text = None
            if block.size <= MAX_TEXT_BYTES:
                text = _png_text(block.kind, block.read()[len(keyword) + 1 :])
            if text is not None and keyword == XMP_KEYWORD:
                yield from xmp_fields(text)
            else:
                yield keyword, text


def _png_text(kind: bytes, rest: bytes) -> str | None:
    """`rest` comes after the keyword and its zero byte; None where it is too long unpacked."""
    data, is_packed = text_of(kind, rest)
    unpacked = _inflated(data) if is_packed else data
    return None if unpacked is None else _decoded(unpacked)


def _inflated(data: bytes) -> bytes | None:
    """Empty for what is broken, None for what unpacks to more than a text may have."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MAX_TEXT_BYTES)
    except zlib.error:
        return b""
    if unpacker.eof:
        return text
    return None if unpacker.unconsumed_tail else b""


def _decoded(data: bytes) -> str:
    """tEXt is Latin-1 by its standard, and UTF-8 from the tools that matter."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _jpeg_fields(blocks: Iterator[Block]) -> Iterator[Field]:
    for block in blocks:
        data = block.read()
        if data.startswith(EXIF_MARK):
            yield from exif_fields(data[len(EXIF_MARK) :])
        elif data.startswith(XMP_MARK):
            yield from xmp_fields(data[len(XMP_MARK) :].decode(errors="replace"))


def _webp_fields(blocks: Iterator[Block]) -> Iterator[Field]:
    read = set[bytes]()
    for block in blocks:
        if block.kind not in (b"EXIF", b"XMP ") or block.kind in read:
            continue
        read.add(block.kind)
        if block.size > MAX_TEXT_BYTES:
            yield block.kind.decode().strip(), None
        elif block.kind == b"EXIF":
            yield from exif_fields(block.read().removeprefix(EXIF_MARK))
        else:
            yield from xmp_fields(block.read().decode(errors="replace"))
