"""Do faster numbers say the same? Labels of `starter`, of which alone there are trained weights.

Its classifier runs in OpenVINO as open_clip's models do, and sees parts of real photos: 20 of the
package foolbox, none of which int8 was calibrated with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import gridscribe
from worker.captioning.calibration import Calibration
from worker.captioning.captioner import FloatArray
from worker.captioning.engine import Engine, Precision, Tower
from worker.captioning.openvino_tower import OpenVinoTower
from worker.captioning.starter import SIDE, StarterCaptioner
from worker.captioning.torch_tower import TorchTower

PARTS = ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.8, 0.8), (0.2, 0.0, 1.0, 0.8), (0.1, 0.2, 0.9, 1.0))
"""Left, top, right and bottom of the parts that are shown, as shares of a photo."""


@dataclass(frozen=True, slots=True)
class Agreement:
    precision: str
    pictures: int
    same_label: float
    """Share of pictures whose best class of 1000 is that of fp32."""
    same_sure_label: float
    """The same of those pictures on which fp32 gives its best class at least 0.4."""
    mean_cosine: float
    """Of the features with those of fp32."""


def agreements(data: Path) -> list[Agreement]:
    package = find_spec("foolbox")
    if package is None or package.origin is None:
        raise SystemExit("the photos come with foolbox: pip install 'gridscribe[eval]'")
    starter = StarterCaptioner(threads=1)
    photos = sorted((Path(package.origin).parent / "data").glob("imagenet_*.jpg"))
    pixels = np.stack([starter.preprocess(part) for path in photos for part in _parts(path)])
    examples = data / "calibration"
    _cut_samples(examples)
    # Without the dimension that only texts have something in.
    expected = starter.encode_images(pixels)[:, : starter.class_features.shape[1]]
    return [
        _compared(name, tower.encode(pixels), expected, starter)
        for name, tower in _towers(starter, examples).items()
    ]


def _towers(starter: StarterCaptioner, examples: Path) -> dict[str, Tower]:
    engine = Engine(backend="openvino", precision="int8", calibration_dir=examples)
    calibration = Calibration(engine, "starter", starter.input_size, starter.preprocess)
    seeing = starter.seeing

    def in_openvino(precision: Precision) -> Tower:
        return OpenVinoTower(seeing, SIDE, cores=1, precision=precision, calibration=calibration)

    towers: dict[str, Tower] = {
        "OpenVINO float32": in_openvino("float32"),
        "OpenVINO bfloat16": in_openvino("auto"),
        "OpenVINO int8": in_openvino("int8"),
    }
    halves = seeing.to(torch.bfloat16)  # last, for it changes the network that the others took
    towers["torch bfloat16"] = TorchTower(
        halves, SIDE, device=torch.device("cpu"), dtype=torch.bfloat16, cores=1
    )
    return towers


def _compared(
    name: str, found: FloatArray, expected: FloatArray, starter: StarterCaptioner
) -> Agreement:
    cosines = expected @ starter.class_features.T
    weights = np.exp(starter.scoring.scale * (cosines - cosines.max(axis=1, keepdims=True)))
    sure = (weights / weights.sum(axis=1, keepdims=True)).max(axis=1) >= 0.4
    same = (found @ starter.class_features.T).argmax(axis=1) == cosines.argmax(axis=1)
    return Agreement(
        precision=name,
        pictures=len(expected),
        same_label=float(same.mean()),
        same_sure_label=float(same[sure].mean()),
        mean_cosine=float((found * expected).sum(axis=1).mean()),
    )


def _parts(path: Path) -> list[Image.Image]:
    with Image.open(path) as photo:
        width, height = photo.size
        return [
            photo.convert("RGB").crop(
                (round(a * width), round(b * height), round(c * width), round(d * height))
            )
            for a, b, c, d in PARTS
        ]


def _cut_samples(folder: Path) -> None:
    """Parts of the nine sample photos, for int8 to be calibrated with."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (Path(gridscribe.__file__).parent / "samples").glob("*.jpg"):
        for number, part in enumerate(_parts(path)):
            part.save(folder / f"{path.stem}-{number}.png")


def agreement_table(found: Sequence[Agreement]) -> list[str]:
    return [
        "| | same best class | where fp32 is sure | mean cosine |",
        "| --- | --- | --- | --- |",
        *(
            f"| {each.precision} | {each.same_label:.1%} | {each.same_sure_label:.1%}"
            f" | {each.mean_cosine:.4f} |"
            for each in found
        ),
    ]
