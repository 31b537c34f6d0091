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

photo = Path(sys.argv[1])
entries = [
    SheetEntry(name=f"{number}.jpg", label=f"photo {number}", open=partial(photo.open, "rb"))
    for number in range(1000)
]
sheet = render_sheet(JobSpec(), entries, Path(sys.argv[2]), max_pixels=120_000_000)
assert len(sheet.pages) == 1
if sys.platform == "linux":
    # ru_maxrss begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.timeout(300)  # ten seconds alone on two cores
def test_a_thousand_photos_of_twelve_megapixels_take_less_than_600_megabytes(
    tmp_path: Path,
) -> None:
    photo = tmp_path / "photo.jpg"
    Image.radial_gradient("L").resize((4000, 3000)).convert("RGB").save(photo, quality=90)
    result = subprocess.run(
        [sys.executable, "-c", RENDERING, str(photo), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 600_000_000
