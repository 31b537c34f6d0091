import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.captioning.batcher import Batcher
from worker.captioning.captioner import FloatArray, OutOfDeviceMemory


class MeanCaptioner:
    """An image's feature is its mean; notes the batches it gets."""

    streams = 1
    best_batch: int | None = None

    def __init__(self) -> None:
        self.batches: list[list[float]] = []

    def encode(self, inputs: Sequence[FloatArray]) -> Sequence[FloatArray | Exception]:
        return list(self.encode_images(np.stack(inputs)))

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        self.batches.append([float(value) for value in pixels[:, 0, 0, 0]])
        means: FloatArray = pixels.mean(axis=(2, 3))
        return means[:, :1]

    def move_to_cpu(self) -> bool:
        return False


class GatedCaptioner(MeanCaptioner):
    """Runs no batch before `gate` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.gate = threading.Event()

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        self.entered.set()
        assert self.gate.wait(10)
        return super().encode_images(pixels)


class PoisonedCaptioner(MeanCaptioner):
    """Fails on every batch that holds the number 13."""

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        features = super().encode_images(pixels)
        if (pixels == 13).any():
            raise ValueError("thirteen")
        return features


class SmallDeviceCaptioner(MeanCaptioner):
    """Has room for `room` images; any number of them once on the CPU."""

    def __init__(self, room: int, *, has_cpu: bool = False) -> None:
        super().__init__()
        self.room = room
        self.has_cpu = has_cpu

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        features = super().encode_images(pixels)
        if len(pixels) > self.room:
            raise OutOfDeviceMemory("too many")
        return features

    def move_to_cpu(self) -> bool:
        moves, self.has_cpu = self.has_cpu, False
        if moves:
            self.room = 1000
        return moves


def image(number: float) -> FloatArray:
    return np.full((3, 2, 2), number, dtype=np.float32)


@contextmanager
def running(
    *,
    max_batch: int = 8,
    wait_seconds: float = 0.05,
    timeout_seconds: float = 30,
    on_hang: Callable[[], None] = lambda: None,
    smaller_batch_seconds: float = 300,
) -> Iterator[Batcher]:
    batcher = Batcher(
        max_batch=max_batch,
        wait_seconds=wait_seconds,
        timeout_seconds=timeout_seconds,
        on_hang=on_hang,
        smaller_batch_seconds=smaller_batch_seconds,
    )
    try:
        yield batcher
    finally:
        batcher.close()


def numbers(futures: list[Future[FloatArray]]) -> list[float]:
    return [float(future.result(10)[0]) for future in futures]


def test_images_of_many_submitters_share_batches_and_each_gets_its_own_answer() -> None:
    captioner = MeanCaptioner()
    with running(max_batch=8, wait_seconds=0.5) as batcher, ThreadPoolExecutor(16) as pool:
        futures = list(pool.map(lambda n: batcher.submit(captioner, image(n)), range(16)))

        assert numbers(futures) == list(range(16))
    assert [len(batch) for batch in captioner.batches] == [8, 8]


def test_a_lone_image_leaves_after_the_wait() -> None:
    captioner = MeanCaptioner()
    with running(max_batch=8, wait_seconds=0.02) as batcher:
        assert numbers([batcher.submit(captioner, image(5))]) == [5]


def test_a_job_of_two_is_in_the_next_batch_whatever_a_big_one_has_waiting() -> None:
    captioner = GatedCaptioner()
    with running(max_batch=4, wait_seconds=0) as batcher:
        first = batcher.submit(captioner, image(0), "big")
        assert captioner.entered.wait(10)
        futures = [batcher.submit(captioner, image(n), "big") for n in range(1, 100)]
        small = [batcher.submit(captioner, image(n), "small") for n in (1001, 1002)]
        captioner.gate.set()
        numbers([first, *futures, *small])

    assert captioner.batches[0] == [0]
    assert {1001, 1002} <= set(captioner.batches[1])
    assert sorted(chain.from_iterable(captioner.batches)) == [*range(100), 1001, 1002]


def test_a_big_job_is_no_newcomer_again_where_nothing_waited_for_a_moment() -> None:
    captioner = MeanCaptioner()
    gated = GatedCaptioner()
    with running(max_batch=1, wait_seconds=0) as batcher:
        for number in range(20):  # one at a time: in between nothing waits for the model
            numbers([batcher.submit(captioner, image(number), "big")])
        first = batcher.submit(gated, image(0), "gate")
        assert gated.entered.wait(10)
        captioner.batches.clear()
        futures = [batcher.submit(captioner, image(n), "big") for n in range(4)]
        futures += [batcher.submit(captioner, image(1000 + n), "small") for n in range(4)]
        gated.gate.set()
        numbers([first, *futures])

    assert captioner.batches[:4] == [[1000], [1001], [1002], [1003]]


def test_a_batch_is_no_larger_than_pays_for_the_model() -> None:
    captioner = GatedCaptioner()
    captioner.best_batch = 2
    with running(max_batch=8, wait_seconds=0) as batcher:
        first = batcher.submit(captioner, image(0))
        assert captioner.entered.wait(10)
        futures = [batcher.submit(captioner, image(n)) for n in range(1, 5)]
        captioner.gate.set()
        numbers([first, *futures])

    assert captioner.batches == [[0], [1, 2], [3, 4]]


class BusyCaptioner(MeanCaptioner):
    """Ends no batch before as many were at work as it has streams; notes the most at once."""

    def __init__(self, streams: int) -> None:
        super().__init__()
        self.streams = streams
        self.full = threading.Event()
        self.most, self._at_work, self._lock = 0, 0, threading.Lock()

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        with self._lock:
            self._at_work += 1
            self.most = max(self.most, self._at_work)
            if self._at_work == self.streams:
                self.full.set()
        assert self.full.wait(10)
        with self._lock:
            self._at_work -= 1
        return super().encode_images(pixels)


def test_as_many_batches_run_at_once_as_the_model_has_streams() -> None:
    captioner = BusyCaptioner(streams=3)
    with running(max_batch=2, wait_seconds=0) as batcher:
        futures = [batcher.submit(captioner, image(n)) for n in range(12)]

        assert numbers(futures) == list(range(12))
    assert captioner.most == 3


def test_streams_that_are_free_share_what_waits() -> None:
    captioner = BusyCaptioner(streams=2)
    with running(max_batch=8, wait_seconds=0.5) as batcher:
        futures = [batcher.submit(captioner, image(n)) for n in range(8)]

        assert numbers(futures) == list(range(8))
    assert sorted(captioner.batches) == [[0, 1, 2, 3], [4, 5, 6, 7]]


class HeldCaptioner(MeanCaptioner):
    """With two streams; one of them holds the batch that begins with 100 until `gate` is set."""

    streams = 2

    def __init__(self) -> None:
        super().__init__()
        self.held = threading.Event()
        self.gate = threading.Event()

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        features = super().encode_images(pixels)
        if pixels[0, 0, 0, 0] == 100:
            self.held.set()
            assert self.gate.wait(10)
        return features


def test_the_last_images_are_shared_with_a_stream_that_is_nearly_done() -> None:
    captioner = HeldCaptioner()
    with running(max_batch=4, wait_seconds=0.5) as batcher:
        held = batcher.submit(captioner, image(100))
        assert captioner.held.wait(10)
        numbers([batcher.submit(captioner, image(1))])  # says how long an image takes: no time
        captioner.batches.clear()
        numbers([batcher.submit(captioner, image(n)) for n in range(4)])
        captioner.gate.set()
        numbers([held])

    assert [len(batch) for batch in captioner.batches] == [2, 1, 1]


def test_a_callback_that_takes_its_time_keeps_no_batch_waiting() -> None:
    captioner = MeanCaptioner()
    seen = threading.Event()
    with running(max_batch=1, wait_seconds=0) as batcher:
        slow = batcher.submit(captioner, image(1))
        slow.add_done_callback(lambda _: seen.wait(10))
        batcher.submit(captioner, image(2))
        deadline = time.monotonic() + 10
        while len(captioner.batches) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not seen.is_set()
        seen.set()


@settings(max_examples=30, deadline=None)
@given(
    jobs=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    streams=st.integers(1, 3),
    max_batch=st.integers(1, 5),
)
def test_every_image_gets_its_own_features_whoever_submits_beside_it(
    jobs: list[int], streams: int, max_batch: int
) -> None:
    captioners = [MeanCaptioner(), MeanCaptioner()]
    for captioner in captioners:
        captioner.streams = streams
    with running(max_batch=max_batch, wait_seconds=0.001) as batcher:

        def submit(job: int) -> list[float]:
            mine = [image(100 * job + n) for n in range(jobs[job])]
            captioner = captioners[job % 2]
            return numbers([batcher.submit(captioner, each, job) for each in mine])

        with ThreadPoolExecutor(len(jobs)) as pool:
            found = list(pool.map(submit, range(len(jobs))))

    assert found == [[100 * job + n for n in range(size)] for job, size in enumerate(jobs)]
    assert all(len(batch) <= max_batch for each in captioners for batch in each.batches)


def test_images_leave_in_the_order_they_came() -> None:
    captioner = GatedCaptioner()
    with running(max_batch=3, wait_seconds=0) as batcher:
        first = batcher.submit(captioner, image(0))
        assert captioner.entered.wait(10)
        futures = [batcher.submit(captioner, image(n)) for n in range(1, 8)]
        captioner.gate.set()
        numbers([first, *futures])

    assert captioner.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_two_models_never_share_a_batch_and_take_turns() -> None:
    blocker, left, right = GatedCaptioner(), MeanCaptioner(), MeanCaptioner()
    with running(max_batch=8, wait_seconds=0) as batcher:
        futures = [batcher.submit(blocker, image(0))]
        assert blocker.entered.wait(10)
        futures += [batcher.submit((left, right)[n % 2], image(n)) for n in range(6)]
        blocker.gate.set()
        numbers(futures)

    assert left.batches == [[0, 2, 4]]
    assert right.batches == [[1, 3, 5]]


def test_a_poison_image_fails_alone() -> None:
    with running(max_batch=4, wait_seconds=1) as batcher:
        captioner = PoisonedCaptioner()
        futures = [batcher.submit(captioner, image(n)) for n in (1, 13, 3, 4)]

        assert numbers([futures[0], *futures[2:]]) == [1, 3, 4]
        with pytest.raises(ValueError, match="thirteen"):
            futures[1].result(10)


def test_out_of_memory_halves_the_batch_and_remembers() -> None:
    captioner = SmallDeviceCaptioner(room=2)
    with running(max_batch=8, wait_seconds=0.5) as batcher:
        assert numbers([batcher.submit(captioner, image(n)) for n in range(8)]) == list(range(8))
        assert [len(batch) for batch in captioner.batches] == [8, 4, 2, 2, 4, 2, 2]
        captioner.batches.clear()

        assert numbers([batcher.submit(captioner, image(n)) for n in range(4)]) == list(range(4))

    assert [len(batch) for batch in captioner.batches] == [2, 2]


def test_the_full_batch_is_tried_again_after_a_while() -> None:
    captioner = SmallDeviceCaptioner(room=2)
    with running(max_batch=4, wait_seconds=0.5, smaller_batch_seconds=0) as batcher:
        numbers([batcher.submit(captioner, image(n)) for n in range(4)])
        captioner.room = 4
        captioner.batches.clear()
        numbers([batcher.submit(captioner, image(n)) for n in range(4)])

    assert [len(batch) for batch in captioner.batches] == [4]


def test_a_model_without_room_for_one_image_moves_to_the_cpu() -> None:
    captioner = SmallDeviceCaptioner(room=0, has_cpu=True)
    with running(max_batch=2, wait_seconds=0.5) as batcher:
        assert numbers([batcher.submit(captioner, image(n)) for n in range(2)]) == [0, 1]


def test_an_image_that_fits_nowhere_fails_and_the_thread_lives() -> None:
    captioner = SmallDeviceCaptioner(room=0)
    with running(wait_seconds=0) as batcher:
        with pytest.raises(OutOfDeviceMemory):
            batcher.submit(captioner, image(1)).result(10)
        captioner.room = 1

        assert numbers([batcher.submit(captioner, image(2))]) == [2]


def test_a_batch_that_hangs_is_reported() -> None:
    captioner = GatedCaptioner()
    hung = threading.Event()
    with running(wait_seconds=0, timeout_seconds=0.05, on_hang=hung.set) as batcher:
        future = batcher.submit(captioner, image(1))

        assert hung.wait(10)
        captioner.gate.set()
        numbers([future])


def test_a_batch_in_time_is_not_reported() -> None:
    hung = threading.Event()
    with running(wait_seconds=0, timeout_seconds=0.2, on_hang=hung.set) as batcher:
        numbers([batcher.submit(MeanCaptioner(), image(1))])

        assert not hung.wait(0.4)


def test_images_of_callers_who_gave_up_are_not_encoded() -> None:
    captioner = GatedCaptioner()
    with running(wait_seconds=0) as batcher:
        first = batcher.submit(captioner, image(0))
        assert captioner.entered.wait(10)
        given_up, wanted = (batcher.submit(captioner, image(n)) for n in (1, 2))
        assert given_up.cancel()
        captioner.gate.set()
        numbers([first, wanted])

    assert captioner.batches == [[0], [2]]


def test_features_of_the_wrong_shape_fail_their_images() -> None:
    class Forgetful(MeanCaptioner):
        def encode_images(self, pixels: FloatArray) -> FloatArray:
            return super().encode_images(pixels)[:-1]

    with running(max_batch=2, wait_seconds=0.5) as batcher:
        captioner = Forgetful()
        futures = [batcher.submit(captioner, image(n)) for n in range(2)]

        for future in futures:
            with pytest.raises(ValueError, match="1 images gave 0 features"):
                future.result(10)


def test_closing_finishes_what_runs_and_cancels_what_waits() -> None:
    captioner = GatedCaptioner()
    with running(wait_seconds=0) as batcher:
        first = batcher.submit(captioner, image(0))
        assert captioner.entered.wait(10)
        pending = batcher.submit(captioner, image(1))
        closing = threading.Thread(target=batcher.close)
        closing.start()
        while True:  # the refusal shows that `close` has begun
            try:
                batcher.submit(captioner, image(2))
            except RuntimeError:
                break
        captioner.gate.set()
        closing.join(10)

        assert numbers([first]) == [0]
        assert wait([pending], timeout=10).done == {pending}
        with pytest.raises(CancelledError):
            pending.result(0)
