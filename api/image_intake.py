"""The images of one job on their way in: stored one by one, what is wrong with them collected."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import BinaryIO, cast

import anyio
from anyio import to_thread
from pydantic import JsonValue

from api.archives import DAMAGE, Archive, looks_like_archive, open_archive
from api.byte_streams import from_file, look_ahead, read_whole
from api.cleanup import discard
from api.file_names import clean_name
from api.image_storing import store_image
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.object_storage import ObjectStorage, input_key, job_prefix
from shared.schemas import JobWarning, SourceImage
from shared.settings import Settings

_COLLECTED = frozenset(
    {
        ErrorCode.NOT_AN_IMAGE,
        ErrorCode.TOO_MANY_PIXELS,
        ErrorCode.URL_NOT_ALLOWED,
        ErrorCode.FETCH_FAILED,
    }
)
"""Errors after which the next image is still looked at, so that a caller hears of all at once."""

_COPIES_AT_ONCE = 16


class ImageIntake:
    """Stores images below one job's prefix until the job is created or the request fails."""

    def __init__(self, storage: ObjectStorage, settings: Settings, job_id: str) -> None:
        self.job_id = job_id
        self.warnings: list[JobWarning] = []
        self.csv_files: list[bytes] = []
        """Those found in archives."""
        self._storage = storage
        self._settings = settings
        self._images: list[SourceImage] = []
        self._errors: list[tuple[ErrorCode, ErrorLocation]] = []

    async def add(
        self,
        location: str,
        filename: str | None,
        chunks: AsyncIterator[bytes],
        *,
        label: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Store an image, or every image of a zip; `location` names the part in errors.

        Raises `GridscribeError` where going on makes no sense; other errors wait for `images`.
        """
        name = clean_name(filename, f"image-{len(self._images) + 1}")
        head, chunks = await look_ahead(chunks, 4)
        with self._located(location):
            if looks_like_archive(head, name):
                await self._add_archive(location, name, chunks)
            else:
                image = await self._store(name, chunks)
                given = {"label": label, "metadata": dict(metadata or {})}
                self._images.append(image.model_copy(update=given))

    async def copy(self, images: Sequence[SourceImage]) -> None:
        """Take images of another job; raises `FileNotFoundError` where that one's files go."""
        for first in range(0, len(images), _COPIES_AT_ONCE):
            batch = images[first : first + _COPIES_AT_ONCE]
            copies = [
                image.model_copy(update={"key": self._next_key(image.name, ahead)})
                for ahead, image in enumerate(batch)
            ]
            # All are waited for: a copy that came late would be left behind.
            outcomes = await asyncio.gather(
                *(
                    self._storage.copy(image.key, copy.key)
                    for image, copy in zip(batch, copies, strict=True)
                ),
                return_exceptions=True,
            )
            for error in filter(None, outcomes):
                raise error
            self._images += copies

    def refuse(self, location: str, error: GridscribeError) -> None:
        """Note why there are no bytes to add, or raise where going on makes no sense."""
        with self._located(location):
            raise error

    def leave_out(self, location: str, error: GridscribeError) -> None:
        """Note why there are no bytes, whatever the reason: for `images_at_hand`."""
        self._errors.append((error.code, ErrorLocation(location, error.detail)))

    def images_at_hand(self) -> tuple[SourceImage, ...]:
        """Those that could be had, with a warning for each that could not.

        Raises `GridscribeError` as `images` does where there is none.
        """
        if not self._images:
            return self.images()
        for _, error in self._errors:
            detail = f"{error.location} left out: {error.detail}"
            self.warnings.append(JobWarning(code="image_left_out", detail=detail))
        return tuple(self._images)

    def images(self) -> tuple[SourceImage, ...]:
        """All images; raises `GridscribeError` naming every part that was refused."""
        if self._errors:
            code, first = self._errors[0]
            more = f" (and {len(self._errors) - 1} more)" if len(self._errors) > 1 else ""
            raise GridscribeError(
                code,
                f"{first.location}: {first.detail}{more}",
                errors=[location for _, location in self._errors],
            )
        if not self._images:
            raise GridscribeError(
                ErrorCode.NO_IMAGES, "the request has no images; send at least one part 'images'"
            )
        return tuple(self._images)

    @contextlib.asynccontextmanager
    async def discarded_on(self, *errors: type[BaseException]) -> AsyncIterator[None]:
        """Delete everything stored when one of `errors` comes out of the block."""
        try:
            yield
        except errors:
            await self.discard()
            raise

    async def discard(self) -> None:
        await discard(self._storage.delete_prefix, job_prefix(self.job_id))

    @contextlib.contextmanager
    def _located(self, location: str) -> Iterator[None]:
        try:
            yield
        except GridscribeError as error:
            if error.errors:
                raise  # an entry of an archive has its location already
            where = ErrorLocation(location, error.detail)
            if error.code not in _COLLECTED:
                raise GridscribeError(
                    error.code, f"{location}: {error.detail}", errors=[where]
                ) from error
            self._errors.append((error.code, where))

    async def _store(self, name: str, chunks: AsyncIterator[bytes]) -> SourceImage:
        key = self._next_key(name)
        return await store_image(self._storage, self._settings, key, name, chunks)

    def _next_key(self, name: str, ahead: int = 0) -> str:
        index = len(self._images) + len(self._errors) + ahead
        limit = self._settings.max_images
        if index >= limit:
            raise GridscribeError(
                ErrorCode.TOO_MANY_IMAGES, f"{name!r} is one too many: a job may have {limit}"
            )
        return input_key(self.job_id, index)

    async def _add_archive(self, location: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        async with anyio.TemporaryFile() as spool:
            async for chunk in chunks:
                await spool.write(chunk)
            file = cast("BinaryIO", spool.wrapped)
            archive = await to_thread.run_sync(open_archive, file, name, self._settings)
            for entry in archive.images:
                with self._located(location), _inside(name):
                    try:
                        opened = await to_thread.run_sync(archive.open, entry)
                        self._images.append(await self._store(entry.name, from_file(opened)))
                    except DAMAGE as error:
                        raise archive.damaged(entry) from error
            await self._take_csv_files(archive)
        if archive.left_out:
            listed = ", ".join(repr(entry) for entry in archive.left_out[:5])
            detail = f"{name}: {len(archive.left_out)} file(s) that are no images: {listed}"
            self.warnings.append(JobWarning(code="archive_files_left_out", detail=detail))

    async def _take_csv_files(self, archive: Archive) -> None:
        limit = self._settings.max_csv_bytes
        for entry in archive.csv_files:
            too_large = GridscribeError(
                ErrorCode.FILE_TOO_LARGE, f"{entry.name!r} is larger than {limit:,} bytes"
            )
            try:
                opened = await to_thread.run_sync(archive.open, entry)
                self.csv_files.append(await read_whole(from_file(opened), limit, too_large))
            except DAMAGE as error:
                raise archive.damaged(entry) from error


@contextlib.contextmanager
def _inside(archive: str) -> Iterator[None]:
    try:
        yield
    except GridscribeError as error:
        if error.code is ErrorCode.BAD_ARCHIVE:
            raise
        raise GridscribeError(error.code, f"{error.detail} in {archive!r}") from error
