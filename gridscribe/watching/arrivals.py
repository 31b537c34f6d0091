"""Which images of a folder are new and written to their end."""

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gridscribe.image_files import IMAGE_SUFFIXES
from gridscribe.watching.memory import KnownImage
from shared.column_values import natural_key


@dataclass(frozen=True, slots=True)
class _Sight:
    size: int
    mtime_ns: int
    since: float
    """When it was first seen so, by the clock of `look`."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    settled: tuple[KnownImage, ...]
    """In natural order of their names."""
    returned: tuple[KnownImage, ...]
    """Known ones with another time or size, and the very content that they had."""
    unsettled: int
    """Files that are still being written, as far as one can see."""


class Folder:
    """Looks at the images in `path`. One counts as written when its size and its time have not
    changed for `settle_seconds` of our own clock: clocks of file servers differ.
    """

    def __init__(
        self,
        path: Path,
        settle_seconds: float,
        *,
        recursive: bool = False,
        leaving_out: Path | None = None,
    ) -> None:
        """With `recursive` the folders below count too, but for hidden ones, links to folders, and
        `leaving_out`; an image is named by its path below `path` then.
        """
        self._path = path
        self._settle_seconds = settle_seconds
        self._recursive = recursive
        self._leaving_out = None if leaving_out is None else str(leaving_out)
        self._seen: dict[str, _Sight] = {}
        self._hashed: dict[str, KnownImage] = {}
        self.changed_at = float("-inf")
        """When a new file or a change was seen last."""

    def look(
        self, known: Mapping[str, KnownImage], now: float, *, settle_seconds: float | None = None
    ) -> Arrivals:
        """What is there beside `known`; raises `OSError` where the folder cannot be read."""
        quiet = self._settle_seconds if settle_seconds is None else settle_seconds
        present = {name: found for name, found in self._scan() if not _is_same(known, name, found)}
        for name, (size, mtime_ns) in present.items():
            last = self._seen.get(name)
            if last is None or (last.size, last.mtime_ns) != (size, mtime_ns):
                self._seen[name] = _Sight(size, mtime_ns, now)
                self._hashed.pop(name, None)
                self.changed_at = now
        for gone in self._seen.keys() - present.keys():
            del self._seen[gone]
            self._hashed.pop(gone, None)
        settled: list[KnownImage] = []
        returned: list[KnownImage] = []
        for name in sorted(present, key=natural_key):
            sight = self._seen[name]
            if sight.size and now - sight.since >= quiet:
                image = self._with_hash(name, sight)
                before = known.get(name)
                is_back = before is not None and before.sha256 == image.sha256
                (returned if is_back else settled).append(image)
        unsettled = sum(1 for sight in self._seen.values() if sight.size) - len(settled)
        return Arrivals(tuple(settled), tuple(returned), unsettled - len(returned))

    def _scan(self) -> Iterator[tuple[str, tuple[int, int]]]:
        yield from self._images_in("")
        if self._recursive:
            folders = deque(self._folders_in(""))
            while folders:
                below = folders.popleft()
                with contextlib.suppress(FileNotFoundError, PermissionError):  # moved, or not ours
                    yield from self._images_in(below)
                    folders.extend(self._folders_in(below))

    def _images_in(self, below: str) -> Iterator[tuple[str, tuple[int, int]]]:
        with os.scandir(self._path / below) as entries:
            for entry in entries:
                suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122  # no Path per file
                if suffix not in IMAGE_SUFFIXES or entry.name.startswith("."):
                    continue
                try:
                    if entry.is_file():
                        status = entry.stat()
                        yield below + entry.name, (status.st_size, status.st_mtime_ns)
                except FileNotFoundError:  # moved away between two looks
                    continue

    def _folders_in(self, below: str) -> list[str]:
        with os.scandir(self._path / below) as entries:
            return [
                f"{below}{entry.name}/"
                for entry in entries
                if not entry.name.startswith(".")
                and entry.is_dir(follow_symlinks=False)
                and entry.path != self._leaving_out
            ]

    def _with_hash(self, name: str, sight: _Sight) -> KnownImage:
        if name not in self._hashed:
            with (self._path / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._hashed[name] = KnownImage(name, sight.size, sight.mtime_ns, digest)
        return self._hashed[name]


def _is_same(known: Mapping[str, KnownImage], name: str, found: tuple[int, int]) -> bool:
    before = known.get(name)
    return before is not None and (before.size, before.mtime_ns) == found
