"""Fills batches across callers, fair to each of them, and runs them on a few threads."""

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any, TypeVar

from shared.counters import process_counters
from shared.failpoints import failpoint
from worker.captioning.captioner import FloatArray, OutOfDeviceMemory
from worker.captioning.encoder import Encoder
from worker.captioning.round_robin import Newcomers, RoundRobin

logger = logging.getLogger(__name__)

InputT = TypeVar("InputT")

SMALLER_BATCH_SECONDS = 300.0
"""How long a size that ran out of memory is avoided: other users of the device come and go."""


def end_process() -> None:
    """A hung model cannot be interrupted; the lease gives the work to another worker."""
    os._exit(1)


@dataclass(slots=True, eq=False)
class _Waiting:
    encoder: Encoder[Any]
    image: object
    future: Future[FloatArray]


@dataclass(frozen=True, slots=True)
class _Running:
    images: int
    since: float


@dataclass(slots=True, eq=False)
class _Line:
    """What waits for one encoder."""

    encoder: Encoder[Any]
    waiting: RoundRobin[_Waiting]
    since: float = 0.0
    """When the first of those came that wait now, or the latest batch left."""
    running: dict[int, _Running] = field(default_factory=dict)
    """By the thread."""
    image_seconds: float = inf
    """That the latest batch took for each of its images."""

    @property
    def has_turn(self) -> bool:
        return len(self.waiting) > 0 and len(self.running) < self.encoder.streams

    def share(self) -> int:
        """Images for the stream that asks, so that all streams are done with all there is at once:
        what waits, and what is left of the batches that run."""
        now = time.monotonic()
        left = sum(
            max(0.0, batch.images - (now - batch.since) / self.image_seconds)
            for batch in self.running.values()
        )
        return ceil((len(self.waiting) + left) / self.encoder.streams)

    def begin(self, images: int) -> None:
        self.since = time.monotonic()
        self.running[threading.get_ident()] = _Running(images, self.since)

    def end(self) -> None:
        batch = self.running.pop(threading.get_ident())
        self.image_seconds = (time.monotonic() - batch.since) / batch.images


class Batcher:
    """Encoders take turns, and so do the owners of the images for each; of an owner's own those of
    least rank come first, and of these the first to come.

    There are as many inference threads as the encoder with most `streams` can use.
    """

    def __init__(
        self,
        *,
        max_batch: int,
        wait_seconds: float,
        timeout_seconds: float,
        on_hang: Callable[[], None] = end_process,
        smaller_batch_seconds: float = SMALLER_BATCH_SECONDS,
    ) -> None:
        """A batch holds at most `max_batch` images and no more than the encoder's `best_batch`. It
        leaves when it is full or `wait_seconds` after its first image came.

        One that runs for more than `timeout_seconds` calls `on_hang`, from another thread.
        """
        self._max_batch = max_batch
        self._wait_seconds = wait_seconds
        self._timeout_seconds = timeout_seconds
        self._on_hang = on_hang
        self._smaller_batch_seconds = smaller_batch_seconds
        self._smaller_batch = max_batch
        self._smaller_until = 0.0
        self._lines: OrderedDict[int, _Line] = OrderedDict()
        self._newcomers = Newcomers()  # a line is gone as soon as nothing waits
        self._changed = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._handing_over = ThreadPoolExecutor(1, thread_name_prefix="features")

    def submit(
        self, encoder: Encoder[InputT], image: InputT, owner: Hashable = None, rank: int = 0
    ) -> Future[FloatArray]:
        """An image, as the encoder takes it, to a future of (D,); cancel it to give up.

        Raises RuntimeError once closed.
        """
        item = _Waiting(encoder, image, Future())
        with self._changed:
            if self._closed:
                raise RuntimeError("captioning is shut down; no image can be submitted any more")
            if id(encoder) not in self._lines:
                self._lines[id(encoder)] = _Line(encoder, RoundRobin(self._newcomers))
            line = self._lines[id(encoder)]
            if not line.waiting:
                line.since = time.monotonic()
            line.waiting.push(owner, item, rank)
            if len(self._threads) < encoder.streams:
                self._start_thread()
            self._changed.notify()
        return item.future

    def close(self) -> None:
        """Finishes the running batches and cancels what waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._handing_over.shutdown()
        for line in self._lines.values():
            while line.waiting:
                # Cancelled and told so, or a caller in concurrent.futures.wait would never wake up.
                item = line.waiting.pop()
                item.future.cancel()
                item.future.set_running_or_notify_cancel()

    def _start_thread(self) -> None:
        name = f"inference-{len(self._threads)}"
        self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
        self._threads[-1].start()

    def _run(self) -> None:
        while (taken := self._next_batch()) is not None:
            line, batch = taken
            running = [item for item in batch if item.future.set_running_or_notify_cancel()]
            if running:
                process_counters.observe("batch_images", value=len(running))
                self._encode(running)
            del batch, running  # or the last batch's pixels stay until the next one comes
            self._end(line)

    def _next_batch(self) -> tuple[_Line, list[_Waiting]] | None:
        """Blocks until there is one; None once closed."""
        with self._changed:
            while not self._closed:
                line = next((each for each in self._lines.values() if each.has_turn), None)
                if line is None:
                    self._changed.wait()
                    continue
                limit = self._batch_limit(line.encoder)
                rest = line.since + self._wait_seconds - time.monotonic()
                if len(line.waiting) < limit and rest > 0:
                    self._changed.wait(rest)
                    continue
                return line, self._take(line, limit)
        return None

    def _take(self, line: _Line, limit: int) -> list[_Waiting]:
        batch = line.waiting.pop_some(min(limit, line.share()))
        line.begin(len(batch))
        self._lines.move_to_end(id(line.encoder))
        self._changed.notify()  # what is left may be another thread's turn
        return batch

    def _end(self, line: _Line) -> None:
        with self._changed:
            line.end()
            if not line.running and not line.waiting:
                self._lines.pop(id(line.encoder), None)  # or a model that was let go would stay

    def _batch_limit(self, encoder: Encoder[Any]) -> int:
        limit = min(self._max_batch, encoder.best_batch or self._max_batch)
        if time.monotonic() < self._smaller_until:
            return min(limit, self._smaller_batch)
        return limit

    def _encode(self, items: list[_Waiting]) -> None:
        try:
            features = self._watched(items)
        except OutOfDeviceMemory as error:
            failure: Exception = error
        except Exception as error:  # noqa: BLE001 # whatever one image does, the others go on
            failure = error
        else:
            # By another thread: what callers make of them would keep the model waiting.
            self._handing_over.submit(_hand_over, items, features)
            return
        # Its frames would keep the failed batch alive in the very memory that the next try needs.
        failure.__traceback__ = None
        self._recover(items, failure)

    def _watched(self, items: list[_Waiting]) -> Sequence[FloatArray | Exception]:
        watchdog = threading.Timer(self._timeout_seconds, self._hang, [len(items)])
        watchdog.daemon = True
        watchdog.start()
        try:
            failpoint("caption.infer")
            features = items[0].encoder.encode([item.image for item in items])
        finally:
            watchdog.cancel()
        if len(features) != len(items):
            raise ValueError(f"{len(items)} images gave {len(features)} features")
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
        elif items[0].encoder.move_to_cpu():
            logger.warning("no device memory for even one image: the model goes on on the CPU")
            self._smaller_until = 0.0
            self._encode(items)
        else:
            items[0].future.set_exception(failure)


def _hand_over(items: Sequence[_Waiting], features: Sequence[FloatArray | Exception]) -> None:
    for item, feature in zip(items, features, strict=True):
        if isinstance(feature, Exception):
            item.future.set_exception(feature)
        else:
            item.future.set_result(feature)
