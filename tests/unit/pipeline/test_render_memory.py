"""A sheet of a thousand photos: 5 GB for a hundred is what they take where nobody counts."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[3]

RENDERING = """
import resource, sys
from functools import partial
from pathlib import Path
import worker.compose_unit
from shared.job_spec import JobSpec
from worker.pipeline.decoding_memory import give_back_large_blocks
from worker.pipeline.render import SheetEntry, render_sheet

give_back_large_blocks()  # as a compose worker does
photo, thumbnail = map(Path, sys.argv[1:3])
photos = int(sys.argv[5])
entries = [
    SheetEntry(
        name=f"{number}",
        label=f"photo {number}",
        open=partial((photo if number < photos else thumbnail).open, "rb"),
    )
    for number in range(1000)
]
spec = JobSpec(format=sys.argv[4])
sheet = render_sheet(spec, entries, Path(sys.argv[3]), max_pixels=120_000_000)
assert len(sheet.manifest.images) == 1000
if sys.platform == "linux":
    # ru_maxrss begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def most_memory(folder: Path, photo: Path, photos: int, format_: str = "png") -> int:
    """Bytes that a sheet of `photos` times this photo and of thumbnails, 1,000 in all, takes."""
    thumbnail = folder / "thumbnail.jpg"
    Image.radial_gradient("L").resize((320, 240)).convert("RGB").save(thumbnail)
    arguments = [str(photo), str(thumbnail), str(folder), format_, str(photos)]
    result = subprocess.run(
        [sys.executable, "-c", RENDERING, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


def twelve_megapixels(mode: str = "RGB") -> Image.Image:
    image = Image.radial_gradient("L").resize((4000, 3000)).convert("RGB")
    if mode == "RGBA":
        image.putalpha(image.getchannel("R"))
    return image


# What the pictures take is the same for all formats, so that a few large ones tell it.
@pytest.mark.parametrize(
    ("format_", "photos"),
    [
        ("png", 1000),
        ("jpg", 20),
        ("pdf", 20),
        ("tiff", 20),
        ("webp", 20),
        ("avif", 20),
        ("html", 20),
    ],
)
def test_a_thousand_photos_of_twelve_megapixels_take_less_than_600_megabytes(
    tmp_path: Path, format_: str, photos: int
) -> None:
    photo = tmp_path / "photo.jpg"
    twelve_megapixels().save(photo, quality=90)
    assert most_memory(tmp_path, photo, photos, format_) < 600_000_000


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("photo.png", {"compress_level": 1}),
        ("clear.png", {"compress_level": 1}),
        ("photo.webp", {"quality": 50, "method": 0}),
        ("photo.bmp", {}),
        ("photo.tiff", {}),
        ("photo.gif", {}),
        ("photo.jpg", {"progressive": True}),
    ],
)
def test_no_format_of_the_photos_takes_more(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    photo = tmp_path / name
    twelve_megapixels("RGBA" if name == "clear.png" else "RGB").save(photo, **options)
    assert most_memory(tmp_path, photo, 12) < 600_000_000
