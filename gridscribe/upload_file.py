"""A file on its way to the server."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class UploadFile:
    """Reads `path` as httpx's multipart encoder asks for it, and holds it open only while it is
    being read: a job may have more images than a process may have open files.
    """

    def __init__(self, path: Path, on_read: Callable[[int], None]) -> None:
        self._path = path
        self._on_read = on_read
        self._file: BinaryIO | None = None
        self._size = path.stat().st_size
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes; `on_read` is told how many they are."""
        if self._file is None:
            if self._position >= self._size:
                return b""
            self._file = self._path.open("rb")
            self._file.seek(self._position)
        data = self._file.read(size)
        self._position += len(data)
        if not data or self._position >= self._size:
            self.close()
        self._on_read(len(data))
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """How the encoder measures the file, and starts over when a request is repeated."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        self.close()
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None
