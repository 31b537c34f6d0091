"""Pictures' files on their way to the processes in which models see."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from pathlib import Path
from typing import BinaryIO

from worker.captioning.batcher import Batcher
from worker.captioning.captioner import FloatArray
from worker.captioning.round_robin import Newcomers
from worker.captioning.seeing_processes import SeeingProcesses
from worker.captioning.turns import Turns

WHOLE_FILES = 8
"""For each core, that wait in memory where their storage is no folder: two batches."""


class FileQueue:
    """The first pictures of each owner are urgent, and with them all of a small job."""

    def __init__(self, create_batcher: Callable[[], Batcher], cores: int) -> None:
        self._urgent, self._ordinary = create_batcher(), create_batcher()
        self._whole_files = Turns(WHOLE_FILES * cores)
        self._newcomers = Newcomers()
        self._counting = threading.Lock()

    def submit(
        self, processes: SeeingProcesses, file: Path | BinaryIO, owner: Hashable, rank: int
    ) -> Future[FloatArray]:
        """Blocks while there is no room for one more file that is no path. The future raises what
        the processes do. Raises RuntimeError once closed, and OSError."""
        if isinstance(file, Path):
            return self._queue(processes, file, owner, rank)
        self._whole_files.take(owner, rank)
        try:
            encoded = self._queue(processes, file.read(), owner, rank)
        except BaseException:
            self._whole_files.hand_on()
            raise
        encoded.add_done_callback(lambda _: self._whole_files.hand_on())
        return encoded

    def close(self) -> None:
        """As of a Batcher."""
        self._urgent.close()
        self._ordinary.close()

    def _queue(
        self, processes: SeeingProcesses, file: Path | bytes, owner: Hashable, rank: int
    ) -> Future[FloatArray]:
        with self._counting:
            is_urgent = self._newcomers.count_in(owner)
        if is_urgent:
            return self._urgent.submit(processes.urgent, file, owner, rank)
        return self._ordinary.submit(processes.ordinary, file, owner, rank)
