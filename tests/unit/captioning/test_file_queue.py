import io
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.fixtures.waiting import wait_until
from worker.captioning.batcher import Batcher
from worker.captioning.captioner import FloatArray
from worker.captioning.file_queue import WHOLE_FILES, FileQueue
from worker.captioning.round_robin import NEW

create_batcher = partial(Batcher, max_batch=4, wait_seconds=0.0, timeout_seconds=60.0)


class GatedLane:
    """Answers nothing before `gate` is set; notes what it is given."""

    streams = 1
    best_batch = None

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.given: list[Path | bytes] = []

    def encode(self, inputs: Sequence[Path | bytes]) -> Sequence[FloatArray | Exception]:
        assert self.gate.wait(60)
        self.given.extend(inputs)
        return [np.ones(1, np.float32)] * len(inputs)

    def move_to_cpu(self) -> bool:
        return False


def both_lanes() -> Any:
    """In the place of SeeingProcesses."""
    return SimpleNamespace(urgent=GatedLane(), ordinary=GatedLane())


def test_the_first_files_of_each_owner_are_urgent() -> None:
    queue, processes = FileQueue(create_batcher, 1), both_lanes()
    for owner in ("a", "b"):
        for number in range(NEW + 2):
            queue.submit(processes, Path(f"{owner}{number}"), owner, 0)
    processes.urgent.gate.set()
    processes.ordinary.gate.set()
    wait_until(lambda: len(processes.urgent.given + processes.ordinary.given) == 2 * (NEW + 2))
    assert {str(each) for each in processes.ordinary.given} == {
        f"{owner}{number}" for owner in "ab" for number in (NEW, NEW + 1)
    }
    queue.close()


def test_whole_files_in_memory_are_few_and_paths_as_many_as_you_like() -> None:
    queue, processes = FileQueue(create_batcher, 1), both_lanes()
    read: list[int] = []

    class Noted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            read.append(1)
            return super().read(size)

    def submit() -> None:
        queue.submit(processes, Noted(b"picture"), "job", 0)

    threads = [threading.Thread(target=submit) for _ in range(3 * WHOLE_FILES)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(read) == WHOLE_FILES)
    for _ in range(100):
        queue.submit(processes, Path("picture"), "job", 0)
    assert len(read) == WHOLE_FILES

    processes.urgent.gate.set()
    processes.ordinary.gate.set()
    for thread in threads:
        thread.join()
    assert len(read) == 3 * WHOLE_FILES
    queue.close()
