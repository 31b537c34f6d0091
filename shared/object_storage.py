"""Files of jobs and uploads: a local folder or an S3 bucket, by one URL."""

import contextlib
import errno
import io
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.store import LocalStore, S3Store

if TYPE_CHECKING:  # these are there for type checkers only
    from _typeshed import WriteableBuffer
    from obstore.store import RetryConfig

PUT_CHUNK = 2 * 1024 * 1024
READ_BUFFER = 1024 * 1024

# S3 refuses parts under 5 MiB; what waits for one upload is PART_SIZE times PARTS_AT_ONCE.
PART_SIZE = 5 * 1024 * 1024
PARTS_AT_ONCE = 2

# Of a bucket that does not answer: some two seconds instead of three minutes, for a caller waits.
RETRIES: "RetryConfig" = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=1),
        "base": 2,
    },
}


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_out_of_space(error: BaseException) -> bool:
    """Whether a disk, a quota or a limit of files is what `error` says to be full."""
    # obstore keeps the operating system's error as text only.
    return getattr(error, "errno", None) in _FULL or any(
        os.strerror(number) in str(error) for number in _FULL
    )


class ObjectStorage:
    """Objects appear whole or not at all; keys are `/`-separated and never a caller's words.

    Raises `FileNotFoundError` for an unknown key, and `OSError` or an `obstore` error when the
    storage cannot be reached or is full.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._store: LocalStore | S3Store
        if parts.scheme == "file":
            self._root: Path | None = Path(url2pathname(parts.path))
            # Empty folders are kept: removing them would race with a put into the same folder.
            self._store = LocalStore(self._root, mkdir=True)
        elif parts.scheme == "s3":
            self._root = None
            # No options for the client: they would put out `AWS_ALLOW_HTTP` and its like.
            self._store = S3Store.from_url(url, retry_config=RETRIES)
        else:
            raise ValueError(f"storage URL must begin with file:// or s3://, not {url!r}")

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Store what `chunks` yields; if it raises, nothing is stored and the error goes on."""
        part = PUT_CHUNK if self._root is not None else PART_SIZE
        parts = _gathered(chunks, part)
        first = await anext(parts, b"")
        if len(first) < part:  # all of it: one step instead of three
            await self._store.put_async(key, first)
            return
        await self._store.put_async(
            key, _chained(first, parts), chunk_size=part, max_concurrency=PARTS_AT_ONCE
        )

    async def put_bytes_async(self, key: str, data: bytes) -> None:
        await self._store.put_async(key, data)

    def put_bytes(self, key: str, data: bytes) -> None:
        self._store.put(key, data)

    async def copy(self, source: str, target: str) -> None:
        """The same bytes under another key; they do not pass through here."""
        await self._store.copy_async(source, target)

    def put_file(self, key: str, path: Path, *, media_type: str, filename: str) -> None:
        """Store a file that callers fetch: a bucket hands it out under this type and name."""
        if isinstance(self._store, LocalStore):  # keeps no attributes; the front end knows both
            self._store.put(key, path)
            return
        disposition = f'inline; filename="{filename}"'
        self._store.put(
            key,
            path,
            attributes={"Content-Type": media_type, "Content-Disposition": disposition},
        )

    def open(self, key: str) -> BinaryIO:
        """A readable, seekable file over the object; its parts are fetched as they are read."""
        if self._root is not None:
            return (self._root / key).open("rb")
        return io.BufferedReader(_RemoteFile(obstore.open_reader(self._store, key)), READ_BUFFER)

    async def read(self, key: str) -> bytes:
        """The whole object; for small ones."""
        response = await self._store.get_async(key)
        return bytes(await response.bytes_async())

    async def stream(self, key: str) -> tuple[int, AsyncIterator[bytes]]:
        """The object's size in bytes, and its bytes as they come."""
        response = await self._store.get_async(key)
        chunks = (bytes(chunk) async for chunk in response.stream(READ_BUFFER))
        return response.meta["size"], chunks

    def local_path(self, key: str) -> Path | None:
        """The object's file, or None where storage is no local folder."""
        return None if self._root is None else self._root / key

    def signed_url(
        self, key: str, expires_in: timedelta, method: Literal["GET", "PUT"] = "GET"
    ) -> str | None:
        """A link that works without our credentials, or None where storage is a local folder."""
        if isinstance(self._store, LocalStore):
            return None
        return obstore.sign(self._store, method, key, expires_in)

    def list_keys(self, prefix: str) -> Iterator[str]:
        for batch in self._store.list(prefix):
            for meta in batch:
                yield meta["path"]

    def list_folders(self, prefix: str) -> list[str]:
        """Names of the folders right below the folder `prefix`."""
        found = self._store.list_with_delimiter(f"{prefix}/")["common_prefixes"]
        return [folder.rstrip("/").rpartition("/")[2] for folder in found]

    def delete(self, key: str) -> None:
        """Remove one object; an absent one is no error."""
        try:
            self._store.delete(key)
        except FileNotFoundError:
            return

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object below the folder `prefix`; returns how many there were."""
        keys = list(self.list_keys(prefix))
        if self._root is None:
            self._store.delete(keys)  # a thousand a request
            return len(keys)
        for key in keys:
            self.delete(key)
        # Folders, and what a process that was killed while it wrote has left: no list shows it.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._root / prefix)
        return len(keys)

    def list_half_written(self, prefix: str) -> Iterator[str]:
        """What is being written below `prefix`, and what processes that were killed while they
        wrote have left. A bucket keeps such parts out of sight, and its own rules end them.
        """
        if self._root is not None:
            for path in (self._root / prefix).rglob("*#*"):  # the local store's names for them
                yield str(path.relative_to(self._root))

    def delete_half_written(self, name: str) -> None:
        """Remove one of those; an absent one is no error."""
        if self._root is not None:
            (self._root / name).unlink(missing_ok=True)

    def ping(self) -> None:
        """Raise if the storage cannot be reached."""
        next(iter(self._store.list("ping")), None)


async def _gathered(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of at least `size`, but for the last one: each piece costs a hop to
    the storage's own threads and back."""
    waiting, count = [], 0
    async for chunk in chunks:
        waiting.append(chunk)
        count += len(chunk)
        if count >= size:
            yield b"".join(waiting)
            waiting, count = [], 0
    if waiting:
        yield b"".join(waiting)


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


class _RemoteFile(io.RawIOBase):
    """An object read over HTTP as Python's own files are: closed by `with`, giving `bytes`."""

    def __init__(self, reader: "obstore.ReadableFile") -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._reader.seek(offset, whence)

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._reader.read(len(view))
        view[: len(data)] = memoryview(data)
        return len(data)

    def readall(self) -> bytes:
        return bytes(self._reader.read())


def job_prefix(job_id: str) -> str:
    return f"jobs/{job_id}"


def input_key(job_id: str, index: int) -> str:
    return f"jobs/{job_id}/inputs/{index:05d}"


def output_prefix(job_id: str, attempt: int) -> str:
    """Each attempt writes under its own name, so that a late one overwrites nothing."""
    return f"jobs/{job_id}/outputs/{attempt}"


def output_key(job_id: str, attempt: int, name: str) -> str:
    return f"{output_prefix(job_id, attempt)}/{name}"


def sheet_filename(job_id: str, page: int, pages: int, extension: str) -> str:
    """What a page is called where a caller saves it; ASCII without quotes."""
    suffix = f"-page-{page}" if pages > 1 else ""
    return f"sheet-{job_id}{suffix}.{extension}"


def upload_key(tenant: str, upload_id: str) -> str:
    return f"uploads/{tenant}/{upload_id}"
