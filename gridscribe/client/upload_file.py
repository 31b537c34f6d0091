"""Images on their way to the service."""

import io
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeAlias

import httpx

from shared.job_spec import ImageReference

ImageFile: TypeAlias = Path | tuple[str, bytes]
"""A file, or a name and the bytes of one."""

ImageInput: TypeAlias = ImageFile | ImageReference | str
"""A file; an image by URL, upload or data URI, with the label and the metadata it shall have; or a
text, which is an http(s) URL or a file's path."""

OnBytes: TypeAlias = Callable[[int, int], None]
"""Told the bytes that went over the wire and those there are."""

_CHUNK_BYTES = 64 * 1024


class UploadFile:
    """Reads an image as httpx's multipart encoder asks for it, and holds it open only while it is
    being read: a job may have more images than a process may have open files.
    """

    def __init__(
        self, name: str, size: int, opened: Callable[[], BinaryIO], on_read: Callable[[int], None]
    ) -> None:
        # Names of Linux's files may be no Unicode; the service tells names as text.
        self.name = name.encode(errors="replace").decode()
        self.size = size
        self._opened = opened
        self._on_read = on_read
        self._file: BinaryIO | None = None
        self._position = 0
        self._counted = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes; raises `OSError` where the file has become shorter meanwhile."""
        left = self.size - self._position
        if left <= 0:
            return b""
        if self._file is None:
            self._file = self._opened()
            self._file.seek(self._position)
        data = self._file.read(left if size < 0 else min(size, left))
        if not data:
            self.close()
            raise OSError(f"{self.name} became shorter while it was sent: is it being written?")
        self._position += len(data)
        if self._position >= self.size:
            self.close()
        self._on_read(self._position - self._counted)
        self._counted = self._position
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """How the encoder measures the file, and starts over when a request is repeated."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
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
    """Adds up how far the files of one request have been sent; in a further try each of them counts
    from its beginning once it is read again.
    """

    def __init__(self, listener: OnBytes | None) -> None:
        self._listener = listener
        self._sent = 0
        self.total = 0

    def file(self, image: ImageFile) -> UploadFile:
        """`image` as a file whose bytes count."""
        if isinstance(image, tuple):
            name, data = image
            size = len(data)
        else:
            name, size = image.name, image.stat().st_size
        self.total += size
        return UploadFile(name, size, partial(_opened, image), self._add)

    def _add(self, count: int) -> None:
        self._sent += count
        if self._listener:
            self._listener(self._sent, self.total)


def _opened(image: ImageFile) -> BinaryIO:
    return io.BytesIO(image[1]) if isinstance(image, tuple) else image.open("rb")


class FileBody(httpx.SyncByteStream):
    """A file as the whole body of a request."""

    def __init__(self, file: UploadFile) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK_BYTES):
            yield chunk


def as_input(image: ImageInput) -> ImageFile | ImageReference:
    """`image` with text taken for what it is: a URL or a path."""
    if not isinstance(image, str):
        return image
    if image.startswith(("http://", "https://")):
        return ImageReference(url=image)
    return Path(image)
