"""The latest values of a costly function, for threads that ask for the same one at once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class ComputedOnce(Generic[KeyT, ValueT]):
    """One thread computes, the others wait for it; a failure is told to them all and not kept."""

    def __init__(self, capacity: int) -> None:
        """Past `capacity` values the one that was not asked for the longest goes."""
        self._capacity = capacity
        self._futures: OrderedDict[KeyT, Future[ValueT]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: KeyT, compute: Callable[[], ValueT]) -> ValueT:
        """Raises what `compute` raises."""
        mine: Future[ValueT] = Future()
        with self._lock:
            future = self._futures.setdefault(key, mine)
            self._futures.move_to_end(key)
            if len(self._futures) > self._capacity:
                self._futures.popitem(last=False)
        if future is mine:
            self._compute(key, mine, compute)
        return future.result()

    def _compute(self, key: KeyT, future: Future[ValueT], compute: Callable[[], ValueT]) -> None:
        try:
            future.set_result(compute())
        except BaseException as error:  # noqa: BLE001 # or those who wait would wait forever
            with self._lock:
                if self._futures.get(key) is future:
                    del self._futures[key]
            future.set_exception(error)
