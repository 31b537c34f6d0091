"""What captioning is measured against: its two parts on all cores, each alone, and the old way."""

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip  # type: ignore[import-untyped] # ships no types
import torch
from PIL import Image

from benchmarks.caption_inputs import MEAN, STD
from worker.captioning.cores import available_cores
from worker.captioning.engine import Engine
from worker.captioning.open_clip_captioner import OpenClipCaptioner
from worker.captioning.preprocessing import PixelTransform
from worker.pipeline.pictures import open_picture

SIDE = 224
"""Of the square that ViT-B-32 reads."""
BATCHES = (4, 8, 16)
OLD_WAY_TEXTS = 78
"""Of the script that this service replaces: 74 texts, and four more for each picture."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Milliseconds of processor time an image, and the images a second that they allow."""

    encode: float
    decode: float
    cores: int

    @property
    def rate(self) -> float:
        return self.cores * 1000 / (self.encode + self.decode)


class Parts:
    """Raw `encode_image` and raw decoding with resizing, warm, each on all cores."""

    def __init__(self, model: str, engine: Engine, pictures: Sequence[Path]) -> None:
        self._cores = available_cores()
        self._captioner = OpenClipCaptioner(model, self._cores, engine)
        self._captioner.release_texts()
        self._pictures = list(pictures)
        spawning = multiprocessing.get_context("spawn")
        self._processes = ProcessPoolExecutor(self._cores, mp_context=spawning)
        self._threads = ThreadPoolExecutor(self._cores)
        self.measure(seconds=0.5)

    def close(self) -> None:
        self._processes.shutdown()
        self._threads.shutdown()

    def measure(self, seconds: float) -> Bound:
        """Encoding at the best of several batch sizes, `seconds` for each."""
        encode = min(self._encode(size, seconds) for size in BATCHES)
        return Bound(encode, self._decode(), self._cores)

    def _encode(self, size: int, seconds: float) -> float:
        """A batch on each core at once, again and again."""
        batch = np.random.default_rng(0).standard_normal((size, 3, SIDE, SIDE), dtype=np.float32)
        deadline = time.perf_counter() + seconds

        def work(_core: int) -> int:
            count = 0
            while time.perf_counter() < deadline:
                self._captioner.encode_images(batch)
                count += size
            return count

        start = time.process_time()
        count = sum(self._threads.map(work, range(self._cores)))
        return (time.process_time() - start) * 1000 / count

    def _decode(self) -> float:
        """In processes, so that no lock is in the way."""
        shares = [self._pictures] * self._cores
        spent = sum(self._processes.map(_decode, shares))
        return spent * 1000 / sum(map(len, shares))


def _decode(pictures: Sequence[Path]) -> float:
    """Seconds of this process's time."""
    start = time.process_time()
    for path in pictures:
        with path.open("rb") as file:
            open_picture(file, (SIDE, SIDE), hold_lock=True)
    return time.process_time() - start


def old_way(model: str, path: Path) -> float:
    """Seconds for one picture: the model loaded, all texts encoded, the picture at full size."""
    start = time.perf_counter()
    torch.set_num_threads(available_cores())
    clip = open_clip.create_model(model, require_pretrained=True).eval()
    tokenizer = open_clip.get_tokenizer(model)
    transform = PixelTransform(SIDE, MEAN, STD)
    with torch.inference_mode(), Image.open(path) as picture:
        pixels = torch.from_numpy(transform(picture.convert("RGB")))[None]
        tokens = tokenizer([f"a photo of thing {number}" for number in range(OLD_WAY_TEXTS)])
        texts = clip.encode_text(tokens, normalize=True)
        (clip.encode_image(pixels, normalize=True) @ texts.T).softmax(dim=-1)
    return time.perf_counter() - start
