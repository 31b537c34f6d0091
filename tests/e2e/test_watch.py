"""`gridscribe watch` as a process, killed and started again, against the running service."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridscribe import Client
from gridscribe.devstack import DevStack
from gridscribe.watching.making import METADATA_KEY
from tests.fixtures.command_line import Run
from tests.fixtures.cutting_proxy import CuttingProxy
from tests.fixtures.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "gridscribe" / "samples"


class Watcher:
    """The command on `folder`; ends with the block."""

    def __init__(self, folder: Path, server: str, *options: str) -> None:
        arguments = ("watch", str(folder), "--server", server, "--json", "--cell-size", "64", "64")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gridscribe", *arguments, "--settle", "0.3", *options],
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder.parent)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def until(self, event: str) -> dict[str, object]:
        """The next news of this kind."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            news: dict[str, object] = json.loads(line)
            if news["event"] == event:
                return news
        raise AssertionError(f"it ended with {self._process.wait()}, without {event!r}")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def stop(self) -> int:
        """As `kill PID` does; the exit code."""
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE)
        return self._process.returncode


def sheets_of(client: Client, names: set[str]) -> list[set[str]]:
    """The images of each watched job that has any of `names`."""
    watched = [job.id for job in client.jobs.list() if METADATA_KEY in job.metadata]
    found = [{image.name for image in client.jobs.wait(job_id).images} for job_id in watched]
    return [images for images in found if images & names]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def client(stack: DevStack) -> Iterator[Client]:
    with Client(stack.base_url) as client:
        yield client


def test_every_image_goes_into_one_sheet_through_kills(
    stack: DevStack, folder: Path, client: Client
) -> None:
    shutil.copy(SAMPLES / "brick.jpg", folder / "old.jpg")
    watcher = Watcher(folder, stack.base_url, "--existing", "--quiet", "1")
    watcher.until("submitted")
    watcher.kill()

    watcher = Watcher(folder, stack.base_url, "--quiet", "1", "--poll")
    assert watcher.until("sheet")["images"] == ["old.jpg"]
    data = (SAMPLES / "clock.jpg").read_bytes()
    with (folder / "new.jpg").open("wb") as file:
        for start in range(0, len(data), len(data) // 5 + 1):
            file.write(data[start : start + len(data) // 5 + 1])
            file.flush()
            time.sleep(0.15)
    shutil.copy(SAMPLES / "coffee.jpg", folder / "next.jpg")
    sheet = watcher.until("sheet")
    assert sheet["images"] == ["new.jpg", "next.jpg"]
    files = sheet["files"]
    assert isinstance(files, list)
    assert all(Path(file).is_file() for file in files)
    assert watcher.stop() == 0

    names = {"old.jpg", "new.jpg", "next.jpg"}
    assert sorted(map(sorted, sheets_of(client, names))) == [["new.jpg", "next.jpg"], ["old.jpg"]]


def test_a_folder_that_comes_later_is_watched_as_well(
    stack: DevStack, folder: Path, client: Client
) -> None:
    shutil.copy(SAMPLES / "brick.jpg", folder / "above.jpg")
    watcher = Watcher(folder, stack.base_url, "--recursive", "--existing", "--quiet", "0")
    assert watcher.until("sheet")["images"] == ["above.jpg"]
    began = time.monotonic()
    (folder / "take 2").mkdir()
    shutil.copy(SAMPLES / "rocket.jpg", folder / "take 2" / "below.jpg")

    assert watcher.until("batch")["images"] == ["take 2/below.jpg"]
    assert time.monotonic() - began < 25, "the kernel tells of it; all is looked at each 30 s only"
    assert watcher.until("sheet")["images"] == ["take 2/below.jpg"]

    assert watcher.stop() == 0
    assert sheets_of(client, {"below.jpg"}) == [{"below.jpg"}]


def test_a_job_nobody_heard_of_is_found_again(
    run: Run, stack: DevStack, folder: Path, client: Client
) -> None:
    shutil.copy(SAMPLES / "camera.jpg", folder / "unheard.jpg")
    once = ("watch", str(folder), "--once", "--settle", "0.1")
    with CuttingProxy(stack.port) as proxy:
        proxy.cuts = 1000
        assert run(*once, "--server", proxy.url) == 3
    assert run(*once, "--server", stack.base_url) == 0
    assert sheets_of(client, {"unheard.jpg"}) == [{"unheard.jpg"}]
    assert len(list((folder / "sheets").iterdir())) == 1


def test_an_image_that_is_none_does_not_hold_up_the_others(
    run: Run, stack: DevStack, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(SAMPLES / "rocket.jpg", folder / "good.jpg")
    (folder / "notes.jpg").write_text("not a picture")
    once = ("watch", str(folder), "--once", "--settle", "0.1", "--json")
    assert run(*once, "--server", stack.base_url) == 1
    news = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["image"] for each in news if each["event"] == "refused"] == ["notes.jpg"]
    assert [each["images"] for each in news if each["event"] == "sheet"] == [["good.jpg"]]


def test_a_folder_is_watched_by_one_process(
    run: Run, stack: DevStack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder.parent))
    watcher = Watcher(folder, stack.base_url, "--existing", "--quiet", "0")
    shutil.copy(SAMPLES / "clock.jpg", folder / "first.jpg")
    watcher.until("submitted")
    assert run("watch", str(folder), "--once", "--server", stack.base_url) == 2
    assert watcher.stop() == 0
