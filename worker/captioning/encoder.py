"""What a batch is run by: a model in this process, or one that other processes hold."""

import threading
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from worker.captioning.captioner import Captioner, FloatArray
from worker.captioning.cores import step_back

InputT_contra = TypeVar("InputT_contra", contravariant=True)


class Encoder(Protocol[InputT_contra]):
    """As many threads at once as it has `streams` may call `encode`."""

    @property
    def streams(self) -> int: ...

    @property
    def best_batch(self) -> int | None:
        """As of a Captioner."""

    def encode(self, inputs: Sequence[InputT_contra]) -> Sequence[FloatArray | Exception]:
        """A normalised feature (D,) for each, or why there is none. Raises OutOfDeviceMemory, and
        what the model raises for the whole batch."""

    def move_to_cpu(self) -> bool:
        """As of a Captioner."""


class InProcess:
    """A captioner of this process; its inputs are what it has preprocessed."""

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner
        self._thread = threading.local()

    @property
    def streams(self) -> int:
        return self._captioner.streams

    @property
    def best_batch(self) -> int | None:
        return self._captioner.best_batch

    def encode(self, inputs: Sequence[FloatArray]) -> Sequence[FloatArray | Exception]:
        if not hasattr(self._thread, "is_behind"):
            step_back()
            self._thread.is_behind = True
        return list(self._captioner.encode_images(np.stack(inputs)))

    def move_to_cpu(self) -> bool:
        return self._captioner.move_to_cpu()
