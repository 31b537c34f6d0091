"""Which images of a folder are new and written to their end."""

import hashlib
import os
from collections.abc import Mapping
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

    def __init__(self, path: Path, settle_seconds: float) -> None:
        self._path = path
        self._settle_seconds = settle_seconds
        self._seen: dict[str, _Sight] = {}
        self._hashed: dict[str, KnownImage] = {}
        self.changed_at = float("-inf")
        """When a new file or a change was seen last."""

    def look(self, known: Mapping[str, KnownImage], now: float) -> Arrivals:
        """What is there beside `known`; raises `OSError` where the folder cannot be read."""
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
            if sight.size and now - sight.since >= self._settle_seconds:
                image = self._with_hash(name, sight)
                before = known.get(name)
                is_back = before is not None and before.sha256 == image.sha256
                (returned if is_back else settled).append(image)
        unsettled = sum(1 for sight in self._seen.values() if sight.size) - len(settled)
        return Arrivals(tuple(settled), tuple(returned), unsettled - len(returned))

    def _scan(self) -> list[tuple[str, tuple[int, int]]]:
        found = []
        with os.scandir(self._path) as entries:
            for entry in entries:
                suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122  # no Path per file
                if suffix not in IMAGE_SUFFIXES or entry.name.startswith("."):
                    continue
                try:
                    if entry.is_file():
                        status = entry.stat()
                        found.append((entry.name, (status.st_size, status.st_mtime_ns)))
                except FileNotFoundError:  # moved away between two looks
                    continue
        return found

    def _with_hash(self, name: str, sight: _Sight) -> KnownImage:
        if name not in self._hashed:
            with (self._path / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._hashed[name] = KnownImage(name, sight.size, sight.mtime_ns, digest)
        return self._hashed[name]


def _is_same(known: Mapping[str, KnownImage], name: str, found: tuple[int, int]) -> bool:
    before = known.get(name)
    return before is not None and (before.size, before.mtime_ns) == found
