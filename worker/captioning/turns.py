"""A bound on how many threads do costly work at once, fair to those they do it for."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from worker.captioning.round_robin import RoundRobin


class Turns:
    """So many places; owners who wait for one take turns, however many threads each brings."""

    def __init__(self, places: int) -> None:
        if places < 1:
            raise ValueError(f"at least one place is needed, not {places}")
        self.places = places
        self._free = places
        self._waiting: RoundRobin[threading.Event] = RoundRobin()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, owner: Hashable, rank: int = 0) -> Iterator[None]:
        """Blocks until there is a place for `owner`, and holds it to the block's end.

        Where several threads of an owner wait, the one of least rank is next.
        """
        self.take(owner, rank)
        try:
            yield
        finally:
            self.hand_on()

    def take(self, owner: Hashable, rank: int = 0) -> None:
        """As `taken`, but held until `hand_on`, by whichever thread."""
        called = threading.Event()
        with self._lock:
            # Nobody waits while a place is free: who leaves hands it on.
            if self._free:
                self._free -= 1
                called.set()
            else:
                self._waiting.push(owner, called, rank)
        called.wait()

    def hand_on(self) -> None:
        """To who waits next."""
        with self._lock:
            if self._waiting:
                self._waiting.pop().set()
            else:
                self._free += 1
