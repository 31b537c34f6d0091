import io
import struct
import zlib

import pytest
from PIL import Image

from tests.unit.pipeline.sheets import encoded
from worker.pipeline import png_file
from worker.pipeline.png_file import PngPixels


def written(image: Image.Image, texts: dict[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    PngPixels(image, io.BytesIO()).write_png(file, texts or {})
    return file.getvalue()


def noise(width: int, height: int) -> Image.Image:
    channels = [Image.effect_noise((width, height), spread) for spread in (20, 50, 90)]
    return Image.merge("RGB", channels)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (333, 77), (64, 1000)])
def test_every_pixel_comes_back(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_file, "BAND_BYTES", 5000)  # so that small pictures have many bands
    image = noise(*size)
    with Image.open(io.BytesIO(written(image))) as read:
        assert (read.format, read.mode, read.size) == ("PNG", "RGB", size)
        assert read.tobytes() == image.tobytes()


@pytest.mark.parametrize("bottoms", [(10, 50, 77), (0, 30, 20, 30), (77,)])
def test_rows_may_be_taken_while_those_below_are_still_drawn(bottoms: tuple[int, ...]) -> None:
    image, drawn = noise(50, 77), Image.new("RGB", (50, 77))
    pixels = PngPixels(drawn, io.BytesIO())
    for bottom in bottoms:
        drawn.paste(image.crop((0, 0, 50, bottom)))
        pixels.extend(bottom)
    drawn.paste(image)
    file = io.BytesIO()
    pixels.write_png(file, {})
    with Image.open(file) as read:
        assert read.tobytes() == image.tobytes()


def test_its_chunks_and_checksums_are_sound() -> None:
    data = written(noise(200, 100), {"gridscribe": "a text"})
    with Image.open(io.BytesIO(data)) as image:
        image.verify()  # Pillow checks every chunk's CRC, as loading does not
    pixels, at = b"", 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            pixels += data[at + 8 : at + 8 + length]
        at += 12 + length
    inflate = zlib.decompressobj()
    assert len(inflate.decompress(pixels)) == 100 * (1 + 3 * 200)
    assert inflate.eof
    assert not inflate.unused_data


def test_texts_are_read_back_by_their_keyword() -> None:
    long = "0123456789" * 300_000  # Pillow refuses compressed texts of this length
    with Image.open(io.BytesIO(written(noise(4, 4), {"one": "größer", "two": long}))) as image:
        assert image.text == {"one": "größer", "two": long}  # type: ignore[attr-defined]


def test_it_is_nearly_as_small_as_an_optimized_file() -> None:
    photo = Image.radial_gradient("L").resize((600, 600)).convert("RGB")
    photo = Image.blend(photo, noise(600, 600), 0.05)
    sheet = Image.new("RGB", (1300, 1500), "white")
    for x, y in ((10, 10), (690, 10), (10, 750), (690, 750)):
        sheet.paste(photo, (x, y))
    assert len(written(sheet)) < 1.2 * len(encoded(sheet, "PNG", optimize=True))
