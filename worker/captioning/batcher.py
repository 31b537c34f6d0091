"""Fills batches across callers and runs them on one thread."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from shared.counters import process_counters
from shared.failpoints import failpoint
from worker.captioning.captioner import Captioner, FloatArray, OutOfDeviceMemory

logger = logging.getLogger(__name__)

SMALLER_BATCH_SECONDS = 300.0
"""How long a size that ran out of memory is avoided: other users of the device come and go."""


def end_process() -> None:
    """A hung model cannot be interrupted; the lease gives the work to another worker."""
    os._exit(1)


@dataclass(slots=True, eq=False)
class _Waiting:
    captioner: Captioner
    pixels: FloatArray
    future: Future[FloatArray]
    arrived: float = field(default_factory=time.monotonic)


class Batcher:
    """First come, first served: a batch is the oldest image and the next ones for its model."""

    def __init__(
        self,
        *,
        max_batch: int,
        wait_seconds: float,
        timeout_seconds: float,
        on_hang: Callable[[], None] = end_process,
        smaller_batch_seconds: float = SMALLER_BATCH_SECONDS,
    ) -> None:
        """A batch leaves when it is full or `wait_seconds` after its oldest image came.

        One that runs for more than `timeout_seconds` calls `on_hang`, from another thread.
        """
        self._max_batch = max_batch
        self._wait_seconds = wait_seconds
        self._timeout_seconds = timeout_seconds
        self._on_hang = on_hang
        self._smaller_batch_seconds = smaller_batch_seconds
        self._smaller_batch = max_batch
        self._smaller_until = 0.0
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = threading.Event()  # an event: mypy would take a bool for unchanged in a wait
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def submit(self, captioner: Captioner, pixels: FloatArray) -> Future[FloatArray]:
        """(3, H, W) to a future of (D,); cancel it to give up. Raises RuntimeError once closed."""
        item = _Waiting(captioner, pixels, Future())
        with self._changed:
            if self._closed.is_set():
                raise RuntimeError("captioning is shut down; no image can be submitted any more")
            self._waiting.append(item)
            self._changed.notify()
        return item.future

    def close(self) -> None:
        """Finishes the running batch and cancels what waits."""
        with self._changed:
            self._closed.set()
            self._changed.notify()
        self._thread.join()
        while self._waiting:
            # Cancelled and told so, or a caller in concurrent.futures.wait would never wake up.
            item = self._waiting.popleft()
            item.future.cancel()
            item.future.set_running_or_notify_cancel()

    def _run(self) -> None:
        while batch := self._next_batch():
            running = [item for item in batch if item.future.set_running_or_notify_cancel()]
            if running:
                process_counters.observe("batch_images", value=len(running))
                self._encode(running)

    def _next_batch(self) -> list[_Waiting]:
        """Blocks until there is one; empty once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed.is_set())
            if self._closed.is_set():
                return []
            oldest = self._waiting[0]
            limit = self._batch_limit()
            self._changed.wait_for(
                lambda: self._closed.is_set() or self._count_for(oldest.captioner) >= limit,
                timeout=max(0.0, oldest.arrived + self._wait_seconds - time.monotonic()),
            )
            if self._closed.is_set():
                return []
            batch: list[_Waiting] = []
            others: deque[_Waiting] = deque()
            while self._waiting and len(batch) < limit:
                item = self._waiting.popleft()
                (batch if item.captioner is oldest.captioner else others).append(item)
            self._waiting.extendleft(reversed(others))
            return batch

    def _count_for(self, captioner: Captioner) -> int:
        return sum(item.captioner is captioner for item in self._waiting)

    def _batch_limit(self) -> int:
        return self._smaller_batch if time.monotonic() < self._smaller_until else self._max_batch

    def _encode(self, items: list[_Waiting]) -> None:
        try:
            features = self._watched(items)
        except OutOfDeviceMemory as error:
            failure: Exception = error
        except Exception as error:  # noqa: BLE001 # whatever one image does, the others go on
            failure = error
        else:
            for item, feature in zip(items, features, strict=True):
                item.future.set_result(feature)
            return
        # Its frames would keep the failed batch alive in the very memory that the next try needs.
        failure.__traceback__ = None
        self._recover(items, failure)

    def _watched(self, items: list[_Waiting]) -> FloatArray:
        watchdog = threading.Timer(self._timeout_seconds, self._hang, [len(items)])
        watchdog.daemon = True
        watchdog.start()
        try:
            failpoint("caption.infer")
            features = items[0].captioner.encode_images(np.stack([item.pixels for item in items]))
        finally:
            watchdog.cancel()
        if features.ndim != 2 or len(features) != len(items):
            raise ValueError(f"{len(items)} images gave features of shape {features.shape}")
        return features

    def _hang(self, size: int) -> None:
        logger.critical(
            "a batch of %d images hangs since %g s; giving up on it, its work is leased out again",
            size,
            self._timeout_seconds,
        )
        self._on_hang()

    def _recover(self, items: list[_Waiting], failure: Exception) -> None:
        if isinstance(failure, OutOfDeviceMemory):
            self._recover_memory(items, failure)
        elif len(items) == 1:
            items[0].future.set_exception(failure)
        else:
            logger.warning(
                "a batch of %d images failed, going on one by one: %r", len(items), failure
            )
            for item in items:
                self._encode([item])

    def _recover_memory(self, items: list[_Waiting], failure: OutOfDeviceMemory) -> None:
        if len(items) > 1:
            half = (len(items) + 1) // 2
            logger.warning("out of device memory: batches of at most %d for a while", half)
            self._smaller_batch = half
            self._smaller_until = time.monotonic() + self._smaller_batch_seconds
            for start in range(0, len(items), half):
                self._encode(items[start : start + half])
        elif items[0].captioner.move_to_cpu():
            logger.warning("no device memory for even one image: the model goes on on the CPU")
            self._smaller_until = 0.0
            self._encode(items)
        else:
            items[0].future.set_exception(failure)
