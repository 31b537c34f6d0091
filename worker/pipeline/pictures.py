"""From the bytes of a hostile file to an upright sRGB picture, decoded no larger than needed."""

import contextlib
import io
import math
from dataclasses import dataclass
from typing import BinaryIO, cast

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from shared.errors import UnreadableImageError
from shared.job_spec import ResizeMode
from shared.png_texts import without_long_texts
from worker.pipeline.decoding_memory import Claim, bytes_to_decode
from worker.pipeline.plain_png import decode_plain_png

READABLE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""Pillow knows dozens more; the fewer decoders a hostile file can reach, the better."""

DECODE_MARGIN = 1.9
"""How many times the target a draft decode and a reduction stay above it. The result differs from
that of a full decode by 0.3 of 255 on average, by 0.9 on pictures full of fine detail, and no more
than with 2; at 1 it is 4. With 1.9 photos of 12 megapixels, 4000 pixels wide, are decoded at an
eighth of their size for cells of 256."""

READ_BLOCK = 16 * 1024 * 1024
"""Bytes that Pillow's decoders get at a time. At its own 64 KiB they take the interpreter lock back
dozens of times a picture, each time behind whoever has it."""

MOST_LOCKING_THREADS = 3
"""Up to so many decoding threads, a decoder that needs a third of the processor time makes up for
holding the interpreter lock; more threads are faster with one that lets it go."""

MOST_PIXELS = 2 * 89_478_485
"""Where Pillow draws the line by default; its own limit is one variable for a whole process."""

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of this EXIF orientation upright."""

PROFILE_MODES = {"RGB ": ("RGB", "RGBA"), "GRAY": ("L",), "CMYK": ("CMYK",)}
"""Colour space of an ICC profile to the modes it can be applied to."""

SEQUENCE_FORMATS = ("GIF", "PNG", "WEBP", "TIFF")
"""Those whose further frames or pages are pictures; a JPEG's are previews and depth maps."""

SRGB = ImageCms.createProfile("sRGB")


def _no_limit(size: int) -> None:
    del size


@dataclass(frozen=True, slots=True)
class FirstFrame:
    image: Image.Image
    has_more: bool
    """Whether the file has further frames or pages, which are not read."""


def open_picture(
    file: BinaryIO,
    target: tuple[int, int] | None = None,
    resize_mode: ResizeMode = ResizeMode.FILL,
    *,
    hold_lock: bool = False,
) -> Image.Image:
    """The image of `open_first_frame`, for those whom further frames do not concern."""
    return open_first_frame(file, target, resize_mode, hold_lock=hold_lock).image


def open_first_frame(
    file: BinaryIO,
    target: tuple[int, int] | None = None,
    resize_mode: ResizeMode = ResizeMode.FILL,
    *,
    hold_lock: bool = False,
    claim: Claim = _no_limit,
) -> FirstFrame:
    """The file's first frame, upright, in sRGB, mode RGB, or RGBA where it has transparency.

    Args:
        target: Width and height in pixels of the place it is for. A larger picture is scaled down,
            keeping its proportions, until it just covers that place, or with `FIT` until it just
            lies within; a smaller one is left as it is. None keeps every pixel.
        hold_lock: Decode an ordinary PNG with `plain_png`: for a third of the processor time, but
            with the interpreter lock held, so it pays where few threads decode.
        claim: Called before pixels are decoded with the bytes that these will take; may wait.

    Raises:
        UnreadableImageError: with a sentence for the picture's owner.
        OSError: or another of the file's own errors, when its bytes cannot be fetched.
    """
    data = file.read()  # by itself, so that a failing storage is not taken for a damaged picture
    try:
        return _decode(data, target, resize_mode, hold_lock, claim)
    except UnidentifiedImageError:
        raise UnreadableImageError(
            "it is not an image in a known format, or damaged at its very beginning"
        ) from None
    except Image.DecompressionBombError:
        raise UnreadableImageError("it has far too many pixels") from None
    except Exception as error:  # damage raises whatever each decoder trips over
        raise UnreadableImageError(f"it is damaged: {error or type(error).__name__}") from error


def resized(image: Image.Image, size: tuple[int, int], resize_mode: ResizeMode) -> Image.Image:
    """`image` scaled up or down to fill `size` (width, height), or with `FIT` to lie within it."""
    match resize_mode:
        case ResizeMode.FIT:
            return ImageOps.contain(image, size, Image.Resampling.BICUBIC)
        case ResizeMode.FILL:
            return ImageOps.fit(image, size, Image.Resampling.BICUBIC)
        case ResizeMode.STRETCH:
            return image.resize(size, Image.Resampling.BICUBIC)


def _decode(
    data: bytes,
    target: tuple[int, int] | None,
    resize_mode: ResizeMode,
    hold_lock: bool,
    claim: Claim,
) -> FirstFrame:
    whole_file = io.BytesIO(data)
    file = without_long_texts(whole_file)
    opened = Image.open(file, formats=READABLE_FORMATS)
    if opened.width * opened.height > MOST_PIXELS:
        raise Image.DecompressionBombError
    has_more = _has_more_frames(opened)
    whole, box = opened.size, None
    if target is not None:
        # Not yet known to be upright: a draft must do for both ways.
        sizes = (_reduced_size(whole, asked, resize_mode) for asked in (target, target[::-1]))
        width, height = (max(1, int(side * DECODE_MARGIN)) for side in max(sizes))
        if drafted := opened.draft(None, (width, height)):
            box = drafted[1]
    claim(bytes_to_decode(opened, whole, len(data), keeps_all=target is None))
    image = decode_plain_png(opened, data) if hold_lock and file is whole_file else None
    if image is None:
        _load(opened)
        image = opened
    profile = image.info.get("icc_profile")
    orientation = _orientation(image)
    image = _in_scalable_mode(image)
    if target is not None:
        if orientation >= 5:
            target = target[::-1]
        size = _reduced_size(whole if box else image.size, target, resize_mode)
        if size != image.size:
            # A side that its scale does not divide has a last pixel that is picture in part only.
            image = _scaled_down(image, size, box)
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    return FirstFrame(_opaque_if_it_is(_in_srgb(image, profile)), has_more)


def _load(opened: ImageFile) -> None:
    opened.decodermaxblock = READ_BLOCK
    if opened.format != "WEBP":
        opened.load()
        return
    prepare = opened.load_prepare

    def without_decoder() -> None:
        # Its frame is there; two pictures as large as this one, which Pillow would keep, go.
        vars(opened).pop("_decoder", None)
        prepare()

    opened.load_prepare = without_decoder  # type: ignore[method-assign]  # of this one picture
    try:
        opened.load()
    finally:
        del opened.load_prepare  # a circle, by which the picture would outlive its use


def _scaled_down(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None
) -> Image.Image:
    if image.mode == "RGBA":  # as Pillow does itself, but there without the quick first reduction
        return _scaled_down(image.convert("RGBa"), size, box).convert("RGBA")
    return image.resize(size, Image.Resampling.BICUBIC, box, DECODE_MARGIN)


def _has_more_frames(image: Image.Image) -> bool:
    with contextlib.suppress(Exception):  # damage past the first frame costs nothing of it
        return image.format in SEQUENCE_FORMATS and bool(getattr(image, "is_animated", False))
    return False


def _reduced_size(
    size: tuple[int, int], target: tuple[int, int], resize_mode: ResizeMode
) -> tuple[int, int]:
    """`size` scaled down to the target, never up."""
    scales = [asked / side for asked, side in zip(target, size, strict=True)]
    scale = min(scales) if resize_mode is ResizeMode.FIT else max(scales)
    if scale >= 1:
        return size
    if resize_mode is ResizeMode.FIT:  # as `resized` rounds, which then has nothing to scale again
        return round(size[0] * scale) or 1, round(size[1] * scale) or 1
    # The epsilon keeps 100 * (256 / 100) from becoming 257.
    return math.ceil(size[0] * scale - 1e-6) or 1, math.ceil(size[1] * scale - 1e-6) or 1


def _orientation(image: Image.Image) -> int:
    """From 1, upright, to 8. TIFF files arrive here upright: Pillow turns them as it loads them."""
    with contextlib.suppress(Exception):  # broken EXIF costs the orientation, not the picture
        orientation = image.getexif().get(ORIENTATION_TAG)
        if orientation in UPRIGHT:
            return int(orientation)
    return 1


def _in_scalable_mode(image: Image.Image) -> Image.Image:
    """The same in L, RGB, RGBA or CMYK: palettes, single bits and 16-bit values do not scale."""
    if image.mode.startswith("I"):
        # Of its 32 bits Pillow's mode I uses 16 for the formats that are read here.
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if image.mode == "F":
        low, high = cast("tuple[float, float]", image.getextrema())
        scale = 255 / (high - low or 1)
        return image.point(lambda value: value * scale - low * scale).convert("L")
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        # A profile that is broken or for other pixels costs exact colours, not the picture.
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if image.mode in PROFILE_MODES.get(source.profile.xcolor_space, ()):
                transformed = ImageCms.profileToProfile(image, source, SRGB, outputMode=mode)
                if transformed is not None:
                    return transformed
    return image.convert(mode)


def _opaque_if_it_is(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    return image
