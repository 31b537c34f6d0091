"""XMP properties that carry a picture's text, by the names that EXIF has for them.

The packet is searched, not parsed: no entity of a hostile document is ever expanded.
"""

import re
from collections.abc import Iterator
from html import unescape

PROPERTIES = {"exif:UserComment": "UserComment", "dc:description": "ImageDescription"}
TAG = re.compile("<[^<>]*>")


def xmp_fields(packet: str) -> Iterator[tuple[str, str]]:
    for name, field in PROPERTIES.items():
        opened = packet.find(f"<{name}")
        begin = packet.find(">", opened) + 1
        end = packet.find(f"</{name}>", begin)
        if opened >= 0 and begin and end >= 0:
            inner = TAG.sub("\n", packet[begin:end]).strip()
            if inner:
                yield field, unescape(inner)
