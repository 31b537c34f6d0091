"""What runs the part of a model that sees."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from worker.captioning.captioner import FloatArray

Backend = Literal["torch", "openvino"]
Precision = Literal["auto", "float32", "int8"]


@dataclass(frozen=True, slots=True)
class Engine:
    backend: Backend = "torch"
    """OpenVINO runs on the CPU alone."""
    precision: Precision = "auto"
    """`auto` is bfloat16 where the hardware has it, else float32; `int8` needs OpenVINO."""
    calibration_dir: Path | None = None
    """Pictures such as the model will see; `int8` needs them."""
    cache_dir: Path | None = None
    """Where a model that was made `int8` is kept."""


TORCH = Engine()


class Tower(Protocol):
    """The half of a model that sees."""

    @property
    def streams(self) -> int:
        """Threads that may call `encode` at once."""

    @property
    def best_batch(self) -> int | None:
        """As of a Captioner."""

    @property
    def identity(self) -> str:
        """Changes whenever the features could, by more than the model and its type of numbers."""

    @property
    def own_memory_bytes(self) -> int:
        """Of weights that are not torch's model's."""

    def encode(self, pixels: FloatArray) -> FloatArray:
        """(N, 3, H, W) to L2-normalised (N, D). Raises OutOfDeviceMemory."""
