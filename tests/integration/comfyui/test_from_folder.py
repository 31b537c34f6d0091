"""Labeled Grid from Folder: which files it takes, which folders it may read, when it runs anew."""

import functools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from gridscribe.devstack import DevStack
from tests.integration.comfyui.hosting import execute
from tests.integration.comfyui.tensors import BLUE, GREEN, RED, SAMPLES, color_at

Make = Callable[..., dict[str, Any]]
SMALL = {"cell_width": 32, "cell_height": 32, "margin": 0, "cols": 3}


@pytest.fixture(params=["service", "local"])
def make(request: pytest.FixtureRequest, labeled_grid_from_folder: Any) -> Make:
    run = functools.partial(execute, labeled_grid_from_folder, **SMALL)
    if request.param == "local":
        return functools.partial(run, run_on="local", server_url="http://no.one")
    stack: DevStack = request.getfixturevalue("stack")
    return functools.partial(run, run_on="service", server_url=stack.base_url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, in natural order, and what is no picture of the folder."""
    folder = tmp_path / "renders"
    folder.mkdir()
    for name, color in (("a_10.png", "blue"), ("a_2.png", "lime"), ("a_1.webp", "red")):
        Image.new("RGB", (40, 40), color).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"no picture")
    (folder / "below").mkdir()
    return folder


def test_a_folder_becomes_a_sheet_in_natural_order(make: Make, folder: Path) -> None:
    made = make(folder=str(folder))
    [sheet] = made["sheet"]
    colors = [color_at(sheet, x, 16) for x in (16, 48, 80)]
    for color, expected in zip(colors, (RED, GREEN, BLUE), strict=True):
        assert color == pytest.approx(expected, abs=0.02)
    assert made["labels"].splitlines() == ["a_1", "a_2", "a_10"]


def test_a_csv_in_the_folder_labels_its_images(make: Make, folder: Path) -> None:
    (folder / "labels.csv").write_text("filename,label\na_2.png,two\na_10.png,ten\n")
    made = make(folder=str(folder), csv="labels.csv")
    assert made["labels"].splitlines() == ["a_1", "two", "ten"]


def test_a_broken_picture_costs_its_own_place_only(
    make: Make, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = (SAMPLES / "rocket.jpg").read_bytes()
    (folder / "a_2.png").unlink()
    (folder / "a_2.jpg").write_bytes(data[: len(data) // 3])
    made = make(folder=str(folder))
    assert made["labels"].splitlines() == ["a_1", "a_2", "a_10"]
    assert color_at(made["sheet"][0], 80, 16) == BLUE
    assert "'a_2.jpg'" in caplog.text
    assert "damaged" in caplog.text


def test_a_file_that_only_has_a_pictures_name_is_named(
    labeled_grid_from_folder: Any, stack: DevStack, folder: Path
) -> None:
    (folder / "a_5.png").write_text("no picture at all")
    with pytest.raises(Exception, match=r"the service refused: .*'a_5\.png'"):
        execute(labeled_grid_from_folder, folder=str(folder), server_url=stack.base_url)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "name one"),
        ("nonesuch", "no such"),
        ("empty", "no images in it"),
        ("f", "not a folder"),
    ],
)
def test_a_folder_without_images_is_marked_before_anything_runs(
    labeled_grid_from_folder: Any, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "f").write_text("")
    assert words in labeled_grid_from_folder.VALIDATE_INPUTS(folder=name)


def test_a_folder_with_images_passes_validation(
    labeled_grid_from_folder: Any, folder: Path
) -> None:
    assert labeled_grid_from_folder.VALIDATE_INPUTS(folder=str(folder)) is True


def test_a_folder_that_another_node_is_to_name_passes_validation(
    labeled_grid_from_folder: Any,
) -> None:
    assert labeled_grid_from_folder.VALIDATE_INPUTS() is True
    assert labeled_grid_from_folder.VALIDATE_INPUTS(folder=None, server_url=None) is True


@pytest.mark.parametrize("name", ["/etc", "..", "../secrets", "renders/../../secrets", "link"])
def test_a_workflow_reads_no_folder_that_is_not_allowed(
    labeled_grid_from_folder: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    folder: Path,
    name: str,
) -> None:
    secrets = tmp_path / "secrets"
    shutil.copytree(folder, secrets)
    allowed = tmp_path / "allowed"
    (allowed / "renders").mkdir(parents=True)
    (allowed / "link").symlink_to(secrets)
    monkeypatch.setenv("GRIDSCRIBE_COMFYUI_FOLDERS", str(allowed))
    with pytest.raises(Exception, match="outside of ComfyUI's input, output and temp folders"):
        execute(labeled_grid_from_folder, folder=name)
    (allowed / "renders" / "a.png").write_bytes((folder / "a_2.png").read_bytes())
    with pytest.raises(Exception, match="outside"):
        execute(labeled_grid_from_folder, folder="renders", csv="../../secrets/a_2.png")


def test_comfyuis_own_folders_may_be_read(
    labeled_grid_from_folder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path
) -> None:
    monkeypatch.delenv("GRIDSCRIBE_COMFYUI_FOLDERS")
    comfyui = ModuleType("folder_paths")
    for name in ("input", "output", "temp"):
        (tmp_path / name).mkdir()
        setattr(comfyui, f"get_{name}_directory", functools.partial(str, tmp_path / name))
    monkeypatch.setitem(sys.modules, "folder_paths", comfyui)
    shutil.copytree(folder, tmp_path / "output" / "series")
    made = execute(labeled_grid_from_folder, folder="series", run_on="local")
    assert len(made["labels"].splitlines()) == 3
    assert "outside" in labeled_grid_from_folder.VALIDATE_INPUTS(folder=str(folder))


def test_the_node_runs_anew_when_its_folder_changes(
    labeled_grid_from_folder: Any, folder: Path
) -> None:
    def state() -> object:
        return labeled_grid_from_folder.IS_CHANGED(
            folder=str(folder), csv="labels.csv", use_clip=False
        )

    (folder / "labels.csv").write_text("filename,label\n")
    states = [state()]
    assert states == [state()]

    changes: list[Callable[[], object]] = [
        lambda: shutil.copy(folder / "a_2.png", folder / "a_3.png"),
        lambda: os.utime(folder / "a_3.png", (0, 0)),
        lambda: (folder / "a_3.png").unlink(),
        lambda: (folder / "a_2.png").rename(folder / "b_2.png"),
        lambda: (folder / "labels.csv").write_text("filename,label\na_1.webp,one\n"),
    ]
    for change in changes:
        change()
        states.append(state())
    assert states[3] == states[0]
    assert len(set(states)) == len(states) - 1
    (folder / "labels.csv").unlink()
    assert "no such file" in str(state())


@pytest.mark.parametrize("linked", [{}, {"folder": None}, {"folder": ".", "csv": None}])
def test_a_folder_that_another_node_names_is_read_every_time(
    labeled_grid_from_folder: Any, linked: dict[str, Any]
) -> None:
    changed = labeled_grid_from_folder.IS_CHANGED(**linked)
    assert changed != labeled_grid_from_folder.IS_CHANGED(**linked)
