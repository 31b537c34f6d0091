"""The manifest in XMP, which JPEG, WebP, TIFF and AVIF files carry.

Format: XMP specification part 1 (ISO 16684-1), and part 3 for JPEG, whose segments hold 64 KiB.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from xml.parsers import expat
from xml.sax.saxutils import escape

from worker.pipeline.manifest_text import MAX_DOCUMENT_BYTES, SheetReadError

NAMESPACE = "urn:gridscribe:sheet#"
PROPERTY = "manifest"

MAX_JPEG_PACKET = 65_000
"""Bytes of the packet in a JPEG's one segment for it; more goes into an extension."""
PACKET_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION_HEADER = b"http://ns.adobe.com/xmp/extension/\0"
EXTENSION_PART = 65_000
EXTENSION_FIELDS = struct.Struct(">32sII")
"""Behind the header: the digest of the whole, its length, and where this part begins."""

_DOCUMENT = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:gridscribe="{namespace}"{attributes}>{content}'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)
_PACKET = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{}<?xpacket end="r"?>'


def xmp_packet(manifest_text: str) -> bytes:
    return _PACKET.format(_document(manifest_text)).encode()


def xmp_for_jpeg(manifest_text: str) -> tuple[bytes, ...]:
    """The payloads of APP1 segments: the packet, and its extension where it alone is too small."""
    packet = xmp_packet(manifest_text)
    if len(packet) <= MAX_JPEG_PACKET:
        return (PACKET_HEADER + packet,)
    extension = _document(manifest_text).encode()
    digest = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()  # part 3 names MD5
    note = f' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{digest}"'
    parts = tuple(
        EXTENSION_HEADER
        + EXTENSION_FIELDS.pack(digest.encode(), len(extension), start)
        + extension[start : start + EXTENSION_PART]
        for start in range(0, len(extension), EXTENSION_PART)
    )
    short = _DOCUMENT.format(namespace=NAMESPACE, attributes=note, content="")
    return (PACKET_HEADER + _PACKET.format(short).encode(), *parts)


def joined_extension(segments: Iterable[bytes]) -> bytes | None:
    """What the extension parts among a JPEG's APP1 payloads make together, if there are any."""
    parts = sorted(_extension_parts(segments))
    return b"".join(data for _, data in parts) if parts else None


def manifest_in_xmp(packet: bytes) -> str | None:
    """The text of the manifest, as an element or as an attribute, or None without one.

    Raises `SheetReadError` where the packet is not sound.
    """
    if len(packet) > 2 * MAX_DOCUMENT_BYTES:
        raise SheetReadError(f"its XMP has {len(packet):,} bytes, too many to be read")
    wanted = f"{NAMESPACE} {PROPERTY}"
    found: list[str] = []
    inside = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        inside = name == wanted
        if wanted in attributes:
            found.append(attributes[wanted])

    def text(data: str) -> None:
        if inside:
            found.append(data)

    def end(_name: str) -> None:
        nonlocal inside
        inside = False

    def refuse(*_: object) -> None:  # entities could blow up, or name files
        raise SheetReadError("its XMP has a document type, which XMP never has")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.CharacterDataHandler = text
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(packet.rstrip(b"\0"), True)
    except expat.ExpatError as error:
        raise SheetReadError(f"its XMP is damaged: {error}") from error
    return "".join(found) if found else None


def _document(manifest_text: str) -> str:
    content = f"<gridscribe:{PROPERTY}>{escape(manifest_text)}</gridscribe:{PROPERTY}>"
    return _DOCUMENT.format(namespace=NAMESPACE, attributes="", content=content)


def _extension_parts(segments: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for segment in segments:
        if not segment.startswith(EXTENSION_HEADER):
            continue
        fields_end = len(EXTENSION_HEADER) + EXTENSION_FIELDS.size
        if len(segment) >= fields_end:
            _, _, start = EXTENSION_FIELDS.unpack_from(segment, len(EXTENSION_HEADER))
            yield start, segment[fields_end:]
