"""Every verb of the command line, against the running service."""

import json
from pathlib import Path

import pytest
from PIL import Image

from gridscribe.devstack import DevStack
from shared.job_spec import Preprocessing, Template
from tests.fixtures.command_line import Run

SAMPLES = Path(__file__).parents[2] / "gridscribe" / "samples"
CLOCK = str(SAMPLES / "clock.jpg")

EVERY_OPTION = (
    *("--rows", "2", "--cols", "3", "--cell-size", "64", "48", "--margin", "5"),
    *("--font-size", "9", "--background", "navy", "--format", "webp", "--quality", "77"),
    *("--resize-mode", "fill", "--label-position", "overlay", "--overflow", "grow"),
    *("--crop", "1", "2", "90", "80", "--resize", "70", "60", "--blur", "0.5", "--sharpen", "0.4"),
    *("--emboss", "0.1", "--edge-enhance", "0.2", "--brightness", "1.1", "--contrast", "0.9"),
    *("--saturation", "0.8"),
)
"""One for each field of a template."""


class Told:
    """What commands say as JSON; each must succeed."""

    def __init__(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        self._run = run
        self._capsys = capsys

    def lines(self, *arguments: str) -> list[dict[str, object]]:
        self._capsys.readouterr()
        assert self._run(*arguments, "--json") == 0, self._capsys.readouterr().err
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def document(self, *arguments: str) -> dict[str, object]:
        self._capsys.readouterr()
        assert self._run(*arguments, "--json") == 0, self._capsys.readouterr().err
        found: dict[str, object] = json.loads(self._capsys.readouterr().out)
        return found


@pytest.fixture
def told(
    run: Run,
    stack: DevStack,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Told:
    monkeypatch.setenv("GRIDSCRIBE_SERVER", stack.base_url)
    return Told(run, capsys)


def test_a_job_of_files_and_uploads_is_followed_listed_and_relabeled(told: Told) -> None:
    [upload] = told.lines("upload", CLOCK)
    job = told.document(
        *("submit", str(SAMPLES / "brick.jpg"), "--upload", str(upload["upload_id"])),
        *("--no-wait", "--meta", "shot=7", "--keep", "2h", "--priority", "high"),
    )
    assert job["metadata"] == {"shot": "7"}
    job_id = str(job["id"])

    updates = told.lines("events", job_id)
    assert updates[-1]["status"] == "succeeded"
    waited = told.document("wait", job_id, "-o", "sheet.png")
    with Image.open("sheet.png") as sheet:
        assert sheet.format == "PNG"
    assert waited["status"] == "succeeded"
    manifest = told.document("manifest", job_id)
    images = manifest["images"]
    assert isinstance(images, list)
    assert [image["name"] for image in images] == ["brick.jpg", "clock.jpg"]

    again = told.document("relabel", job_id, "--label", "1=A clock", "-o", "again.webp")
    assert again["id"] != job_id
    images = again["images"]
    assert isinstance(images, list)
    assert images[1]["label"] == "A clock"
    assert Path("again.webp").exists()

    assert {job_id, again["id"]} <= {each["id"] for each in told.lines("jobs")}
    assert told.document("download", job_id, "-o", "third.png") == {"files": ["third.png"]}
    assert told.document("delete", job_id) == {"deleted": job_id}


def test_templates_of_the_service_are_used_by_name(told: Told, run: Run) -> None:
    saved = told.document("templates", "save", "strip", "--cols", "2", "--margin", "3")
    assert saved["spec"] == {"cols": 2, "margin": 3}
    names = [each["name"] for each in told.lines("templates", "list")]
    assert names[-1] == "strip"
    assert told.document("templates", "show", "strip") == saved
    job = told.document("submit", CLOCK, "--template", "strip", "--no-wait")
    spec = job["spec"]
    assert isinstance(spec, dict)
    assert spec["cols"] == 2
    assert run("templates", "save", "strip", "--no-replace", "--cols", "3") == 4
    assert run("templates", "save", "strip", "--title", "x") == 2
    assert told.document("templates", "delete", "strip") == {"deleted": "strip"}
    assert run("templates", "show", "strip") == 4


def test_a_template_keeps_every_field_of_a_layout_for_its_jobs(
    told: Told, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = told.document("templates", "save", "whole", *EVERY_OPTION)
    kept = saved["spec"]
    assert isinstance(kept, dict)
    assert set(kept) == set(Template.model_fields)
    assert set(kept["preprocessing"]) == set(Preprocessing.model_fields)
    given = ("--template", "whole", "-o", "sheet.webp", "--rows", "1")
    job = told.document("submit", CLOCK, *given)
    spec = job["spec"]
    assert isinstance(spec, dict)
    assert {name: spec[name] for name in kept} == {**kept, "rows": 1}
    with Image.open("sheet.webp") as sheet:
        assert sheet.size == (3 * (64 + 5) + 5, 48 + 2 * 5)
        red, green, blue = sheet.convert("RGB").getpixel((2, 2))  # type: ignore[misc] # a tuple
        assert max(red, green) < 20 < 100 < blue, "navy"
    assert run("templates", "show", "whole") == 0
    shown = capsys.readouterr().out.splitlines()
    assert {"cell_size: 64x48", "blur: 0.5", "crop: [1, 2, 90, 80]"} < set(shown)
    # The very same, as an export makes it on this machine.
    told.lines("export", CLOCK, "own.webp", *EVERY_OPTION, "--save-template", "mine")
    told.lines("export", CLOCK, "again.webp", "--template", "mine")
    assert Path("again.webp").read_bytes() == Path("own.webp").read_bytes()


def test_what_the_service_offers_is_listed(told: Told, run: Run, stack: DevStack) -> None:
    assert told.lines("models") == [{"name": "starter", "default": True}]
    assert told.lines("vocabularies")[0]["name"] == "default"
    for options in (("--cols", "5"), ("--label-lines", "1"), ("--axis-counts", "3", "4")):
        preview = ("preview", "--count", "10", *options)
        asked = told.document(*preview, "--server", stack.base_url)
        assert asked == told.document(*preview)
    assert (asked["cols"], asked["rows"]) == (4, 3)
    for command in ("models", "vocabularies", "jobs"):
        assert run(command) == 0
    assert run("presign") == 4, "there is no bucket"
