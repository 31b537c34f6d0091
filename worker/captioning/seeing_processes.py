"""Processes in which a model sees: decoding and the model side by side, without one lock for all.

One process loads the model and forks the others, which share its weights. For each core there is
one for urgent pictures and one for the others; which of the two runs is the kernel's to decide.
"""

import logging
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from queue import LifoQueue

from worker.captioning.captioner import FloatArray, ModelUnavailable
from worker.captioning.engine import Engine

logger = logging.getLogger(__name__)

START_SECONDS = 120.0
"""To load a model that another process has just loaded from the same disk."""
END_SECONDS = 10.0


class Lane:
    """Processes of one priority, as an Encoder of pictures' files: where one is, or all of it."""

    def __init__(
        self,
        name: str,
        ends: Sequence[Connection],
        best_batch: int | None,
        on_death: Callable[[], None],
    ) -> None:
        self._name = name
        self._idle: LifoQueue[Connection] = LifoQueue()
        for end in ends:
            self._idle.put(end)
        self._on_death = on_death
        self.streams = len(ends)
        self.best_batch = best_batch

    def encode(self, inputs: Sequence[Path | bytes]) -> Sequence[FloatArray | Exception]:
        end = self._idle.get()
        try:
            end.send(list(inputs))
            found: Sequence[FloatArray | Exception] | Exception = end.recv()
        except (EOFError, OSError):
            logger.critical("a process that sees for the captioning model %r has died", self._name)
            self._on_death()
            raise
        finally:
            self._idle.put(end)
        if isinstance(found, Exception):
            raise found
        return found

    def move_to_cpu(self) -> bool:
        return False


class SeeingProcesses:
    """A model's; they end when this is closed, let go of, or when this process ends in any way."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        cores: int,
        *,
        best_batch: int | None,
        on_death: Callable[[], None],
    ) -> None:
        """Blocks while the model loads. Raises ModelUnavailable.

        `on_death` is called, from the thread that waits for it, when one of them has ended.
        """
        pairs = [socket.socketpair() for _ in range(1 + 2 * cores)]
        try:
            process = subprocess.Popen(  # noqa: S603 # our own module
                [
                    sys.executable,
                    "-m",
                    "worker.captioning.seeing_process",
                    *(str(theirs.fileno()) for _, theirs in pairs),
                ],
                pass_fds=[theirs.fileno() for _, theirs in pairs],
                # Before torch is loaded: no thread may be there when the process forks.
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
            )
        finally:
            for _, theirs in pairs:
                theirs.close()
        control, *ends = (Connection(ours.detach()) for ours, _ in pairs)
        self.close = weakref.finalize(self, _end, process, control, ends)
        try:
            control.send((name, engine))
            if not control.poll(START_SECONDS):
                raise ModelUnavailable(name, f"not loaded a second time in {START_SECONDS:g} s")
            answer: int | str = control.recv()
        except (EOFError, OSError) as error:
            self.close()
            raise ModelUnavailable(name, "the process that was to load it ended") from error
        except ModelUnavailable:
            self.close()
            raise
        if isinstance(answer, str):
            self.close()
            raise ModelUnavailable(name, answer)
        self.memory_bytes = answer
        """Of the weights, which all of them share."""
        self.urgent, self.ordinary = (
            Lane(name, share, best_batch, on_death) for share in (ends[:cores], ends[cores:])
        )


def _end(process: subprocess.Popen[bytes], control: Connection, ends: Sequence[Connection]) -> None:
    for end in (control, *ends):
        end.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
