import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageOps, ImageStat, JpegImagePlugin

from shared.errors import UnreadableImageError
from shared.job_spec import ResizeMode
from shared.png_texts import LONGEST_TEXT
from tests.unit.png_chunks import IEND, bomb_png, png_text
from worker.pipeline.pictures import open_first_frame, open_picture, resized

PHOTOS = sorted((Path(__file__).parents[3] / "gridscribe" / "samples").glob("*.jpg"))
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encoded(image: Image.Image, format_: str = "PNG", **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, format_, **options)
    file.seek(0)
    return file


def corners(image: Image.Image) -> list[Any]:
    """Colours of upper left, upper right, lower left, lower right."""
    right, bottom = image.width - 2, image.height - 2
    return [image.getpixel(at) for at in ((1, 1), (right, 1), (1, bottom), (right, bottom))]


def quartered(width: int, height: int) -> Image.Image:
    """Red, green, blue and white quarters."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    half_width, half_height = width // 2, height // 2
    draw.rectangle((0, 0, half_width - 1, half_height - 1), RED)
    draw.rectangle((half_width, 0, width, half_height - 1), GREEN)
    draw.rectangle((0, half_height, half_width - 1, height), BLUE)
    return image


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("target", [None, (20, 10)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(
    orientation: int, target: tuple[int, int] | None, format_: str
) -> None:
    upright = quartered(80, 40)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 100, "subsampling": 0},
    }
    file = encoded(stored, format_, exif=exif, **options.get(format_, {}))
    picture = open_picture(file, target)
    assert picture.size == (target or (80, 40))
    for found, expected in zip(corners(picture), [RED, GREEN, BLUE, (255, 255, 255)], strict=True):
        assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 2


def test_a_sideways_jpeg_is_drafted_large_enough_for_its_place() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.new("RGB", (1600, 400), RED)
    picture = open_picture(encoded(stored, "JPEG", exif=exif), (100, 200))
    assert picture.size == (100, 400)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_bitmap_keeps_its_colours(mode: str) -> None:
    drawn = quartered(80, 40).convert("L" if mode in "1L" else "RGB").convert(mode)
    picture = open_picture(encoded(drawn, "BMP"))
    assert picture.size == (80, 40)
    assert corners(picture) == corners(drawn.convert("RGB"))


def test_sixteen_bit_grey_keeps_its_tones() -> None:
    grey = Image.new("I;16", (3, 1))
    for x, value in enumerate((0, 32896, 65535)):
        grey.putpixel((x, 0), value)
    picture = open_picture(encoded(grey))
    assert [picture.getpixel((x, 0)) for x in range(3)] == [(v, v, v) for v in (0, 128, 255)]


@pytest.mark.parametrize(
    ("color_type", "values", "mode", "expected"),
    [
        (2, (65535, 32896, 0), "RGB", (255, 128, 0)),
        (4, (32896, 25700), "RGBA", (128, 128, 128, 100)),
        (6, (65535, 32896, 0, 25700), "RGBA", (255, 128, 0, 100)),
    ],
    ids=["colour", "grey with alpha", "colour with alpha"],
)
def test_sixteen_bit_png_keeps_its_colours(
    color_type: int, values: tuple[int, ...], mode: str, expected: tuple[int, ...]
) -> None:
    row = b"\0" + struct.pack(f">{len(values)}H", *values)
    header = struct.pack(">IIBBBBB", 1, 1, 16, color_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    picture = open_picture(io.BytesIO(data))
    assert (picture.mode, picture.getpixel((0, 0))) == (mode, expected)


def test_floating_point_tiff_is_spread_over_all_tones() -> None:
    heights = Image.new("F", (3, 1))
    for x, value in enumerate((-1.0, 0.0, 1.0)):
        heights.putpixel((x, 0), value)
    picture = open_picture(encoded(heights, "TIFF"))
    assert [picture.getpixel((x, 0)) for x in (0, 2)] == [(0, 0, 0), (255, 255, 255)]


def test_grey_with_alpha_keeps_both() -> None:
    picture = open_picture(encoded(Image.new("LA", (4, 4), (100, 50))))
    assert picture.mode == "RGBA"
    assert picture.getpixel((0, 0)) == (100, 100, 100, 50)


@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_a_palette_keeps_its_colours_and_transparency(format_: str) -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([*RED, *GREEN])
    palette.putpixel((3, 3), 1)
    picture = open_picture(encoded(palette, format_, transparency=1))
    assert picture.mode == "RGBA"
    assert picture.getpixel((0, 0)) == (*RED, 255)
    alpha = picture.getpixel((3, 3))
    assert isinstance(alpha, tuple)
    assert alpha[3] == 0


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P"])
def test_what_is_opaque_comes_as_rgb(mode: str) -> None:
    assert open_picture(encoded(Image.new(mode, (4, 4)))).mode == "RGB"


def test_an_alpha_channel_that_hides_nothing_is_dropped() -> None:
    assert open_picture(encoded(Image.new("RGBA", (4, 4), RED))).mode == "RGB"


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_turns_into_the_same_colour(format_: str) -> None:
    picture = open_picture(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), format_))
    assert picture.mode == "RGB"
    red, green, blue = picture.getpixel((8, 8))  # type: ignore[misc]  # an RGB pixel is a tuple
    assert red > 240
    assert green < 15
    assert blue < 15


def test_an_icc_profile_is_applied() -> None:
    # A linear-light profile: the middle grey of 55 is the 128 of sRGB.
    linear = ImageCms.createProfile("sRGB")
    profile = ImageCms.ImageCmsProfile(linear).tobytes()
    straight_curve = struct.pack(">4sII", b"curv", 0, 0)
    start = profile.index(b"para")
    patched = profile[:start] + straight_curve + profile[start + len(straight_curve) :]
    picture = open_picture(encoded(Image.new("RGB", (4, 4), (55, 55, 55)), icc_profile=patched))
    grey = picture.getpixel((0, 0))
    assert isinstance(grey, tuple)
    assert 120 <= grey[0] <= 136


def test_the_primaries_of_a_profile_count() -> None:
    # Red and green exchanged in the table of tags: what the file calls red is green.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile
    for tag, new in ((b"rXYZ", b"xXYZ"), (b"gXYZ", b"rXYZ"), (b"xXYZ", b"gXYZ")):
        swapped = swapped.replace(tag, new)
    picture = open_picture(encoded(Image.new("RGB", (4, 4), RED), icc_profile=swapped))
    found = picture.getpixel((0, 0))
    assert isinstance(found, tuple)
    assert all(abs(a - b) <= 1 for a, b in zip(found, GREEN, strict=True))


def test_a_broken_icc_profile_costs_no_picture() -> None:
    picture = open_picture(encoded(Image.new("RGB", (4, 4), RED), icc_profile=b"no profile"))
    assert picture.getpixel((0, 0)) == RED


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_shown_and_the_others_are_told(format_: str) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in (RED, BLUE, GREEN)]
    options: dict[str, Any] = {"lossless": True} if format_ == "WEBP" else {}
    file = encoded(frames[0], format_, save_all=True, append_images=frames[1:], **options)
    found = open_first_frame(file)
    assert found.image.getpixel((0, 0)) == RED
    assert found.has_more


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "TIFF", "JPEG", "BMP"])
def test_a_single_frame_is_no_sequence(format_: str) -> None:
    assert not open_first_frame(encoded(Image.new("RGB", (4, 4), RED), format_)).has_more


def test_a_camera_s_second_picture_in_a_jpeg_is_no_further_frame() -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, BLUE)]
    file = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert not open_first_frame(file).has_more


def test_damage_past_the_first_frame_costs_nothing() -> None:
    frames = [Image.effect_noise((64, 64), 80) for _ in range(2)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]).getvalue()
    cut = io.BytesIO(data[: len(data) - 1500])
    assert open_first_frame(cut).image.size == (64, 64)


@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(1000, 500), (333, 1001), (257, 256), (999, 998)])
def test_a_large_picture_covers_its_place_and_no_more(size: tuple[int, int], format_: str) -> None:
    file = encoded(Image.new("RGB", size), format_)
    covering = open_picture(file, (100, 70))
    assert covering.width >= 100
    assert covering.height >= 70
    assert covering.width == 100 or covering.height == 70
    file.seek(0)
    lying_within = open_picture(file, (100, 70), ResizeMode.FIT)
    assert lying_within.width <= 100
    assert lying_within.height <= 70
    assert lying_within.width == 100 or lying_within.height == 70


@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
@pytest.mark.parametrize("photo", PHOTOS, ids=lambda path: path.stem)
def test_a_quick_decode_looks_like_a_full_one(photo: Path, format_: str) -> None:
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    file = encoded(image, format_, quality=95)
    quick = resized(open_picture(file, (96, 96), ResizeMode.FIT), (96, 96), ResizeMode.FIT)
    with Image.open(file) as opened:
        full = ImageOps.contain(opened.convert("RGB"), (96, 96), Image.Resampling.BICUBIC)
    means = ImageStat.Stat(ImageChops.difference(quick, full)).mean
    assert max(means) < 0.75, "grey levels of 255, on average"


@pytest.mark.parametrize("long_side", [1500, 1530, 1540, 1719])
@pytest.mark.parametrize("photo", PHOTOS, ids=lambda path: path.stem)
def test_a_draft_decode_is_not_shifted_whatever_remains_of_the_sides(
    photo: Path, long_side: int
) -> None:
    with Image.open(photo) as opened:
        enlarged = opened.convert("RGB").resize((long_side, long_side - 101))
    file = encoded(enlarged, "JPEG", quality=95)
    place = (96, 96)
    quick = resized(open_picture(file, place, ResizeMode.FIT), place, ResizeMode.FIT)
    with Image.open(file) as opened:
        full = ImageOps.contain(opened, place, Image.Resampling.BICUBIC)
    assert quick.size == full.size
    means = ImageStat.Stat(ImageChops.difference(quick, full)).mean
    assert max(means) < 0.75, "grey levels of 255, on average"


def test_a_photo_of_12_megapixels_is_decoded_at_an_eighth_for_a_cell_of_256(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded: list[tuple[int, int]] = []
    load = JpegImagePlugin.JpegImageFile.load

    def noted(image: JpegImagePlugin.JpegImageFile) -> Any:
        decoded.append(image.size)
        return load(image)

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", noted)
    file = encoded(Image.new("L", (4000, 3000)), "JPEG")
    assert open_picture(file, (256, 256), ResizeMode.FIT).size == (256, 192)
    assert decoded[0] == (500, 375)


def test_a_small_picture_keeps_its_size() -> None:
    assert open_picture(encoded(Image.new("RGB", (30, 20))), (100, 100)).size == (30, 20)


def test_a_thin_line_keeps_a_pixel() -> None:
    file = encoded(Image.new("RGB", (1, 5000)))
    assert open_picture(file, (100, 100), ResizeMode.FIT).size == (1, 100)


@pytest.mark.parametrize("hold_lock", [False, True])
@pytest.mark.parametrize("behind_pixels", [False, True])
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"iCCP"])
def test_a_picture_is_drawn_whatever_its_texts_would_unpack_to(
    kind: bytes, behind_pixels: bool, hold_lock: bool
) -> None:
    texts = [png_text(kind, bytes(2 * LONGEST_TEXT)), png_text(b"zTXt", b"short" * 400)]
    data = encoded(quartered(40, 20)).getvalue()
    at = len(data) - len(IEND) if behind_pixels else data.index(b"IDAT") - 4
    texted = io.BytesIO(data[:at] + b"".join(texts) + data[at:])
    picture = open_picture(texted, hold_lock=hold_lock)
    assert corners(picture) == [RED, GREEN, BLUE, (255, 255, 255)]


def test_beside_a_text_too_long_the_orientation_in_another_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes()
    profile = f"\nexif\n{len(raw):8}\n{raw.hex()}\n{' ' * 5000}".encode()
    data = encoded(Image.new("RGB", (40, 20))).getvalue()
    at = data.index(b"IDAT") - 4
    texts = png_text(b"zTXt", bytes(2 * LONGEST_TEXT)) + png_text(
        b"zTXt", profile, b"Raw profile type exif"
    )
    assert open_picture(io.BytesIO(data[:at] + texts + data[at:])).size == (20, 40)


def noise_jpeg() -> bytes:
    return encoded(Image.effect_noise((200, 200), 80).convert("RGB"), "JPEG").getvalue()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not an image in a known format"),
        (b"notes, nothing but notes", "not an image in a known format"),
        (noise_jpeg()[:3000], "damaged: image file is truncated"),
        (encoded(Image.effect_noise((99, 99), 80)).getvalue()[:4000], "damaged"),
        (bomb_png(), "far too many pixels"),
    ],
    ids=["empty", "text", "truncated jpeg", "truncated png", "bomb"],
)
def test_damage_is_told_in_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(UnreadableImageError, match=sentence):
        open_picture(io.BytesIO(data), (64, 64))


def test_a_format_beyond_the_listed_ones_never_reaches_its_decoder() -> None:
    with pytest.raises(UnreadableImageError, match="known format"):
        open_picture(encoded(Image.new("RGB", (4, 4)), "PPM"))


def test_a_storage_that_fails_is_not_taken_for_a_damaged_picture() -> None:
    class FailingStorage(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError("connection lost")

    with pytest.raises(OSError, match="connection lost"):
        open_picture(FailingStorage())
