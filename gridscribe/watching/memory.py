"""What a watch has done, kept across restarts: which images went into which batch."""

import contextlib
import fcntl
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from gridscribe.image_files import InputError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batch (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    created_at TEXT NOT NULL,
    state TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,
    job_id TEXT
);
CREATE TABLE IF NOT EXISTS image (
    name TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    batch INTEGER REFERENCES batch (id),
    place INTEGER NOT NULL DEFAULT 0
);
"""


@dataclass(frozen=True, slots=True)
class KnownImage:
    """A file of the watched folder as it was when it was dealt with."""

    name: str
    """Its path below the watched folder."""
    size: int
    mtime_ns: int
    sha256: str


class BatchState(StrEnum):
    OPEN = "open"
    MADE = "made"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that make one sheet."""

    id: int
    key: str
    """Names it to the service: its idempotency key, and in its job's metadata."""
    created_at: datetime
    sent: bool
    """Whether a job may have been made of it, even if nobody heard of one."""
    job_id: str | None
    images: tuple[KnownImage, ...]

    @property
    def stem(self) -> str:
        """Of its sheet's file name."""
        return f"sheet-{self.id:04d}-{self.created_at.astimezone():%Y%m%d-%H%M%S}"


class WatchMemory:
    """One SQLite file. Each change is on disk before the next step is taken, so that whatever is
    killed, no image is forgotten and none goes into two sheets.
    """

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        """Raises `InputError` where another process has it; `anew` forgets what it holds."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(path.with_suffix(".lock"))
        self.is_new = anew or not path.exists()
        if anew:
            path.unlink(missing_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()
        os.close(self._lock)

    def images(self) -> dict[str, KnownImage]:
        """Every image that was dealt with, by name."""
        rows = self._database.execute("SELECT name, size, mtime_ns, sha256 FROM image")
        return {row[0]: KnownImage(*row) for row in rows}

    def note(self, images: Iterable[KnownImage]) -> None:
        """Images that go into no sheet; or go on in theirs, where they look as they did."""
        with self._changing() as database:
            database.executemany(
                "INSERT INTO image (name, size, mtime_ns, sha256) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET size = excluded.size,"
                " mtime_ns = excluded.mtime_ns, sha256 = excluded.sha256",
                [(it.name, it.size, it.mtime_ns, it.sha256) for it in images],
            )

    def open_batch(self, images: Iterable[KnownImage]) -> None:
        """Put images into a batch of their own."""
        now = datetime.now(UTC).isoformat()
        with self._changing() as database:
            cursor = database.execute(
                "INSERT INTO batch (key, created_at, state) VALUES (?, ?, ?)",
                (str(uuid.uuid4()), now, BatchState.OPEN),
            )
            database.executemany(
                "INSERT OR REPLACE INTO image (name, size, mtime_ns, sha256, batch, place)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (it.name, it.size, it.mtime_ns, it.sha256, cursor.lastrowid, place)
                    for place, it in enumerate(images)
                ],
            )

    def open_batches(self) -> list[Batch]:
        """Those that are neither made nor given up, oldest first."""
        rows = self._database.execute(
            "SELECT id, key, created_at, sent, job_id FROM batch WHERE state = ? ORDER BY id",
            (BatchState.OPEN,),
        ).fetchall()
        return [
            Batch(number, key, datetime.fromisoformat(created), bool(sent), job, self._of(number))
            for number, key, created, sent, job in rows
        ]

    def mark_sent(self, batch: Batch) -> Batch:
        self._set(batch, "sent", 1)
        return replace(batch, sent=True)

    def mark_accepted(self, batch: Batch, job_id: str) -> Batch:
        self._set(batch, "job_id", job_id)
        return replace(batch, job_id=job_id)

    def close_batch(self, batch: Batch, state: BatchState) -> None:
        self._set(batch, "state", state)

    def begin_anew(self, batch: Batch) -> None:
        """Its job is gone, and its sheet with it: make another."""
        with self._changing() as database:
            database.execute(
                "UPDATE batch SET key = ?, sent = 0, job_id = NULL WHERE id = ?",
                (str(uuid.uuid4()), batch.id),
            )

    def take_out(self, batch: Batch, names: Iterable[str], *, forget: bool) -> None:
        """Take images out of a batch; with `forget` they count as new when they are seen again."""
        statement = (
            "DELETE FROM image WHERE batch = ? AND name = ?"
            if forget
            else "UPDATE image SET batch = NULL WHERE batch = ? AND name = ?"
        )
        with self._changing() as database:
            database.executemany(statement, [(batch.id, name) for name in names])

    def _of(self, batch: int) -> tuple[KnownImage, ...]:
        rows = self._database.execute(
            "SELECT name, size, mtime_ns, sha256 FROM image WHERE batch = ? ORDER BY place",
            (batch,),
        )
        return tuple(KnownImage(*row) for row in rows)

    def _set(self, batch: Batch, column: str, value: object) -> None:
        with self._changing() as database:
            database.execute(
                f"UPDATE batch SET {column} = ? WHERE id = ?",  # noqa: S608  # our own columns
                (value, batch.id),
            )

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 20).decode(errors="replace").strip()
        os.close(descriptor)
        raise InputError(
            f"the folder is watched already, by process {owner or '(unknown)'}"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
