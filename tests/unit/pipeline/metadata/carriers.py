"""Small pictures that carry text the way tools write it, one builder a way."""

import io
import struct
from typing import Any, Literal

from PIL import Image, PngImagePlugin

UserCommentCode = Literal["unicode-be", "unicode-le", "ascii", "bare"]


def picture(format_: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(file, format_, **options)
    return file.getvalue()


def png(by_keyword: dict[str, str] | None = None, *, exif: bytes = b"", **texts: str) -> bytes:
    """tEXt, or iTXt beyond Latin-1."""
    info = PngImagePlugin.PngInfo()
    for keyword, text in ((by_keyword or {}) | texts).items():
        info.add_text(keyword, text)
    return picture("PNG", pnginfo=info, **({"exif": exif} if exif else {}))


def png_with_chunk(kind: bytes, data: bytes, *, crc: int = 0) -> bytes:
    """A chunk between the header and the pixels."""
    plain = picture("PNG")
    chunk = struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", crc)
    return plain[:33] + chunk + plain[33:]


def jpeg(*, exif: bytes = b"", xmp: bytes = b"") -> bytes:
    return picture("JPEG", exif=exif, **({"xmp": xmp} if xmp else {}))


def webp(*, exif: bytes = b"", xmp: bytes = b"") -> bytes:
    return picture("WEBP", exif=exif, xmp=xmp)


def exif(tags: dict[int, str | bytes]) -> bytes:
    """The first directory with these tags, as ComfyUI and Fooocus write them."""
    written = Image.Exif()
    for tag, value in tags.items():
        written[tag] = value
    return written.tobytes()


def user_comment(text: str, code: UserCommentCode = "unicode-be") -> bytes:
    """EXIF with a UserComment where the standard has it."""
    written = Image.Exif()
    directory = written.get_ifd(0x8769)
    directory[0x9286] = {
        "unicode-be": b"UNICODE\0" + text.encode("utf-16-be"),
        "unicode-le": b"UNICODE\0" + text.encode("utf-16-le"),
        "ascii": b"ASCII\0\0\0" + text.encode(),
        "bare": text.encode(),
    }[code]
    return written.tobytes()


def xmp(property_: str, text: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description>'
        f'<{property_}><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt>'
        f"</{property_}>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()
