"""A model on an accelerator whose memory runs out: the way of a GPU, on a CPU.

Stood in for are the copy to the device and its allocator, which has room for so many pictures.
Halving, the move, the reading of texts after it and all features are the real ones.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.captioning.tiny_clip import make_tiny_clip, save_tiny_clip
from worker.captioning.batcher import Batcher
from worker.captioning.captioner import FloatArray
from worker.captioning.encoder import InProcess
from worker.captioning.open_clip_captioner import OpenClipCaptioner, _Seeing
from worker.captioning.torch_tower import TorchTower

SIDE = 32
TEXTS = ["a cat", "a dog on a boat"]


class Accelerator(TorchTower):
    def __init__(self, captioner: OpenClipCaptioner, room: int) -> None:
        cuda = torch.device("cuda")
        seeing = _Seeing(captioner._model)
        super().__init__(seeing, SIDE, device=cuda, dtype=captioner._dtype, cores=1)
        self.room = room
        self.tried: list[int] = []

    def _on_device(self, pixels: FloatArray) -> torch.Tensor:
        self.tried.append(len(pixels))
        if len(pixels) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB.")
        return torch.from_numpy(pixels).to(self._dtype, memory_format=torch.channels_last)


@pytest.fixture
def captioner(tmp_path: Path) -> OpenClipCaptioner:
    save_tiny_clip(make_tiny_clip(), tmp_path)
    return OpenClipCaptioner(f"local-dir:{tmp_path}", threads=1)


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    batcher = Batcher(max_batch=8, wait_seconds=1, timeout_seconds=60)
    yield batcher
    batcher.close()


def put_on_accelerator(captioner: OpenClipCaptioner, room: int) -> Accelerator:
    accelerator = Accelerator(captioner, room)
    captioner._tower, captioner._device = accelerator, torch.device("cuda")
    return accelerator


def pictures(count: int) -> FloatArray:
    return np.random.default_rng(5).random((count, 3, SIDE, SIDE), dtype=np.float32)


def encoded(batcher: Batcher, captioner: OpenClipCaptioner, batch: FloatArray) -> FloatArray:
    encoder = InProcess(captioner)
    futures = [batcher.submit(encoder, pixels) for pixels in batch]
    return np.stack([future.result(30) for future in futures])


def test_batches_are_halved_before_the_accelerator_is_left(
    captioner: OpenClipCaptioner, batcher: Batcher
) -> None:
    expected = captioner.encode_images(pictures(8))
    accelerator = put_on_accelerator(captioner, room=2)

    found = encoded(batcher, captioner, pictures(8))

    np.testing.assert_allclose(found, expected, atol=0.02)  # bf16 has 8 bits
    assert accelerator.tried == [8, 4, 2, 2, 4, 2, 2]
    assert captioner.device == "cuda"


def test_the_cpu_goes_on_where_not_one_picture_fits(
    captioner: OpenClipCaptioner, batcher: Batcher
) -> None:
    images, texts = captioner.encode_images(pictures(4)), captioner.encode_texts(TEXTS)
    captioner.release_texts()
    accelerator = put_on_accelerator(captioner, room=0)

    found = encoded(batcher, captioner, pictures(4))

    assert accelerator.tried == [4, 2, 1]
    assert captioner.device == "cpu"
    np.testing.assert_allclose(found, images, atol=0.02)
    np.testing.assert_allclose(captioner.encode_texts(TEXTS), texts, atol=0.02)
    assert not captioner.move_to_cpu(), "it is there already"
