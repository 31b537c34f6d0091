"""What models saw in pictures before, on disk: the same bytes are looked at once.

Features and not captions are kept, so that other words for the same picture need no second look.
"""

import hashlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from worker.captioning.captioner import FloatArray

logger = logging.getLogger(__name__)

FILE_NAME = "image-features.sqlite3"
FORMAT = "1"
"""To be raised whenever pictures are prepared for models in another way."""
FRESH_SECONDS = 3600
"""A row's time of use is written this often at most."""
LOCK_SECONDS = 1.0
GATHERING_SECONDS = 0.05
WRITES_A_CHECK = 16
"""Rows written between two looks at the size, which take longer than a row; and those of one
transaction at most, for other processes wait for its end."""


def rounded(feature: FloatArray) -> FloatArray:
    """As it would come back from the store, so that a second caption is the same as the first."""
    return feature.astype(np.float16).astype(np.float32)


class ImageFeatures:
    """Bounded; the least recently used rows go. All methods may be called from many threads, and
    several processes may share the folder. Nothing here raises: what fails costs time only.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """`max_bytes` of 0 keeps nothing."""
        self._max_bytes = max_bytes
        self._reading = threading.Lock()
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="image-features")
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._due: deque[tuple[str, tuple[bytes | float, ...]]] = deque()
        """Statements that wait, and their values."""
        self._writes = 0
        self.hits = 0
        self.misses = 0
        if max_bytes:
            self._open(folder / FILE_NAME)

    def get(self, identity: str, content: str) -> FloatArray | None:
        """(D,) as `rounded`; `content` is the SHA-256 of the picture's file."""
        if self._reader is None:
            return None
        key = _key(identity, content)
        row = None
        with self._reading:
            with _harmless("read"):
                row = self._reader.execute(
                    "SELECT feature, used FROM features WHERE key = ?", (key,)
                ).fetchone()
            self.hits += row is not None
            self.misses += row is None
        if row is None:
            return None
        feature, used = row
        if time.time() - used > FRESH_SECONDS:
            self._later("UPDATE features SET used = ? WHERE key = ?", (time.time(), key))
        return np.frombuffer(feature, dtype=np.float16).astype(np.float32)

    def put(self, identity: str, content: str, feature: FloatArray) -> None:
        """Returns at once; the row is there a little later."""
        if not np.isfinite(feature).all():
            return
        data = feature.astype(np.float16).tobytes()
        self._later(
            "INSERT OR REPLACE INTO features VALUES (?, ?, ?)",
            (_key(identity, content), data, time.time()),
        )

    def close(self) -> None:
        """Writes what was put before."""
        self._writing.shutdown()
        with self._reading:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None

    def _later(self, statement: str, values: tuple[bytes | float, ...]) -> None:
        if self._writer is not None:
            self._due.append((statement, values))
            with suppress(RuntimeError):  # closed meanwhile
                self._writing.submit(self._write, self._writer)

    def _write(self, writer: sqlite3.Connection) -> None:
        if not self._due:  # it went with those before
            return
        # A batch of pictures comes within milliseconds, and is one transaction.
        time.sleep(GATHERING_SECONDS)
        while self._due:
            with _harmless("written"), writer:
                writer.execute("BEGIN IMMEDIATE")
                for _ in range(min(len(self._due), WRITES_A_CHECK)):
                    writer.execute(*self._due.popleft())
                    self._writes += 1
            if self._writes >= WRITES_A_CHECK:
                self._writes = 0
                with _harmless("cleared"):
                    self._clear(writer)

    def _clear(self, writer: sqlite3.Connection) -> None:
        while self._size(writer) > self._max_bytes:
            # A tenth at a time: one row at a time would make every write a search for the last.
            writer.execute(
                "DELETE FROM features WHERE key IN (SELECT key FROM features ORDER BY used"
                " LIMIT 1 + (SELECT count(*) FROM features) / 10)"
            )
            if not writer.execute("SELECT count(*) FROM features").fetchone()[0]:
                return

    @staticmethod
    def _size(connection: sqlite3.Connection) -> int:
        """Bytes in use: rows that went leave free pages, which are filled again."""
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._reader = _connect(path)
            except sqlite3.OperationalError:  # locked, no room, no rights: the file may be sound
                raise
            except sqlite3.DatabaseError as error:
                logger.warning("beginning %s anew, it is damaged: %s", path, error)
                path.unlink(missing_ok=True)
                self._reader = _connect(path)
            self._writer = _connect(path)
        except (sqlite3.Error, OSError) as error:
            logger.warning("features of pictures are not kept in %s: %s", path, error)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")  # what a crash takes is computed again
    connection.execute(
        "CREATE TABLE IF NOT EXISTS features"
        " (key BLOB PRIMARY KEY, feature BLOB NOT NULL, used REAL NOT NULL)"
    )
    connection.execute("CREATE INDEX IF NOT EXISTS by_use ON features (used)")
    return connection


@contextmanager
def _harmless(done: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        logger.warning("features of a picture could not be %s: %s", done, error)


def _key(identity: str, content: str) -> bytes:
    return hashlib.sha256(f"{FORMAT}\0{identity}\0{content}".encode()).digest()
