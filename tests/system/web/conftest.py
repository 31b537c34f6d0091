"""The web page in a real browser, on one running service for all of its tests."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page

from gridscribe import Client
from gridscribe.devstack import DevStack
from shared.schemas import Job

PATIENCE = 300
"""Seconds a job may take: the machine may be busy."""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three small pictures; the name of the second would be markup, were it taken for that."""
    folder = tmp_path_factory.mktemp("pictures")
    names = ("dusk 1.png", "<img src=x onerror=boom()>.png", "it's, fine;.png")
    for name, color in zip(names, ("#203040", "#a04030", "#60a070"), strict=True):
        Image.new("RGB", (96, 64), color).save(folder / name)
    return [folder / name for name in names]


@pytest.fixture(scope="session")
def service(stack: DevStack) -> Iterator[Client]:
    with Client(stack.base_url) as client:
        yield client


@pytest.fixture(scope="session")
def finished(service: Client, pictures: list[Path]) -> Job:
    """A job that is over: three pictures on two pages, one label by CSV."""
    csv = b"filename,label\ndusk 1.png,Dusk\n"
    spec = {"title": "Three", "rows": 1, "cols": 2, "cell_size": [96, 64]}
    return service.jobs.wait(service.jobs.create(pictures, spec, csv=csv).id, timeout=PATIENCE)


@pytest.fixture
def page(context: BrowserContext, page: Page, stack: DevStack) -> Page:
    """The web page, opened; the clipboard may be used."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(stack.base_url)
    return page


OpenJob = Callable[[str], None]


@pytest.fixture
def open_job(page: Page, stack: DevStack) -> OpenJob:
    def go(job_id: str) -> None:
        page.goto(f"{stack.base_url}/#/jobs/{job_id}")

    return go


@pytest.fixture
def captioning_halted(stack: DevStack) -> Callable[[], AbstractContextManager[None]]:
    """While the block runs no picture is captioned: jobs that want CLIP go no further."""

    @contextlib.contextmanager
    def halted() -> Iterator[None]:
        pid = stack.pids["caption"]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    return halted
