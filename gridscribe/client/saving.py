"""A page of a sheet on its way to disk."""

from typing import BinaryIO

from gridscribe.client.upload_file import OnBytes
from shared.schemas import JobResult


class CountedFile:
    """Writes to `file` and tells how far the whole sheet is: `before` are the bytes of the pages
    that came before this one.
    """

    def __init__(
        self, file: BinaryIO, listener: OnBytes | None, before: int, result: JobResult | None
    ) -> None:
        self._file = file
        self._listener = listener
        self._before = before
        self._total = result.bytes if result else 0

    def write(self, data: bytes, /) -> None:
        self._file.write(data)
        if self._listener:
            received = self._before + self._file.tell()
            self._listener(received, max(received, self._total))

    def truncate(self, size: int, /) -> None:
        self._file.truncate(size)

    def seek(self, offset: int, /) -> None:
        self._file.seek(offset)
