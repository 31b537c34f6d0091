"""What a file's header says of the picture in it. Nothing is decoded here."""

from dataclasses import dataclass
from typing import BinaryIO

from obstore.exceptions import BaseError as StorageError
from PIL import Image

from shared.errors import ErrorCode, GridscribeError
from shared.png_texts import without_long_texts

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
EXTENSIONS = frozenset({"png", "jpg", "jpeg", "jfif", "webp", "bmp", "tif", "tiff", "gif"})
READABLE = "PNG, JPEG, WebP, BMP, TIFF and GIF can be read"

# Our own limit, `max_image_pixels`, is checked on every picture and is the stricter one; Pillow's
# would only warn below twice its size. This holds for the whole process.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True)
class ImageHeader:
    media_type: str
    width: int
    height: int


def read_header(file: BinaryIO, name: str, max_pixels: int) -> ImageHeader:
    """Raises `GridscribeError` with NOT_AN_IMAGE or TOO_MANY_PIXELS; `OSError` or an `obstore`
    error where the storage cannot be read."""
    try:
        shown = without_long_texts(file, header_only=True)
        with Image.open(shown, formats=FORMATS) as image:
            (width, height), kind = image.size, image.format
    except StorageError:
        raise
    except Exception as error:  # hostile bytes fail in as many ways as parsers have
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the picture's
        raise not_an_image(name) from error
    if width * height > max_pixels:
        raise GridscribeError(
            ErrorCode.TOO_MANY_PIXELS,
            f"{name!r} has {width} x {height} pixels; at most {max_pixels:,} are accepted",
        )
    # Several pictures in one JPEG, as some phones write them: the first one is used.
    return ImageHeader(Image.MIME["JPEG" if kind == "MPO" else str(kind)], width, height)


def not_an_image(name: str) -> GridscribeError:
    return GridscribeError(ErrorCode.NOT_AN_IMAGE, f"not an image: {name!r} ({READABLE})")
