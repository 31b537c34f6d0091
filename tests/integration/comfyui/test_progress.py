"""The progress bar, and the Cancel button at every stage of a sheet."""

import logging
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from gridscribe.client import Client
from gridscribe.devstack import DevStack
from shared.settings import Settings
from tests.fixtures.waiting import PATIENCE, wait_until
from tests.integration.api.served import serving
from tests.integration.comfyui.comfyui_modules import InterruptProcessingException, RunningComfyUI
from tests.integration.comfyui.hosting import execute
from tests.integration.comfyui.tensors import RED, photo, plain

UPLOADED = 1 / 3
CAPTIONED = 2 / 3


@pytest.fixture
def comfyui(monkeypatch: pytest.MonkeyPatch) -> RunningComfyUI:
    running = RunningComfyUI()
    running.install(monkeypatch)
    return running


@pytest.fixture
def temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder in which this process makes temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("run_on", ["service", "local"])
def test_the_progress_bar_goes_forward_to_its_end(
    labeled_grid: Any, stack: DevStack, comfyui: RunningComfyUI, temporary_files: Path, run_on: str
) -> None:
    images = [photo("coffee.jpg"), photo("clock.jpg")]
    execute(labeled_grid, images=images, use_clip=True, run_on=run_on, server_url=stack.base_url)
    assert comfyui.progress == sorted(comfyui.progress)
    assert comfyui.progress[-1] == 1
    assert list(temporary_files.glob("gridscribe*")) == []


def test_a_sheet_canceled_while_the_service_makes_it_is_canceled_there(
    labeled_grid: Any,
    stack: DevStack,
    comfyui: RunningComfyUI,
    temporary_files: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    comfyui.press_cancel = lambda _: "Gridscribe job" in caplog.text
    with caplog.at_level(logging.INFO), pytest.raises(InterruptProcessingException):
        execute(
            labeled_grid,
            images=torch.rand(64, 160, 160, 3),
            use_clip=True,
            server_url=stack.base_url,
        )
    submitted = re.search(r"Gridscribe job (\S+) at", caplog.text)
    assert submitted
    with Client(stack.base_url) as client:
        assert client.jobs.wait(submitted[1], timeout=PATIENCE).status == "canceled"
    assert list(temporary_files.glob("gridscribe*")) == []


def test_a_sheet_canceled_while_it_is_uploaded_leaves_nothing_on_the_service(
    labeled_grid: Any,
    settings: Settings,
    comfyui: RunningComfyUI,
    caplog: pytest.LogCaptureFixture,
) -> None:
    comfyui.press_cancel = lambda progress: progress > UPLOADED / 2
    with serving(settings) as client, caplog.at_level(logging.INFO):
        with pytest.raises(InterruptProcessingException):
            execute(
                labeled_grid, images=torch.rand(20, 256, 256, 3), server_url=str(client.base_url)
            )
        assert "Gridscribe job" not in caplog.text
        wait_until(
            lambda: not [path for path in settings.data_dir.rglob("*") if path.is_file()],
            what="the service keeps the files",
        )


@pytest.mark.parametrize("pressed_at", [0.0, UPLOADED, CAPTIONED])
def test_a_sheet_made_in_comfyuis_process_can_be_canceled(
    labeled_grid: Any, comfyui: RunningComfyUI, temporary_files: Path, pressed_at: float
) -> None:
    comfyui.press_cancel = lambda progress: progress >= pressed_at
    with pytest.raises(InterruptProcessingException):
        execute(
            labeled_grid,
            images=torch.cat([plain(RED, height=224, width=224)] * 4),
            use_clip=True,
            run_on="local",
        )
    assert list(temporary_files.glob("gridscribe*")) == []
