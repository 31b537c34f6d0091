"""A folder that no path leads out of.

Each step is opened relative to the folder before it and never follows a symbolic link. Nothing can
be swapped between a check and its use: there is no check, only the opening (CWE-59, CWE-367).
"""

import contextlib
import errno
import os
import re
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from shared.errors import ErrorCode, ErrorLocation, GridscribeError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# Without O_NONBLOCK a named pipe would hold the thread until somebody writes to it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK

_REFUSALS = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "leads through a symbolic link or something that is no folder",
    errno.ELOOP: "is a symbolic link, which is not followed",
    errno.EISDIR: "is a folder",
    errno.EACCES: "cannot be read or written by the service",
    errno.EPERM: "cannot be read or written by the service",
    errno.EROFS: "cannot be written by the service",
    errno.ENAMETOOLONG: "is too long a name",
}


class RootedFolder:
    """Paths are relative to the root, or absolute and below it.

    Raises `GridscribeError` INVALID_REQUEST, naming the path, for what leads out or is not there.
    """

    def __init__(self, root: Path) -> None:
        """Raises `OSError` where `root` is no folder."""
        self._spellings = (root.absolute(), root.resolve(strict=True))
        self._descriptor = os.open(self._spellings[1], os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        os.close(self._descriptor)

    def file_names(self, folder: str) -> list[str]:
        """Those of the regular files right in it, in natural order: `img_2` before `img_10`."""
        with (
            self._opened(folder, self._steps(folder)) as descriptor,
            os.scandir(descriptor) as all_,
        ):
            names = [entry.name for entry in all_ if entry.is_file(follow_symlinks=False)]
        return sorted(names, key=_natural_order)

    def open(self, path: str) -> BinaryIO:
        """A regular file, for reading."""
        folders, name = self._steps_to_file(path)
        with self._opened(path, folders) as folder, _refused(path):
            descriptor = os.open(name, _FILE, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _refusal(path, "is no file")
        return os.fdopen(descriptor, "rb")

    def make_folder_of(self, path: str) -> None:
        """So that a file may be written there."""
        folders, _ = self._steps_to_file(path)
        with self._opened(path, folders, make=True):
            pass

    @contextlib.contextmanager
    def written_whole(self, path: str) -> Iterator[BinaryIO]:
        """A file that gets the name `path` when the block ends, and vanishes when it fails.

        Folders that are missing are made. Whatever had the name is replaced; a symbolic link is
        replaced as well, not followed.
        """
        folders, name = self._steps_to_file(path)
        part = f".{uuid.uuid4().hex}.part"
        with self._opened(path, folders, make=True) as folder:
            try:
                with _refused(path):
                    descriptor = os.open(
                        part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder
                    )
                with os.fdopen(descriptor, "wb") as file:
                    yield file
                with _refused(path):
                    os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=folder)

    def _steps(self, path: str) -> list[str]:
        pure = PurePosixPath(path)
        for root in self._spellings:
            if pure.is_absolute() and pure.is_relative_to(root):
                pure = pure.relative_to(root)
        if pure.is_absolute() or ".." in pure.parts or "\0" in path:
            raise _refusal(path, "leads out of the folder that is served")
        return list(pure.parts)

    def _steps_to_file(self, path: str) -> tuple[list[str], str]:
        *folders, name = self._steps(path) or [""]
        if not name:
            raise _refusal(path, "names no file")
        return folders, name

    @contextlib.contextmanager
    def _opened(self, path: str, folders: list[str], *, make: bool = False) -> Iterator[int]:
        descriptor = os.dup(self._descriptor)
        try:
            with _refused(path):
                for name in folders:
                    if make:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(name, 0o755, dir_fd=descriptor)
                    inner = os.open(name, _FOLDER, dir_fd=descriptor)
                    os.close(descriptor)
                    descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _natural_order(name: str) -> list[str | int]:
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)]


@contextlib.contextmanager
def _refused(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _REFUSALS:
            raise _refusal(path, _REFUSALS[error.errno]) from error
        raise  # the disk's fault, not the caller's


def _refusal(path: str, reason: str) -> GridscribeError:
    shown = f"{path[:200]!r}"
    return GridscribeError(
        ErrorCode.INVALID_REQUEST,
        f"{shown} {reason}",
        errors=[ErrorLocation(path[:200], reason)],
    )
