"""An operator's own pictures, from which a model in 8 bits learns the scale of its numbers."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from shared.errors import UnreadableImageError
from worker.captioning.captioner import FloatArray
from worker.captioning.engine import Engine
from worker.pipeline.pictures import open_picture

FEWEST_PICTURES, MOST_PICTURES = 16, 300


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one model."""

    engine: Engine
    weights: str
    """Which weights they are, as in a Captioner's identity."""
    input_size: int
    preprocess: Callable[[Image.Image], FloatArray]

    def examples(self) -> list[FloatArray]:
        """(3, H, W) each. Raises ValueError where there are too few, OSError without the folder."""
        folder = self.engine.calibration_dir
        if folder is None:
            raise ValueError("int8 needs GRIDSCRIBE_CLIP_CALIBRATION_DIR, a folder of pictures")
        found: list[FloatArray] = []
        for path in self._files():
            if len(found) == MOST_PICTURES:
                break
            try:
                with path.open("rb") as file:
                    picture = open_picture(file, (self.input_size,) * 2, hold_lock=True)
            except UnreadableImageError:
                continue
            found.append(self.preprocess(picture))
        if len(found) < FEWEST_PICTURES:
            raise ValueError(
                f"int8 is calibrated with at least {FEWEST_PICTURES} pictures; of those in "
                f"{folder}, GRIDSCRIBE_CLIP_CALIBRATION_DIR, {len(found)} can be read"
            )
        return found

    def kept_in(self) -> Path | None:
        """The folder for the outcome: another one for other weights or other pictures."""
        if self.engine.cache_dir is None:
            return None
        told = [self.weights]
        for path in self._files():
            stat = path.stat()
            told.append(f"{path.name}={stat.st_size}@{stat.st_mtime_ns}")
        digest = hashlib.sha256("\n".join(told).encode()).hexdigest()
        return self.engine.cache_dir / f"int8-{digest}"

    def _files(self) -> list[Path]:
        folder = self.engine.calibration_dir
        return sorted(path for path in folder.iterdir() if path.is_file()) if folder else []
