"""A PNG is read as it is, but for texts that are too long."""

import io
import time
import zlib

import pytest

from shared.png_chunks import SIGNATURE
from shared.png_texts import LONGEST_TEXT, MOST_UNPACKED, without_long_texts
from tests.unit.png_chunks import IEND, png_chunk, png_text

HEADER = png_chunk(b"IHDR", bytes(13))
PIXELS = png_chunk(b"IDAT", b"pixels" * 500)
LONG = bytes(LONGEST_TEXT + 1)


def seen(*chunks: bytes) -> bytes:
    return without_long_texts(io.BytesIO(SIGNATURE + b"".join(chunks))).read()


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"iCCP"])
def test_only_what_is_too_long_is_passed_over(kind: bytes) -> None:
    short, long = png_text(kind, LONG[1:][:-1000]), png_text(kind, LONG)
    found = seen(HEADER, long, short, PIXELS, long, IEND)
    assert found == SIGNATURE + HEADER + short + PIXELS + IEND


def test_a_file_without_long_texts_is_passed_on_itself() -> None:
    for data in (SIGNATURE + HEADER + PIXELS + IEND, b"", b"GIF89a", SIGNATURE, SIGNATURE + b"\0"):
        file = io.BytesIO(data)
        file.seek(len(data))
        assert without_long_texts(file) is file
        assert file.tell() == 0


def test_the_view_can_be_sought_in_as_the_file_it_stands_for() -> None:
    whole = SIGNATURE + HEADER + PIXELS + IEND
    long = png_text(b"zTXt", LONG)
    view = without_long_texts(io.BytesIO(SIGNATURE + long + HEADER + long + PIXELS + long + IEND))
    for at in range(0, len(whole) + 20, 7):
        assert view.seek(at) == at
        assert view.read(11) == whole[at : at + 11]
    assert view.seek(-len(IEND), io.SEEK_END) == len(whole) - len(IEND)
    assert view.read() == IEND


def test_what_is_cut_or_broken_is_left_to_the_decoder() -> None:
    broken = png_chunk(b"zTXt", b"Comment\0\0" + bytes(2000))
    assert seen(HEADER, broken, IEND) == SIGNATURE + HEADER + broken + IEND
    cut = (SIGNATURE + HEADER + png_text(b"zTXt", 2 * LONG))[:-20]
    assert without_long_texts(io.BytesIO(cut)).read() == SIGNATURE + HEADER


def test_a_header_is_searched_no_further_than_its_pixels() -> None:
    data = SIGNATURE + HEADER + PIXELS + png_text(b"zTXt", LONG) + IEND
    file = io.BytesIO(data)
    assert without_long_texts(file, header_only=True) is file


def test_thousands_of_bombs_cost_no_more_than_a_few() -> None:
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(LONGEST_TEXT)) for _ in range(50)) + packer.flush()
    bomb = png_chunk(b"zTXt", b"Comment\0\0" + packed)
    begun = time.process_time()
    assert seen(HEADER, bomb * 1000, PIXELS, IEND) == SIGNATURE + HEADER + PIXELS + IEND
    assert time.process_time() - begun < 2
    large = [png_text(b"zTXt", bytes(LONGEST_TEXT)) for _ in range(MOST_UNPACKED + 9)]
    kept = seen(HEADER, *large, PIXELS, IEND)
    assert kept == SIGNATURE + HEADER + b"".join(large[:MOST_UNPACKED]) + PIXELS + IEND
