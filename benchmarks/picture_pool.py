"""Pictures for callers, drawn beforehand: making them takes nothing from what is measured."""

import io
import os
import random
from pathlib import Path

from benchmarks.sheets import photo_like


class PicturePool:
    """Some JPEGs, `side` pixels wide and high."""

    def __init__(self, side: int, count: int = 8) -> None:
        self._drawn = []
        for _ in range(count):
            data = io.BytesIO()
            photo_like((side, side)).save(data, "JPEG", quality=90)
            self._drawn.append(data.getvalue())

    def fresh(self) -> bytes:
        """One that no model has seen: what follows a JPEG's end is no part of the picture, but of
        the digest by which it would be recognised.
        """
        return random.choice(self._drawn) + os.urandom(16)

    def write(self, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{number}.jpg" for number in range(len(self._drawn))]
        for path, data in zip(paths, self._drawn, strict=True):
            path.write_bytes(data)
        return paths
