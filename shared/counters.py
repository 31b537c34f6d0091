"""Numbers of what happens, added up over all processes in one Redis hash.

A process counts in memory and brings what it counted to Redis every few seconds, so counting costs
no round trip and no process has to be asked for its own numbers. The scripts in `shared/lua` count
there at once. What a process that is killed had not brought yet is not counted.

A histogram's buckets have powers of two as upper bounds: bucket k holds values up to 2^k.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shared.keyspace import PREFIX

COUNTERS = f"{PREFIX}counters"
"""A Redis hash: `name|label|...` to a number."""

LAST_BUCKET = 22
"""2^22 ms are 70 minutes."""


class Counters:
    """What one process has counted and not brought to Redis yet; safe in any thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, name: str, *labels: str, amount: int = 1) -> None:
        with self._lock:
            self._counts[field_of(name, *labels)] += amount

    def observe(self, name: str, *labels: str, value: int) -> None:
        """Put `value`, not negative, into a histogram."""
        bucket = min(max(value - 1, 0).bit_length(), LAST_BUCKET)
        with self._lock:
            self._counts[field_of(name, *labels, str(bucket))] += 1
            self._counts[field_of(name, *labels, "sum")] += value

    @contextmanager
    def taken(self) -> Iterator[Mapping[str, int]]:
        """All counts, for bringing them to Redis; they are back when the block fails."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        try:
            yield counts
        except BaseException:
            with self._lock:
                self._counts.update(counts)
            raise


def field_of(name: str, *labels: str) -> str:
    return "|".join((name, *(label.replace("|", "/") for label in labels)))


process_counters = Counters()
"""Those of a worker process, for code that knows nothing of Redis."""
