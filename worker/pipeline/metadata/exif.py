"""The text tags of EXIF (CIPA DC-008), which is a TIFF file of its own.

Only the tags that tools write are looked at.
"""

import struct
from collections.abc import Iterator

USER_COMMENT = 0x9286
TEXT_TAGS = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x927C: "MakerNote",
    USER_COMMENT: "UserComment",
}
EXIF_DIRECTORY = 0x8769
BYTE_TYPES = frozenset({1, 2, 7})
"""BYTE, ASCII and UNDEFINED: one byte each."""
LONG = 4
MAX_TAGS = 1_000
BYTE_ORDERS = {b"II": "<", b"MM": ">"}


def exif_fields(data: bytes) -> Iterator[tuple[str, str]]:
    """Texts of the first directory and of the one for EXIF below it, each by its tag's name.

    Some tools write UserComment into the first directory, where the standard has none.
    """
    order = BYTE_ORDERS.get(data[:2])
    if order is None or len(data) < 8:
        return
    directories = list(struct.unpack_from(order + "I", data, 4))
    read = set[int]()  # each tag once: thousands can share one large value
    while directories:
        for tag, kind, count, at in _entries(data, order, directories.pop(0)):
            if tag in read:
                continue
            if tag == EXIF_DIRECTORY and kind == LONG:
                directories += struct.unpack_from(order + "I", data, at)
            elif tag in TEXT_TAGS and kind in BYTE_TYPES:
                begin = at if count <= 4 else struct.unpack_from(order + "I", data, at)[0]
                value = data[begin : begin + count]
                if text := _comment(value, order) if tag == USER_COMMENT else _decoded(value):
                    yield TEXT_TAGS[tag], text
            read.add(tag)


def _entries(data: bytes, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count, and where its value or the value's offset stands."""
    if start + 2 > len(data):
        return
    (count,) = struct.unpack_from(order + "H", data, start)
    for number in range(min(count, MAX_TAGS)):
        at = start + 2 + 12 * number
        if at + 12 > len(data):
            return
        yield *struct.unpack_from(order + "HHI", data, at), at + 8


def _comment(value: bytes, order: str) -> str:
    """UserComment: eight bytes name the code, unless a tool left them out."""
    code, text = value[:8], value[8:]
    if code == b"UNICODE\0":
        return text.decode(_utf16(text, order), errors="replace").strip("\ufeff\0 ")
    if code in (b"ASCII\0\0\0", bytes(8)):
        return _decoded(text)
    return _decoded(value)


def _utf16(text: bytes, order: str) -> str:
    """Tools disagree whether the file's byte order counts here. Zeros tell: they are high bytes."""
    zeros_first, zeros_second = text[::2].count(0), text[1::2].count(0)
    if zeros_first == zeros_second:
        return "utf-16-le" if order == "<" else "utf-16-be"
    return "utf-16-be" if zeros_first > zeros_second else "utf-16-le"


def _decoded(value: bytes) -> str:
    value = value.strip(b"\0 ")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
