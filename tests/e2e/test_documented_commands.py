"""Every command in the README and in docs/ is run, or says which test runs it, or why none can."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gridscribe.devstack import DevStack
from tests.e2e.documented_commands import REASONS, ROOT, blocks, pages

_SAMPLES = sorted((ROOT / "gridscribe" / "samples").glob("*.jpg"))
_SHOWN_SERVER = "http://127.0.0.1:8000"
_SHOWN_HOST = "https://gridscribe.example"

_PRELUDE = """\
set -euo pipefail
# A refusal fails the page.
curl() { command curl --fail-with-body "$@"; }
# This checkout's, whatever is installed.
gridscribe() { python3 -m gridscribe "$@"; }
export -f curl gridscribe
# A command that ends by itself before it is stopped must end well.
stopped_after() {
  local status=0
  timeout --signal=INT --kill-after=10 "$1" bash -euo pipefail || status=$?
  case $status in 0 | 124 | 130) ;; *) return "$status" ;; esac
}
"""

_RUN = {
    page: found
    for page in pages()
    if (found := [b for b in blocks(page) if b.not_run is None and b.run_by is None])
}


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder with the files that the pages name."""
    for folder in ("photos", "renders", "scans"):
        (tmp_path / folder).mkdir()
    for number, sample in enumerate(_SAMPLES[:4]):
        parameters = PngInfo()
        steps = f"Steps: {20 + number}, Sampler: Euler, CFG scale: 7, Seed: {number}, Size: 96x96"
        parameters.add_text("parameters", f"a photo of a {sample.stem}\n{steps}")
        with Image.open(sample) as photo:
            small = photo.convert("RGB").resize((96, 96))
        small.save(tmp_path / "photos" / f"{sample.stem}.png")
        small.save(tmp_path / "scans" / f"{sample.stem}.png")
        small.save(tmp_path / "renders" / f"{sample.stem}.png", pnginfo=parameters)
    for name, sample in zip(("fox.png", "owl.png"), _SAMPLES[4:], strict=False):
        with Image.open(sample) as photo:
            photo.convert("RGB").resize((96, 96)).save(tmp_path / name)
    stems = [sample.stem for sample in _SAMPLES[:4]]
    (tmp_path / "ratings.csv").write_text(
        "filename,rating,seed,cfg\n" + "".join(f"{stem}.png,{len(stem)},1,7\n" for stem in stems)
    )
    (tmp_path / "truth.csv").write_text(
        "filename,label\nchelsea.png,tabby cat\nclock.png,analog clock\n"
    )
    (tmp_path / "terms.txt").write_text("invoice\nreceipt\nletter\n")
    return tmp_path


@pytest.mark.parametrize("page", list(_RUN))
def test_the_commands_of_a_page_work_as_shown(page: str, reader: Path, stack: DevStack) -> None:
    script = _PRELUDE + "".join(block.script() for block in _RUN[page])
    for shown in (_SHOWN_SERVER, _SHOWN_HOST):
        script = script.replace(shown, stack.base_url)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GRIDSCRIBE_SERVER": stack.base_url,
        "GRIDSCRIBE_REDIS_URL": stack.redis_url,
        "GRIDSCRIBE_DATA_DIR": str(reader / "data"),
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=reader,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("page", pages())
def test_a_command_that_is_not_run_says_why_or_where_it_is(page: str) -> None:
    for block in blocks(page):
        place = f"{page}:{block.line}"
        if block.not_run is not None:
            assert block.not_run in REASONS, f"{place}: {block.not_run!r} is no known reason"
        if block.run_by is not None:
            assert (ROOT / block.run_by).is_file(), f"{place}: there is no {block.run_by}"
