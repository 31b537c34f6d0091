"""Zip files of pictures: which entries count, and what a hostile one may not do.

Everything is bounded by what the archive's directory declares, which `zipfile` holds each entry
to: it never gives more bytes of an entry than declared there.
"""

import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from api.file_names import clean_name
from api.inspection import EXTENSIONS, READABLE
from shared.errors import ErrorCode, GridscribeError
from shared.settings import Settings

SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
"""Of the first entry, and of the end of an archive without any."""

MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
"""Of the directory that `zipfile` reads whole: some 40,000 entries."""

_END_RECORD = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_MAX_COMMENT = 0xFFFF


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    name: str
    """The base name."""
    info: zipfile.ZipInfo


@dataclass(frozen=True, slots=True)
class Archive:
    name: str
    zip: zipfile.ZipFile
    images: tuple[ArchiveEntry, ...]
    """In the natural order of their paths."""
    csv_files: tuple[ArchiveEntry, ...]
    left_out: tuple[str, ...]
    """Names of files that are neither."""

    def open(self, entry: ArchiveEntry) -> BinaryIO:
        """Reading may raise what `damage` says."""
        return self.zip.open(entry.info)  # type: ignore[return-value]  # IO[bytes], read only

    def damaged(self, entry: ArchiveEntry) -> GridscribeError:
        return _bad(self.name, f"the entry {entry.name!r} is damaged; make the archive anew")


DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,  # a version, a compression or an encryption that it does not know
    ValueError,
)
"""What `zipfile` and zlib raise for archives that are not what they say."""


def looks_like_archive(head: bytes, filename: str) -> bool:
    return head.startswith(SIGNATURES) or filename.lower().endswith(".zip")


def open_archive(file: BinaryIO, name: str, settings: Settings) -> Archive:
    """Read the directory of the zip in `file` and check it against the limits.

    Raises `GridscribeError` with BAD_ARCHIVE or TOO_MANY_IMAGES, naming the archive.
    """
    packed = file.seek(0, 2)
    if packed == 0:
        raise _bad(name, "it is empty (0 bytes)")
    _check_directory_size(file, name, packed)
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGE as error:
        raise _bad(name, "it is no readable zip file; make it anew") from error
    files = sorted(filter(_is_file, archive.infolist()), key=lambda it: _natural(it.filename))
    entries = [ArchiveEntry(clean_name(info.filename, "image"), info) for info in files]
    for entry in entries:
        _check_entry(entry, name)
    images = tuple(entry for entry in entries if _extension(entry) in EXTENSIONS)
    csv_files = tuple(entry for entry in entries if _extension(entry) == "csv")
    if not images:
        raise _bad(name, f"it holds no images ({READABLE})")
    if len(images) > settings.max_images:
        raise GridscribeError(
            ErrorCode.TOO_MANY_IMAGES,
            f"{name!r} holds {len(images)} images; a job may have {settings.max_images}",
        )
    unpacked = sum(entry.info.file_size for entry in (*images, *csv_files))
    if unpacked > min(settings.max_request_bytes, packed * settings.max_archive_ratio):
        raise _bad(
            name,
            f"it would unpack from {packed:,} to {unpacked:,} bytes; at most "
            f"{settings.max_archive_ratio} times its size and {settings.max_request_bytes:,} bytes"
            " are unpacked",
        )
    counted = {id(entry) for entry in (*images, *csv_files)}
    left_out = tuple(entry.name for entry in entries if id(entry) not in counted)
    return Archive(name, archive, images, csv_files, left_out)


def _check_directory_size(file: BinaryIO, name: str, packed: int) -> None:
    """`zipfile` builds an object for each entry before anybody can count them: look first."""
    tail_size = min(packed, _END_RECORD.size + _MAX_COMMENT)
    file.seek(packed - tail_size)
    tail = file.read(tail_size)
    at = len(tail) - _END_RECORD.size
    if not (tail[at:].startswith(_END_SIGNATURE) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END_SIGNATURE)
    record = tail[at : at + _END_RECORD.size] if at >= 0 else b""
    if len(record) < _END_RECORD.size:
        raise _bad(name, "it is no zip file, or its end is missing")
    if b"PK\x06\x07" in tail[max(at - 20, 0) : at]:
        raise _bad(name, "it is a Zip64 archive; split it into several of less than 4 GiB")
    directory_size = _END_RECORD.unpack(record)[5]
    if directory_size > MAX_DIRECTORY_BYTES:
        raise _bad(name, f"its directory of {directory_size:,} bytes lists too many files")


def _check_entry(entry: ArchiveEntry, archive: str) -> None:
    if entry.info.flag_bits & 0x1:
        raise _bad(archive, f"the entry {entry.name!r} is encrypted; send it without a password")
    # The other methods take memory that the archive itself sets.
    if entry.info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _bad(archive, f"the entry {entry.name!r} is not packed with deflate")


def _is_file(info: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    kind = stat.S_IFMT(info.external_attr >> 16)
    return (
        not info.is_dir()
        and kind in (0, stat.S_IFREG)
        and "__MACOSX" not in path.parts
        and not path.name.startswith(".")
    )


def _extension(entry: ArchiveEntry) -> str:
    return entry.name.rpartition(".")[2].lower()


def _natural(path: str) -> list[tuple[int, int, str]]:
    """`a2` before `a10`, whatever the case."""
    return [
        # Numbers by length, then by digits: `int` refuses the very long ones a caller may send.
        (0, len(number), number) if (number := part.lstrip("0")).isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", path.casefold())
    ]


def _bad(name: str, why: str) -> GridscribeError:
    return GridscribeError(ErrorCode.BAD_ARCHIVE, f"{name!r}: {why}")
