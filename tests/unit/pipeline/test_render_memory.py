"""A sheet of a thousand photos; once they took 5 GB for a hundred."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[3]

RENDERING = """
import resource, sys
from functools import partial
from pathlib import Path
from shared.job_spec import JobSpec
from worker.pipeline.render import SheetEntry, render_sheet

photo, thumbnail = map(Path, sys.argv[1:3])
photos = int(sys.argv[5])
entries = [
    SheetEntry(
        name=f"{number}.jpg",
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


# What the pictures take is the same for all formats, so that a few large ones tell it.
@pytest.mark.parametrize(
    ("format_", "photos"),
    [("png", 1000), ("pdf", 20), ("tiff", 20), ("webp", 20), ("avif", 20), ("html", 20)],
)
def test_a_thousand_photos_of_twelve_megapixels_take_less_than_600_megabytes(
    tmp_path: Path, format_: str, photos: int
) -> None:
    photo, thumbnail = tmp_path / "photo.jpg", tmp_path / "thumbnail.jpg"
    image = Image.radial_gradient("L").resize((4000, 3000)).convert("RGB")
    image.save(photo, quality=90)
    image.resize((320, 240)).save(thumbnail, quality=90)
    arguments = [str(photo), str(thumbnail), str(tmp_path), format_, str(photos)]
    result = subprocess.run(
        [sys.executable, "-c", RENDERING, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 600_000_000
