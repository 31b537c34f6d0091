"""A file on its way to the server."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

ImageInput = Path | tuple[str, bytes]
"""A file, or a name and the bytes of one."""


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


class UploadProgress:
    """Adds up what all files of one request have sent."""

    def __init__(self, listener: Callable[[int, int], None] | None) -> None:
        self._listener = listener
        self._sent = 0
        self.total = 0

    def restart(self) -> None:
        self._sent = 0

    def add(self, count: int) -> None:
        self._sent += count
        if self._listener:
            self._listener(self._sent, self.total)


def image_part(image: ImageInput, progress: UploadProgress) -> tuple[str, Any, str]:
    if isinstance(image, tuple):
        name, data = image
        return name, data, "application/octet-stream"
    progress.total += image.stat().st_size
    return image.name, UploadFile(image, progress.add), "application/octet-stream"
