"""Images that callers name by URL: fetched while their job is submitted, a few ahead at a time.

Fetching belongs to the submission, not to a worker: what is wrong with an address is answered at
once and by its place, and an accepted job has all its bytes, whatever becomes of the address.
"""

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

import anyio
import httpx
from anyio import to_thread

from shared.errors import ErrorCode, GridscribeError
from shared.settings import Settings
from shared.url_guard import ForbiddenUrlError, UrlGuard, guarded_client

_HEADERS = {
    "User-Agent": "gridscribe",
    "Accept": "image/*, application/zip;q=0.9, */*;q=0.1",
    # What is packed on the way could unpack to anything.
    "Accept-Encoding": "identity",
}


@dataclass(slots=True)
class _Download:
    url: str
    ready: anyio.Event = field(default_factory=anyio.Event)
    taken: anyio.Event = field(default_factory=anyio.Event)
    outcome: BinaryIO | GridscribeError | OSError | None = None


class Downloads:
    """Files on their way; each is taken once, in the order in which they were named."""

    def __init__(self, downloads: Mapping[str, _Download]) -> None:
        self._downloads = downloads

    async def take(self, location: str) -> BinaryIO:
        """The whole file, at its beginning, the caller's to close; raises what `fetch` says, and
        `OSError` where there was no room for it."""
        download = self._downloads[location]
        await download.ready.wait()
        outcome, download.outcome = download.outcome, None
        download.taken.set()
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is not None, f"{location} was taken twice"  # noqa: S101 (our own mistake)
        return outcome


class ImageFetcher:
    def __init__(self, guard: UrlGuard, settings: Settings) -> None:
        self._guard = guard
        self._settings = settings

    @asynccontextmanager
    async def fetching(self, urls: Mapping[str, str]) -> AsyncIterator[Downloads]:
        """Fetch `urls`, location to address, as long as the block runs."""
        downloads = {location: _Download(url) for location, url in urls.items()}
        failure: Exception | None = None
        try:
            async with anyio.create_task_group() as group:
                turns = iter(downloads.values())
                batch = _Batch(self._guard, self._settings)
                for _ in range(min(self._settings.fetch_concurrency, len(downloads))):
                    group.start_soon(self._work, batch, turns)
                try:
                    yield Downloads(downloads)
                except Exception as error:  # noqa: BLE001 (raised below, not wrapped in a group)
                    failure = error
                group.cancel_scope.cancel()
        finally:
            for download in downloads.values():
                if not isinstance(download.outcome, Exception | None):
                    download.outcome.close()
        if failure is not None:
            raise failure

    async def _work(self, batch: "_Batch", turns: Iterator[_Download]) -> None:
        # One file a worker until it is taken: that bounds how much lies on the disk.
        async with guarded_client(self._guard, timeout=batch.timeout) as client:
            for download in turns:
                try:
                    download.outcome = await batch.fetch(client, download.url)
                # Left to itself the disk's error would come out as one of the whole group.
                except (GridscribeError, OSError) as error:
                    download.outcome = error
                download.ready.set()
                await download.taken.wait()


class _Batch:
    """The images of one request: what they may take in time and bytes together."""

    def __init__(self, guard: UrlGuard, settings: Settings) -> None:
        self._guard = guard
        self._settings = settings
        self._deadline = anyio.current_time() + settings.fetch_total_seconds
        self._bytes_left = settings.max_request_bytes
        self.timeout = httpx.Timeout(settings.fetch_timeout_seconds)

    async def fetch(self, client: httpx.AsyncClient, url: str) -> BinaryIO:
        """The file at `url`, whole, in a temporary file without a name.

        Raises `GridscribeError` with URL_NOT_ALLOWED, FETCH_FAILED, FILE_TOO_LARGE or
        REQUEST_TOO_LARGE.
        """
        seconds = self._settings.fetch_timeout_seconds
        left = self._deadline - anyio.current_time()
        file = await to_thread.run_sync(tempfile.TemporaryFile)
        try:
            with _as_failures(), anyio.fail_after(max(0, min(seconds, left))):
                async with client.stream(
                    "GET", self._guard.check_url(url), headers=_HEADERS
                ) as answer:
                    self._check_head(answer)
                    await self._save(answer, file)
            await to_thread.run_sync(file.seek, 0)
        except TimeoutError as error:
            file.close()
            raise _failed(
                f"it did not come within {seconds:g} s"
                if left > seconds
                else f"the images by URL of one request may take"
                f" {self._settings.fetch_total_seconds:g} s together, and that was over"
            ) from error
        except BaseException:
            file.close()
            raise
        return file

    def _check_head(self, answer: httpx.Response) -> None:
        if answer.is_redirect:
            raise _failed(
                f"it answered {answer.status_code}; redirects are not followed, name the address"
                " that they lead to"
            )
        if answer.status_code != httpx.codes.OK:
            raise _failed(f"it answered {answer.status_code}, not 200")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise _failed("it answered with a Content-Encoding, which was not asked for")
        declared = answer.headers.get("content-length", "")
        if declared.isdecimal():
            self._check_size(int(declared), self._bytes_left)

    async def _save(self, answer: httpx.Response, file: BinaryIO) -> None:
        count = 0
        async for chunk in answer.aiter_raw():
            count += len(chunk)
            self._check_size(count, self._bytes_left - len(chunk))
            self._bytes_left -= len(chunk)
            await to_thread.run_sync(file.write, chunk)

    def _check_size(self, size: int, left: int) -> None:
        limit = self._settings.max_file_bytes
        if size > limit:
            raise GridscribeError(
                ErrorCode.FILE_TOO_LARGE, f"it is larger than {limit:,} bytes, the most of a file"
            )
        if left < 0:
            raise GridscribeError(
                ErrorCode.REQUEST_TOO_LARGE,
                f"the images by URL are larger than {self._settings.max_request_bytes:,} bytes"
                " together, the most of a request",
            )


@contextmanager
def _as_failures() -> Iterator[None]:
    """What goes wrong outside, as errors that a caller can act on."""
    try:
        yield
    except ForbiddenUrlError as error:
        raise GridscribeError(ErrorCode.URL_NOT_ALLOWED, f"not allowed: {error}") from error
    except httpx.TimeoutException as error:
        raise TimeoutError from error
    except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
        raise _failed("its host cannot be reached") from error
    except httpx.TransportError as error:
        raise _failed("the connection broke off before its end") from error


def _failed(why: str) -> GridscribeError:
    return GridscribeError(ErrorCode.FETCH_FAILED, f"cannot be fetched: {why}")
