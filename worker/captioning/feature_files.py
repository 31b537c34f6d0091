"""Text features on disk, in no more room than allowed."""

import contextlib
import logging
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from worker.captioning.captioner import FloatArray

logger = logging.getLogger(__name__)

PATTERN = "text-*.npy"


class FeatureFiles:
    """A file for each array. Several processes may share the folder; it is safe to delete."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Past `max_bytes` the least recently used files go; the newest one stays in any case."""
        self._folder = folder
        self._max_bytes = max_bytes

    def read(self, key: str, *, rows: int) -> FloatArray | None:
        """(rows, D) in float32, or None where there is no such file or not a sound one."""
        path = self._path(key)
        try:
            features = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError) as error:
            logger.warning("computing text features again, %s cannot be read: %s", path, error)
            return None
        if (
            not isinstance(features, np.ndarray)
            or features.dtype != np.float32
            or features.ndim != 2
            or len(features) != rows
            or not np.isfinite(features).all()
        ):
            logger.warning("computing text features again, %s does not hold what it should", path)
            return None
        with contextlib.suppress(OSError):
            # By hand, because most systems are mounted to note few accesses or none.
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        return features

    def write(self, key: str, features: FloatArray) -> None:
        """All or nothing, so that two workers on one folder never read half a file."""
        path = self._path(key)
        part: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
                part = file.name
                np.save(file, features, allow_pickle=False)
            Path(part).replace(path)
            self._trim(newest=path)
        except OSError as error:
            # A cache that cannot be written costs time at the next start, never a caption.
            logger.warning("text features are not kept on disk: %s", error)
            if part is not None:
                with contextlib.suppress(OSError):
                    Path(part).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"text-{key}.npy"

    def _trim(self, newest: Path) -> None:
        entries: list[tuple[float, int, Path]] = []
        for path in self._folder.glob(PATTERN):
            with contextlib.suppress(FileNotFoundError):  # another worker trims as well
                stat = path.stat()
                entries.append((stat.st_atime, stat.st_size, path))
        excess = sum(size for _, size, _ in entries) - self._max_bytes
        for _, size, path in sorted(entries):
            if excess <= 0:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                excess -= size
