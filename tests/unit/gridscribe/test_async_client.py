"""What is the awaited client's alone: its event loop goes on while files are slow."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from gridscribe import AsyncClient
from tests.unit.gridscribe.scripted_server import Answer, ScriptedServer, job_answer

RESULT = {
    "url": "/r",
    "width": 1,
    "height": 1,
    "pages": 1,
    "bytes": 900_000,
    "sha256": "0",
    "media_type": "image/png",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Opened:
    """Names of the files below `folder` that were opened, and the threads that did it."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._watching = True
        self.threads: dict[str, int] = {}
        sys.addaudithook(self._hear)  # which no call takes away again

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watching and event == "open" and str(arguments[0]).startswith(self._folder):
            self.threads[Path(arguments[0]).suffix] = threading.get_ident()

    def close(self) -> None:
        self._watching = False


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    found = Opened(tmp_path)
    yield found
    found.close()


@pytest.mark.anyio
async def test_files_are_opened_beside_the_event_loop_and_listeners_told_in_it(
    server: ScriptedServer, tmp_path: Path, opened: Opened
) -> None:
    image, csv = tmp_path / "a.png", tmp_path / "labels.csv"
    image.write_bytes(b"1" * 300_000)
    csv.write_bytes(b"filename,label\n")
    server.answers = [
        job_answer(code=202),
        job_answer("succeeded", result=RESULT),
        Answer(body=b"sheet" * 180_000),
    ]
    sent: list[tuple[int, int]] = []
    told_in = set()

    def listen(done: int, total: int) -> None:
        told_in.add(threading.get_ident())
        sent.append((done, total))

    async with AsyncClient(server.url) as client:
        await client.jobs.create([image], csv=csv, on_upload=listen)
        assert sent[-1] == (300_000, 300_000)
        (sheet,) = await client.jobs.download("j1", tmp_path / "sheet.webp", on_download=listen)

    assert await anyio.Path(sheet).read_bytes() == b"sheet" * 180_000
    assert sent[-1] == (900_000, 900_000)
    assert opened.threads.keys() >= {".png", ".csv", ".part"}
    assert threading.get_ident() not in opened.threads.values()
    assert told_in == {threading.get_ident()}


@pytest.mark.anyio
async def test_what_a_listener_raises_ends_the_call_and_leaves_no_file(
    server: ScriptedServer, tmp_path: Path
) -> None:
    server.answers = [job_answer("succeeded", result=RESULT), Answer(body=b"sheet" * 180_000)]

    def fail(_done: int, _total: int) -> None:
        raise LookupError("enough")

    async with AsyncClient(server.url) as client:
        with pytest.raises(LookupError, match="enough"):
            await client.jobs.download("j1", tmp_path / "out" / "sheet.png", on_download=fail)

    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.anyio
async def test_a_download_that_is_given_up_leaves_no_file(
    server: ScriptedServer, tmp_path: Path
) -> None:
    server.answers = [job_answer("succeeded", result=RESULT), Answer(body=b"sheet" * 180_000)]

    async with AsyncClient(server.url) as client:
        with anyio.CancelScope() as scope:
            await client.jobs.download(
                "j1", tmp_path / "out" / "sheet.png", on_download=lambda *_: scope.cancel()
            )

    assert scope.cancelled_caught
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.anyio
async def test_a_call_that_asyncio_cancels_while_a_file_is_slow_ends_as_canceled(
    server: ScriptedServer, tmp_path: Path
) -> None:
    image, slow = tmp_path / "a.png", tmp_path / "labels.csv"
    image.write_bytes(b"1")
    os.mkfifo(slow)
    async with AsyncClient(server.url) as client:
        call = asyncio.ensure_future(client.jobs.create([image], csv=slow))
        async with await anyio.open_file(slow, "wb"):  # which waits until somebody reads
            call.cancel()
            ended, _ = await asyncio.wait([call], timeout=0.2)
            assert not ended, "nothing closes what is being read"
        with pytest.raises(asyncio.CancelledError):
            await call
    assert server.requests == []
