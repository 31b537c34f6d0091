"""Ordinary PNG files decoded by the Rust crate `png`, three times as fast as Pillow does.

Only files of which Pillow makes the very same pixels are taken on, and trouble with one is left for
Pillow to judge: damage is told as it always is. Checked are the CRCs of the chunks, which Pillow
passes over in pixel data; not checked is the Adler-32 at the end of the deflated data, where Pillow
notices some wrong ones. A file whose CRCs are all right and whose Adler-32 is not is shown.
"""

from collections.abc import Sequence

from kornia_rs.io import decode_image_png_u8
from PIL import Image
from PIL.ImageFile import ImageFile

from shared.png_chunks import CHECKSUM_SIZE, CHUNK_HEAD, SIGNATURE

MOST_PIXELS = 4 * 1024 * 1024
"""The decoder holds the interpreter lock, about 10 ms a million pixels; Pillow lets it go."""

MOST_CHUNKS = 4096
"""Far more than 8 KiB pieces of so many pixels need; tiny pieces would cost more than they save."""

DECODER_MODES = {"L": "mono", "RGB": "rgb", "RGBA": "rgba"}
"""Pillow's raw mode, 8 bits a channel each, to the decoder's name for it."""

HARMLESS_CHUNKS = frozenset(
    (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs", b"sRGB", b"gAMA", b"cHRM", b"bKGD", b"sBIT")
)
"""Which change no pixel, as Pillow reads them too."""

ORIENTATION_TEXTS = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
"""Where Pillow looks for an orientation."""


def decode_plain_png(opened: ImageFile, data: bytes) -> Image.Image | None:
    """The picture that `opened.load()` would make of the whole file `data`, without its metadata.

    None, and then Pillow is to be asked, unless the file is a PNG of 8-bit grey, RGB or RGBA, not
    interlaced, not animated, without transparent colour, ICC profile or orientation, no larger than
    `MOST_PIXELS` and undamaged.
    """
    if opened.format != "PNG" or opened.width * opened.height > MOST_PIXELS:
        return None
    raw_mode = opened.tile[0].args if opened.tile else None
    if raw_mode not in DECODER_MODES or "interlace" in opened.info:
        return None
    if any(text in opened.info for text in ORIENTATION_TEXTS) or not _is_plain(_chunk_kinds(data)):
        return None
    try:
        pixels = decode_image_png_u8(data, (opened.height, opened.width), DECODER_MODES[raw_mode])
    except BaseException as error:
        # Damage. A panic in Rust is one too, though Python does not count it among `Exception`.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            return None
        raise
    return Image.frombuffer(raw_mode, opened.size, pixels, "raw", raw_mode, 0, 1)


def _is_plain(kinds: Sequence[bytes]) -> bool:
    """Nothing may follow the pixels: Pillow reads there what may turn the picture."""
    if b"IDAT" not in kinds:
        return False
    start = kinds.index(b"IDAT")
    return (
        kinds[0] == b"IHDR"
        and HARMLESS_CHUNKS.issuperset(kinds[1:start])
        and set(kinds[start:-1]) == {b"IDAT"}
        and kinds[-1] == b"IEND"
    )


def _chunk_kinds(data: bytes) -> list[bytes]:
    """Of a whole file's chunks in order; empty if there are too many or anything else is there."""
    kinds: list[bytes] = []
    position = len(SIGNATURE)
    while position < len(data) and len(kinds) < MOST_CHUNKS:
        if position + CHUNK_HEAD.size > len(data):
            return []
        length, kind = CHUNK_HEAD.unpack_from(data, position)
        kinds.append(kind)
        position += CHUNK_HEAD.size + length + CHECKSUM_SIZE
    return kinds if position == len(data) else []
