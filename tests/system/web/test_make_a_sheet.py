"""From pictures to a sheet, in the browser."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from gridscribe.devstack import DevStack
from shared.schemas import Job

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[3]
SHOWN = 120_000
"""Milliseconds until a sheet is there."""


def choose(page: Page, files: list[Path]) -> None:
    page.locator("input[type=file]").first.set_input_files(files)
    expect(page.locator(".pictures li")).to_have_count(len(files))


def make(page: Page) -> None:
    page.get_by_role("button", name="Make the sheet").click()
    expect(page).to_have_url(re.compile("#/jobs/."))


def test_pictures_become_a_sheet_that_can_be_saved(
    page: Page, pictures: list[Path], tmp_path: Path
) -> None:
    choose(page, pictures)
    page.get_by_label("Title").fill("Three pictures")
    page.get_by_label("Columns", exact=True).fill("3")
    expect(page.locator(".preview-frame image")).to_have_count(3)
    expect(page.get_by_text("3 cells, 1 page")).to_be_visible()
    make(page)
    sheet = page.locator(".viewer .plane img")
    expect(sheet).to_have_attribute("src", re.compile("^blob:"), timeout=SHOWN)
    expect(page.locator(".cell")).to_have_count(3)
    expect(page.locator("td.file-name").nth(1)).to_have_text("<img src=x onerror=boom()>.png")

    with page.expect_download() as saved:
        page.get_by_role("link", name="PNG").click()
    saved.value.save_as(tmp_path / "sheet.png")
    with page.expect_download() as manifest:
        page.get_by_role("link", name="Manifest").click()
    first_page = json.loads(manifest.value.path().read_text())["pages"][0]
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == (first_page["width"], first_page["height"])
        assert sheet.evaluate("image => image.naturalWidth") == image.width


def test_a_dropped_folder_is_walked_and_a_zip_counted(page: Page, pictures: list[Path]) -> None:
    folder = pictures[0].parent.parent / "dropped"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "one.png").write_bytes(pictures[0].read_bytes())
    (folder / "notes.txt").write_text("no picture")
    (folder / "labels.csv").write_text("filename,mood\none.png,calm\n")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for picture in pictures:
            archive.write(picture, picture.name)
        archive.writestr("read.me", "no picture")
    zone = page.locator(".drop").bounding_box()
    assert zone is not None
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        dropped = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        devtools.send(
            "Input.dispatchDragEvent",
            {"type": kind, "x": zone["x"] + 20, "y": zone["y"] + 20, "data": dropped},
        )
    expect(page.locator(".sum")).to_contain_text("4 pictures")
    expect(page.locator(".sum")).to_contain_text("notes.txt")
    expect(page.get_by_role("button", name="mood")).to_be_visible()


def test_what_is_wrong_stands_beside_the_part_it_is_about(
    page: Page, pictures: list[Path], tmp_path: Path
) -> None:
    page.get_by_label("Rows", exact=True).fill("900")
    rows = page.locator('[data-location="spec.rows"]')
    expect(rows.locator(".error-note")).to_contain_text("500")
    expect(page.get_by_label("Rows", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Rows", exact=True).fill("2")
    expect(rows.locator(".error-note")).to_have_count(0)

    page.get_by_role("button", name="Make the sheet").click()
    expect(page.get_by_role("alert")).to_contain_text("no pictures yet")
    broken = tmp_path / "broken.png"
    broken.write_text("no picture at all")
    choose(page, [pictures[0], broken])
    page.get_by_role("button", name="Make the sheet").click()
    wrong = page.locator('[data-location="images[1]"] .error-note')
    expect(wrong).to_contain_text("not an image")
    assert page.url.endswith("/")


def test_an_upload_shows_how_far_it_is_and_can_be_stopped(page: Page, tmp_path: Path) -> None:
    noise = tmp_path / "noise.png"
    Image.frombytes("RGB", (600, 600), random.Random(7).randbytes(600 * 600 * 3)).save(noise)
    choose(page, [noise])
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    line = {"offline": False, "latency": 0, "downloadThroughput": -1}
    slow = {**line, "uploadThroughput": 50_000}
    devtools.send("Network.emulateNetworkConditions", slow)
    page.get_by_role("button", name="Make the sheet").click()
    expect(page.locator(".uploading")).to_contain_text(re.compile(r"[1-9]\d? % sent"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".uploading")).to_be_hidden()
    assert page.url.endswith("/")
    devtools.send("Network.emulateNetworkConditions", {**line, "uploadThroughput": -1})
    make(page)


def test_settings_and_pictures_outlast_a_look_at_the_jobs(page: Page, pictures: list[Path]) -> None:
    choose(page, pictures)
    page.get_by_label("Title").fill("Kept")
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    page.get_by_role("link", name="New sheet").click()
    expect(page.get_by_label("Title")).to_have_value("Kept")
    expect(page.locator(".pictures li")).to_have_count(3)


@pytest.mark.parametrize("name", ["curl", "Python", "Command line"])
def test_a_copied_command_makes_the_same_sheet(
    page: Page,
    finished: Job,
    pictures: list[Path],
    open_job: Callable[[str], None],
    tmp_path: Path,
    name: str,
) -> None:
    open_job(finished.id)
    page.get_by_role("button", name="Copy as…").click(timeout=SHOWN)
    page.get_by_role("button", name=f"Copy {name}").click()
    expect(page.get_by_role("button", name=f"Copy {name}")).to_have_text("Copied")
    command = page.evaluate("navigator.clipboard.readText()")
    for picture in pictures:
        (tmp_path / picture.name).write_bytes(picture.read_bytes())
    (tmp_path / "labels.csv").write_text("filename,label\ndusk 1.png,Dusk\n")
    before = jobs_of(page)
    if name == "Python":
        (tmp_path / "program.py").write_text(command)
        command = f"{sys.executable} program.py"
    # The command of this very checkout, whatever is installed.
    shell = f'gridscribe() {{ {sys.executable} -m gridscribe "$@"; }}\n{command}'
    done = subprocess.run(
        ["bash", "-c", shell],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (made,) = set(jobs_of(page)) - set(before)
    spec = page.evaluate("async (id) => (await (await fetch(`v1/jobs/${id}`)).json()).spec", made)
    assert spec == finished.spec.model_dump(mode="json")


def jobs_of(page: Page) -> list[str]:
    script = "async () => (await (await fetch('v1/jobs?limit=100')).json()).data.map((j) => j.id)"
    found: list[str] = page.evaluate(script)
    return found


def test_a_job_is_followed_through_a_restart_of_the_service(
    page: Page,
    pictures: list[Path],
    stack: DevStack,
    captioning_halted: Callable[[], AbstractContextManager[None]],
) -> None:
    choose(page, pictures)
    page.get_by_label("Ask CLIP").check()
    connection = page.locator(".connection")
    with captioning_halted():
        make(page)
        expect(connection).to_have_text("live")
        restart_the_api(stack)
        expect(connection).to_contain_text("connection lost")
        expect(connection).to_have_text("live", timeout=SHOWN)
        expect(page.locator("#away")).to_be_hidden(timeout=SHOWN)
    expect(page.locator(".viewer .plane img")).to_have_attribute(
        "src", re.compile("^blob:"), timeout=SHOWN
    )


def restart_the_api(stack: DevStack) -> None:
    """As after a crash: its supervisor starts it again."""
    os.kill(stack.pids["api"], signal.SIGKILL)
