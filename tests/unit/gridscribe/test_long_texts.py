from pathlib import Path

import pytest

from gridscribe.local import make_sheet
from shared.job_spec import JobSpec
from tests.unit.pipeline.metadata.carriers import png, png_with_chunk
from tests.unit.png_chunks import png_text

LONG = bytes(5 * 1024 * 1024)


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_a_picture_with_too_long_a_text_is_drawn_without_it_and_told(
    tmp_path: Path, kind: bytes
) -> None:
    length, data = 8, png_text(kind, LONG, b"parameters")
    data = data[length:-4]
    (tmp_path / "long.png").write_bytes(png_with_chunk(kind, data))
    (tmp_path / "short.png").write_bytes(png(parameters="a fox\nSteps: 20, Seed: 5"))
    spec = JobSpec(labels=("seed",))
    paths = [tmp_path / "long.png", tmp_path / "short.png"]
    told: list[object] = []
    sheet = make_sheet(
        spec, paths, tmp_path / "out" / "sheet.png", on_progress=lambda *step: told.append(step)
    )
    long, short = sheet.manifest.images
    assert (long.picture is not None, long.label) == (True, "long")
    assert short.label == "5"
    [warning] = [w for w in sheet.manifest.warnings if w.code == "metadata_left_out"]
    assert warning.image == 0
    assert "'long.png'" in warning.detail
    assert "'parameters'" in warning.detail
    assert told
