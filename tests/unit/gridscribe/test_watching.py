"""`gridscribe watch` on a folder of its own, with sheets made here."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from gridscribe.watching.arrivals import Folder
from gridscribe.watching.wakeups import is_on_network, looks
from tests.fixtures.command_line import Run

OPTIONS = ("--local", "--once", "--settle", "0.1", "--json", "--cell-size", "40", "30")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def paint(path: Path, color: str) -> None:
    Image.new("RGB", (40, 30), color).save(path)


def sheets(output: str) -> list[list[str]]:
    """The images of each sheet that was made."""
    news = [json.loads(line) for line in output.splitlines()]
    return [each["images"] for each in news if each["event"] == "sheet"]


def test_what_was_done_is_not_done_again(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2, 10):
        paint(folder / f"{number}.png", "red")
    assert run("watch", str(folder), *OPTIONS, "--most", "2") == 0
    assert sheets(capsys.readouterr().out) == [["1.png", "2.png"], ["10.png"]]
    assert len(list((folder / "sheets").glob("sheet-*.png"))) == 2

    os.utime(folder / "1.png", (1, 1))  # as when it is copied back
    paint(folder / "2.png", "blue")
    paint(folder / "3.png", "blue")
    assert run("watch", str(folder), *OPTIONS) == 0
    assert sheets(capsys.readouterr().out) == [["2.png", "3.png"]]
    assert run("watch", str(folder), *OPTIONS) == 0
    assert sheets(capsys.readouterr().out) == []

    assert run("watch", str(folder), *OPTIONS, "--forget") == 0
    assert sheets(capsys.readouterr().out) == [["1.png", "2.png", "3.png", "10.png"]]


def test_a_sheet_that_cannot_be_made_is_told_by_the_exit_code(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.png").write_bytes(b"no picture")
    assert run("watch", str(folder), *OPTIONS) == 1
    [_, failed] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert failed["event"] == "failed"
    assert run("watch", str(folder), *OPTIONS) == 0, "it is not tried again"


def test_sheets_never_go_where_they_would_be_taken_for_images(run: Run, folder: Path) -> None:
    assert run("watch", str(folder), *OPTIONS, "-o", str(folder)) == 2


def test_a_file_counts_when_it_stays_as_it_is(folder: Path) -> None:
    watched = Folder(folder, settle_seconds=2)
    (folder / "a.png").write_bytes(b"1")
    (folder / "empty.png").write_bytes(b"")
    (folder / ".b.png").write_bytes(b"hidden")
    (folder / "c.png.part").write_bytes(b"by another name")
    assert watched.look({}, now=0).settled == ()
    (folder / "a.png").write_bytes(b"12")
    found = watched.look({}, now=1.9)
    assert (found.settled, found.unsettled) == ((), 1)
    assert watched.look({}, now=3.8).settled == ()
    [image] = watched.look({}, now=3.9).settled
    assert (image.name, image.size) == ("a.png", 2)
    assert watched.look({"a.png": image}, now=9).settled == ()


def test_folders_below_count_where_they_are_asked_for(
    run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("b/10.png", "b/deep/er/2.png", "b/2.png", ".hidden/1.png", "c.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        paint(folder / name, "red")
    (tmp_path / "elsewhere").mkdir()
    paint(tmp_path / "elsewhere" / "1.png", "red")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "b" / "loop").symlink_to(folder)

    assert run("watch", str(folder), *OPTIONS) == 0
    assert sheets(capsys.readouterr().out) == [["c.png"]]
    assert run("watch", str(folder), *OPTIONS, "--recursive") == 0
    assert sheets(capsys.readouterr().out) == [["b/2.png", "b/10.png", "b/deep/er/2.png"]]
    assert run("watch", str(folder), *OPTIONS, "--recursive") == 0
    assert sheets(capsys.readouterr().out) == [], "sheets are no images"


def test_a_folder_below_that_is_closed_to_us_keeps_no_other_from_being_watched(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("closed", "open"):
        (folder / name).mkdir()
        paint(folder / name / "1.png", "red")
    (folder / "closed").chmod(0)
    # Root may look into it all the same, unless it gives that up.
    may_not = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    command = [sys.executable, "-m", "gridscribe", "watch", str(folder), *OPTIONS, "--recursive"]
    watched = subprocess.run(
        [*(may_not if os.geteuid() == 0 else ()), *command],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    (folder / "closed").chmod(0o700)
    assert watched.returncode == 0, watched.stderr
    assert sheets(watched.stdout) == [["open/1.png"]]


def test_a_folder_of_which_the_kernel_cannot_tell_is_looked_at_all_the_same(
    tmp_path: Path,
) -> None:
    looking = looks(tmp_path / "on a mount that is away", 0.01, polling=False, recursive=False)
    assert list(islice(looking, 3)) == [True, True, True]


def test_folders_of_other_machines_are_known_by_their_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:5 / /mnt/the\\040farm rw shared:1 - nfs4 farm:/ rw\n"
        "3 2 0:6 / /mnt/the\\040farm/scratch rw - ext4 /dev/sdb1 rw\n"
    )
    assert is_on_network(Path("/mnt/the farm/out"), mounts)
    assert not is_on_network(Path("/mnt/the farm/scratch/out"), mounts)
    assert not is_on_network(Path("/mnt"), mounts)
    assert not is_on_network(Path("/mnt"), tmp_path / "none")
