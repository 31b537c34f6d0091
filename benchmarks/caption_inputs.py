"""What the captioning benchmark works on: pictures, and a model whose weights are drawn by lot."""

import json
from pathlib import Path

from benchmarks.sheets import photo_like

ARCHITECTURE = "ViT-B-32"
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
PREPROCESS = {
    "mean": MEAN,
    "std": STD,
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
DISTINCT_PICTURES = 10


def pngs(folder: Path) -> list[Path]:
    """Ten of 1024 x 1024; drawn once and kept."""
    return _pictures(folder, "png", (1024, 1024), DISTINCT_PICTURES)


def jpegs(folder: Path) -> list[Path]:
    """Four of 4000 x 3000; drawn once and kept."""
    return _pictures(folder, "jpg", (4000, 3000), 4)


def _pictures(folder: Path, kind: str, size: tuple[int, int], count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"photo-{number}.{kind}" for number in range(count)]
    for path in paths:
        if not path.exists():
            photo_like(size).save(path, quality=90)  # which PNG passes over
    return paths


def random_model(folder: Path) -> str:
    """The name of a ViT-B-32 in `folder`; speed does not depend on what the weights are."""
    import open_clip  # type: ignore[import-untyped] # ships no types
    import torch
    from safetensors.torch import save_file

    weights = folder / "open_clip_model.safetensors"
    if not weights.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        config = open_clip.get_model_config(ARCHITECTURE)
        text = json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS})
        (folder / "open_clip_config.json").write_text(text)
        save_file(open_clip.create_model(ARCHITECTURE).state_dict(), weights)
    return f"local-dir:{folder.resolve()}"
