"""What a zip may not be, whatever it holds."""

import io
import struct
import zipfile

import pytest

from api.archives import MAX_DIRECTORY_BYTES, open_archive
from shared.errors import ErrorCode, GridscribeError
from shared.settings import Settings

MOST_ENTRIES = 0xFFFF


def zip_of(name: str, data: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def with_a_vast_directory() -> bytes:
    """One small entry, named as often as a directory may."""
    archive = zip_of(f"{'a' * 40}.png", b"x")
    start, end = archive.index(b"PK\x01\x02"), archive.index(b"PK\x05\x06")
    directory = archive[start:end] * MOST_ENTRIES
    assert len(directory) > MAX_DIRECTORY_BYTES
    count, size = MOST_ENTRIES, len(directory)
    return (
        archive[:start]
        + directory
        + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)
    )


def encrypted() -> bytes:
    archive = bytearray(zip_of("a.png", b"x"))
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(archive)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (with_a_vast_directory(), "lists too many files"),
        (zip_of("a.png", bytes(100), zipfile.ZIP_BZIP2), "is not packed with deflate"),
        (zip_of("a.png", bytes(100), zipfile.ZIP_LZMA), "is not packed with deflate"),
        (encrypted(), "is encrypted"),
    ],
    ids=["directory", "bzip2", "lzma", "encrypted"],
)
def test_a_zip_that_takes_more_than_its_pictures_is_refused(data: bytes, why: str) -> None:
    # Its entries may be as many as they like: what they cost before they are counted is the point.
    settings = Settings(max_images=MOST_ENTRIES + 1, max_archive_ratio=1_000_000)
    with pytest.raises(GridscribeError, match=why) as refused:
        open_archive(io.BytesIO(data), "all.zip", settings)
    assert refused.value.code is ErrorCode.BAD_ARCHIVE
