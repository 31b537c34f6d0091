import io
import struct
import zlib
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.errors import UnreadableImageError
from tests.unit.pipeline.sheets import encoded
from worker.pipeline import plain_png
from worker.pipeline.pictures import open_first_frame
from worker.pipeline.plain_png import decode_plain_png

Chunk = tuple[bytes, bytes]

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By the colour type of a PNG."""


def png_of(chunks: Sequence[Chunk]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def chunks_of(
    size: tuple[int, int] = (20, 10), color_type: int = 2, depth: int = 8, seed: int = 0
) -> list[Chunk]:
    """Random bytes under random row filters, as any bytes are a picture; IDAT in two pieces."""
    random = Random(seed)
    stride = (size[0] * CHANNELS[color_type] * depth + 7) // 8
    rows = (bytes([random.randrange(5)]) + random.randbytes(stride) for _ in range(size[1]))
    stream = zlib.compress(b"".join(rows))
    cut = random.randrange(len(stream))
    header = struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, 0)
    palette = [(b"PLTE", random.randbytes(3 << min(depth, 8)))] if color_type == 3 else []
    pixels = [(b"IDAT", stream[:cut]), (b"IDAT", stream[cut:])]
    return [(b"IHDR", header), *palette, *pixels, (b"IEND", b"")]


def decoded(data: bytes) -> Image.Image | None:
    return decode_plain_png(Image.open(io.BytesIO(data)), data)


def outcome(data: bytes, hold_lock: bool) -> tuple[object, ...]:
    """What becomes of the file: all that can be told of its picture, or the sentence about it."""
    try:
        frame = open_first_frame(io.BytesIO(data), hold_lock=hold_lock)
    except UnreadableImageError as error:
        return (str(error),)
    return frame.image.mode, frame.image.size, frame.image.tobytes(), frame.has_more


sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(deadline=None)
@given(size=sizes, color_type=st.sampled_from([0, 2, 6]), seed=st.integers(0, 2**32))
def test_every_plain_file_is_decoded_to_pillow_s_pixels(
    size: tuple[int, int], color_type: int, seed: int
) -> None:
    data = png_of(chunks_of(size, color_type, seed=seed))
    picture = decoded(data)
    expected = Image.open(io.BytesIO(data))
    assert picture is not None
    assert (picture.mode, picture.size) == (expected.mode, expected.size)
    assert picture.tobytes() == expected.tobytes()


@settings(deadline=None)
@given(
    size=sizes,
    kind=st.sampled_from(
        [(0, 1), (0, 2), (0, 4), (0, 16), (2, 16), (4, 8), (6, 16), (3, 1), (3, 8)]
    ),
    seed=st.integers(0, 2**32),
)
def test_other_depths_and_palettes_are_left_to_pillow(
    size: tuple[int, int], kind: tuple[int, int], seed: int
) -> None:
    assert decoded(png_of(chunks_of(size, *kind, seed=seed))) is None


@settings(deadline=None, max_examples=300)
@given(color_type=st.sampled_from([0, 2, 6]), seed=st.integers(0, 2**32), data=st.data())
def test_a_damaged_file_ends_as_it_does_without_it(
    color_type: int, seed: int, data: st.DataObject
) -> None:
    file = bytearray(png_of(chunks_of((9, 7), color_type, seed=seed)))
    at = data.draw(st.integers(0, len(file) - 1), label="at")
    if data.draw(st.booleans(), label="cut"):
        del file[at:]
    else:
        file[at] ^= data.draw(st.integers(1, 255), label="flipped bits")
    assert outcome(bytes(file), hold_lock=True) == outcome(bytes(file), hold_lock=False)


def with_stream(stream: bytes) -> bytes:
    chunks = chunks_of()
    return png_of([chunks[0], (b"IDAT", stream), chunks[-1]])


@pytest.mark.parametrize(
    "data",
    [
        with_stream(zlib.compress(b"\x05" + bytes(60) + bytes(61 * 9))),
        with_stream(zlib.compress(bytes(61 * 10 - 1))),
        with_stream(zlib.compress(bytes(61 * 10))[:-8]),
        with_stream(b"no deflated data"),
        with_stream(b""),
    ],
    ids=["unknown filter", "a byte short", "cut stream", "no stream", "nothing"],
)
def test_pixels_written_wrong_under_right_checksums_are_told_as_ever(data: bytes) -> None:
    assert decoded(data) is None
    with pytest.raises(UnreadableImageError, match="damaged"):
        open_first_frame(io.BytesIO(data), hold_lock=True)


def test_a_wrong_adler_under_right_crcs_costs_no_picture() -> None:
    picture = decoded(with_stream(zlib.compress(bytes(61 * 10))[:-4] + b"\0\0\0\0"))
    assert picture is not None
    assert picture.getextrema() == ((0, 0),) * 3


@pytest.mark.parametrize("text", [b"parameters\0a fox", b"Comment\0" + bytes(range(1, 256))])
def test_texts_before_the_pixels_are_no_hindrance(text: bytes) -> None:
    chunks = chunks_of()
    picture = decoded(png_of([chunks[0], (b"tEXt", text), *chunks[1:]]))
    assert picture is not None


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'


@pytest.mark.parametrize(
    ("at", "chunk"),
    [
        (1, (b"tRNS", bytes(6))),
        (1, (b"eXIf", Image.Exif().tobytes())),
        (-1, (b"eXIf", Image.Exif().tobytes())),
        (1, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        (-1, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        (1, (b"iCCP", b"profile\0\0" + zlib.compress(b"no profile"))),
        (1, (b"acTL", struct.pack(">II", 2, 0))),
        (1, (b"teSt", b"unknown")),
        (2, (b"tEXt", b"between\0the pixels")),
    ],
    ids=lambda value: value[0].decode() if isinstance(value, tuple) else "",
)
def test_whatever_may_change_the_picture_is_left_to_pillow(at: int, chunk: Chunk) -> None:
    chunks = chunks_of()
    chunks.insert(at, chunk)
    assert decoded(png_of(chunks)) is None


def test_interlaced_files_are_left_to_pillow() -> None:
    header, *others = chunks_of()
    assert decoded(png_of([(b"IHDR", header[1][:-1] + b"\1"), *others])) is None


def test_what_follows_the_end_is_left_to_pillow() -> None:
    assert decoded(png_of(chunks_of()) + b"<script>") is None


def test_other_formats_are_left_to_pillow() -> None:
    assert decoded(encoded(Image.new("RGB", (4, 4)), "BMP")) is None


def test_large_pictures_hold_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    data = png_of(chunks_of((20, 10)))
    monkeypatch.setattr(plain_png, "MOST_PIXELS", 199)
    assert decoded(data) is None


def test_pixels_in_countless_pieces_are_left_to_pillow() -> None:
    chunks = chunks_of()
    assert decoded(png_of([chunks[0], *[(b"IDAT", b"")] * 5000, *chunks[1:]])) is None
