import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from worker.captioning.captioner import FloatArray, OutOfDeviceMemory
from worker.captioning.torch_tower import TorchTower

SIDE = 8
CPU = torch.device("cpu")


class Seeing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.out = nn.Linear(64, 5)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.out(torch.relu(self.patches(pixels)).flatten(1))
        return found


class Choosing(Seeing):
    """Decides in Python by what it sees, which a trace does not hold."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        found = super().forward(pixels)
        return found if len(pixels) == 3 else -found


class Full(Seeing):
    def forward(self, _pixels: torch.Tensor) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB.")


class Accelerator(TorchTower):
    """Takes the way of a GPU on the CPU: all but the copy itself."""

    def _on_device(self, pixels: FloatArray) -> torch.Tensor:
        return torch.from_numpy(pixels).to(memory_format=torch.channels_last)


def tower(seeing: nn.Module, cores: int = 2) -> TorchTower:
    return TorchTower(seeing, SIDE, device=CPU, dtype=torch.float32, cores=cores)


def pixels(count: int) -> FloatArray:
    return np.random.default_rng(count).random((count, 3, SIDE, SIDE), dtype=np.float32)


def directly(seeing: nn.Module, batch: FloatArray) -> FloatArray:
    with torch.inference_mode():
        found: FloatArray = nn.functional.normalize(seeing(torch.from_numpy(batch)), dim=-1).numpy()
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_gives_what_the_model_gives_for_batches_of_any_size(count: int) -> None:
    seeing = Seeing()
    np.testing.assert_allclose(
        tower(seeing).encode(pixels(count)), directly(seeing, pixels(count)), atol=1e-6
    )


def test_a_model_that_no_trace_holds_runs_step_by_step(caplog: pytest.LogCaptureFixture) -> None:
    seeing = Choosing()
    with caplog.at_level(logging.WARNING):
        found = tower(seeing).encode(pixels(2))

    np.testing.assert_allclose(found, directly(seeing, pixels(2)), atol=1e-6)
    assert "runs step by step" in caplog.text


def test_batches_run_beside_each_other_on_one_core_each() -> None:
    seeing = Seeing()
    both = tower(seeing, cores=2)

    def encode(count: int) -> tuple[FloatArray, int]:
        return both.encode(pixels(count)), torch.get_num_threads()

    with ThreadPoolExecutor(both.streams) as pool:
        found = list(pool.map(encode, range(1, 40)))

    for count, (features, threads) in enumerate(found, start=1):
        np.testing.assert_allclose(features, directly(seeing, pixels(count)), atol=1e-6)
        assert threads == 1


def test_an_accelerator_runs_one_batch_at_once_and_the_larger_the_better() -> None:
    accelerator = Accelerator(
        Seeing(), SIDE, device=torch.device("cuda"), dtype=torch.float32, cores=16
    )

    assert (accelerator.streams, accelerator.best_batch) == (1, None)
    assert accelerator.encode(pixels(3)).shape == (3, 5)


def test_a_full_accelerator_is_told_by_its_name() -> None:
    accelerator = Accelerator(
        Full(), SIDE, device=torch.device("cuda"), dtype=torch.float32, cores=1
    )

    with pytest.raises(OutOfDeviceMemory, match=r"^CUDA out of memory\.$"):
        accelerator.encode(pixels(1))
