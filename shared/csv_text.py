"""From the bytes of a CSV to its text, whatever spreadsheet wrote it."""

import re

from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import CsvEncoding

SHORTEST_HEADER = "file"
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # in no text; \t, \n, \v, \f and \r may be
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def csv_text(data: bytes, encoding: CsvEncoding | None) -> tuple[str, bool]:
    """The text, and whether its encoding is a guess: Windows-1252, with Latin-1's letters.

    UTF-8 and UTF-16 tell themselves, with a byte order mark or without. Nothing that has a mark,
    valid letters of UTF-8 or control characters is guessed at.
    Raises `GridscribeError` with BAD_CSV, naming the line, for what is no text.
    """
    is_guessed = False
    try:
        if encoding is not None:
            _refuse_controls(data)
            text = data.decode(encoding)
        elif data[:2] in _UTF_16_MARKS:
            text = data.decode("utf-16")
        elif encoding_16 := _unmarked_utf_16(data):
            text = data.decode(encoding_16)
        elif _is_single_bytes(data):
            _refuse_controls(data)
            text, is_guessed = data.decode(CsvEncoding.WINDOWS_1252), True
        else:
            text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if error.encoding.startswith("utf-16"):
            raise bad_csv("not valid UTF-16, as its first bytes say; save it as UTF-8") from error
        where = _place(data, error.start)
        raise bad_csv(
            f"{where} is not {encoding or 'UTF-8'}; save the file as UTF-8, or name its encoding in"
            f" csv_encoding: {' or '.join(CsvEncoding)}"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise bad_csv(f"line {line} holds a NUL byte: this is no text file; save it as UTF-8 CSV")
    if not text.strip():
        raise bad_csv("the file is empty; the first line must name the columns")
    return text, is_guessed


def _unmarked_utf_16(data: bytes) -> str | None:
    """The byte order of UTF-16, if the header's first letters say one: every other byte is 0."""
    low, high = data[:8:2], data[1:8:2]
    if len(data) >= len(SHORTEST_HEADER) * 2:
        if not any(high) and all(low):
            return "utf-16-le"
        if not any(low) and all(high):
            return "utf-16-be"
    return None


def _is_single_bytes(data: bytes) -> bool:
    """Whether no letter past ASCII is valid UTF-8, and some are there: a damaged file has both."""
    return not data.isascii() and data.decode("utf-8", "ignore").isascii()


def _refuse_controls(data: bytes) -> None:
    """In an encoding of single bytes nearly anything can be read: a picture, too."""
    if control := _CONTROLS.search(data):
        where = _place(data, control.start())
        raise bad_csv(f"{where} is in no text: this is no text file; save it as UTF-8 CSV")


def _place(data: bytes, at: int) -> str:
    line = data.count(b"\n", 0, at) + 1
    return f"line {line}: byte 0x{data[at]:02x}"


def bad_csv(detail: str) -> GridscribeError:
    return GridscribeError(ErrorCode.BAD_CSV, f"CSV: {detail}")
