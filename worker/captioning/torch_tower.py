"""The half of a model that sees, run by torch."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import nn

from worker.captioning.captioner import FloatArray, OutOfDeviceMemory

logger = logging.getLogger(__name__)

BEST_CPU_BATCH = 8
"""ViT-B-32 in bf16 on one core: 36 ms an image alone, 25.6 in fours, 26.9 in eights, 30 in 16s."""
TRACE_TOLERANCE = 0.02
"""By which a number of a normalised feature may be off in bf16: it has 8 bits."""


class TorchTower:
    """On a CPU each batch runs on one core, and as many batches at once as there are cores: a batch
    on all cores waits at each of its operations for the core that decoding has taken.
    """

    def __init__(
        self, seeing: nn.Module, side: int, *, device: torch.device, dtype: torch.dtype, cores: int
    ) -> None:
        """`seeing` makes (N, D) of (N, 3, side, side) and is on the device in that type already."""
        self._device = device
        self._dtype = dtype
        self.identity = ""
        self.own_memory_bytes = 0
        self._on_cpu = device.type == "cpu"
        self._thread = threading.local()
        self.streams = cores if self._on_cpu else 1
        self.best_batch = BEST_CPU_BATCH if self._on_cpu else None
        seeing = seeing.eval()
        self._run = self._without_python(seeing, side) if self._on_cpu else seeing

    def encode(self, pixels: FloatArray) -> FloatArray:
        """(N, 3, side, side) to L2-normalised (N, D). Raises OutOfDeviceMemory."""
        self._keep_to_one_core()
        with torch.inference_mode(), out_of_memory_named():
            return as_features(self._run(self._on_device(pixels)))

    def _keep_to_one_core(self) -> None:
        if self._on_cpu and not hasattr(self._thread, "is_single"):
            torch.set_num_threads(1)  # of this thread, and of those that torch has not met yet
            self._thread.is_single = True

    def _on_device(self, pixels: FloatArray) -> torch.Tensor:
        batch = torch.from_numpy(pixels)
        if self._on_cpu:
            return batch.to(self._dtype, memory_format=torch.channels_last)
        # From pinned memory the device fetches by itself, while this thread goes on.
        return batch.pin_memory().to(
            self._device, self._dtype, non_blocking=True, memory_format=torch.channels_last
        )

    def _without_python(self, seeing: nn.Module, side: int) -> nn.Module:
        """The same as one call that lets go of the interpreter lock from beginning to end.

        Otherwise each of some 200 operations waits for the lock; a decoder may hold it for 10 ms.
        TorchScript is marked as deprecated, but what is to follow it needs a compiler at run time.
        """
        self._keep_to_one_core()
        example = torch.linspace(-1, 1, 3 * 3 * side * side).reshape(3, 3, side, side)
        example = example.to(self._dtype, memory_format=torch.channels_last)
        try:
            with torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                traced = torch.jit.trace(  # type: ignore[no-untyped-call] # not typed there
                    seeing, example, check_trace=False
                )
                frozen = cast(nn.Module, torch.jit.freeze(traced))
                for count in (1, 2):
                    found = as_features(frozen(example[:count]))
                    expected = as_features(seeing(example[:count]))
                    if abs(found - expected).max() > TRACE_TOLERANCE:
                        raise ValueError(f"the trace gives other features for {count} images")
        except Exception as error:  # noqa: BLE001 # a model may do in Python what no trace holds
            logger.warning("the model runs step by step, slower beside decoding: %s", error)
            return seeing
        return frozen


def as_features(encoded: torch.Tensor) -> FloatArray:
    """In fp32: bf16 has 8 bits, too few to tell near terms apart in a dot product."""
    features: FloatArray = nn.functional.normalize(encoded.float(), dim=-1).cpu().numpy()
    return features


@contextmanager
def out_of_memory_named() -> Iterator[None]:
    """Torch's error as OutOfDeviceMemory."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        message = str(error).splitlines()[0]
    else:
        return
    # Outside of the handler, so that the error's frames have let go of the batch.
    torch.cuda.empty_cache()
    raise OutOfDeviceMemory(message)
