"""Sheets as the old service made them: from a folder on disk to a file on disk, in one request.

Underneath is an ordinary job of the same queue; this only reads, waits and writes.
"""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import anyio
from anyio import to_thread

from api.byte_streams import from_file, read_whole
from api.compat.old_requests import OldRequest, required
from api.image_intake import ImageIntake
from api.inspection import EXTENSIONS
from api.job_service import JobService
from api.rooted_folder import RootedFolder
from api.submission import Submission
from shared.errors import ErrorCode, GridscribeError
from shared.job_record import JobRecord
from shared.job_spec import JobSpec, SheetFormat
from shared.object_storage import ObjectStorage
from shared.settings import Settings

_FIRST_POLL = 0.05
_SLOWEST_POLL = 1.0


@dataclass(frozen=True, slots=True)
class Grid:
    """A finished sheet."""

    job_id: str
    paths: tuple[str, ...]
    """Under the root, one a page."""
    warnings: tuple[str, ...]


class GridService:
    """Raises `GridscribeError`, and what the store and the storage raise when they are away."""

    def __init__(
        self, root: RootedFolder, jobs: JobService, storage: ObjectStorage, settings: Settings
    ) -> None:
        self._root = root
        self._jobs = jobs
        self._storage = storage
        self._settings = settings

    async def create(self, tenant: str, request: OldRequest) -> Grid:
        """One sheet of `input_dir`, written to `output_path`."""
        folder = required(request.input_dir, "input_dir")
        output, sheet_format = _output(
            required(request.output_path, "output_path"), request.layout.get("format")
        )
        spec = request.spec(format=sheet_format)
        return await self._make(tenant, folder, output, request.csv_path, spec)

    async def create_batch(self, tenant: str, request: OldRequest) -> list[Grid | GridscribeError]:
        """A sheet for each of `batch_dirs`, in the folder `output_path`, named after its folder.

        What one folder is refused for does not keep the others from theirs.
        """
        target = required(request.output_path, "output_path")
        sheet_format = request.spec().format
        names = [PurePosixPath(folder).name for folder in request.batch_dirs]
        if len(set(names)) < len(names):
            raise GridscribeError(
                ErrorCode.INVALID_REQUEST,
                "batch_dirs: two folders of the same name would be written to the same file",
            )
        made: list[Grid | GridscribeError] = []
        for folder, name in zip(request.batch_dirs, names, strict=True):
            output = f"{target}/{name}.{sheet_format}"
            try:
                made.append(
                    await self._make(tenant, folder, output, request.csv_path, request.spec())
                )
            except GridscribeError as error:
                made.append(error)
        return made

    async def count_images(self, folder: str) -> int:
        return len(await to_thread.run_sync(self._images, folder, None))

    async def _make(
        self, tenant: str, folder: str, output: str, csv_path: str | None, spec: JobSpec
    ) -> Grid:
        async def read(intake: ImageIntake) -> Submission:
            for name in await to_thread.run_sync(self._images, folder, output):
                path = f"{folder}/{name}"
                with await to_thread.run_sync(self._root.open, path) as file:
                    await intake.add(path, name, from_file(file))
            csv = None if csv_path is None else await self._read_csv(csv_path)
            return Submission(intake.job_id, spec, intake.images(), csv, tuple(intake.warnings))

        # Before the job: a sheet that cannot be written need not be made.
        await to_thread.run_sync(self._root.make_folder_of, output)
        job = await self._jobs.submit(tenant, read)
        record = await self._finished(tenant, job.id)
        if record.result is None:
            failure = record.failure
            raise GridscribeError(
                failure.code if failure else ErrorCode.COMPOSE_FAILED,
                f"job {job.id} {record.status}: {failure.detail if failure else 'no sheet'}",
            )
        paths = []
        for number, page in enumerate(record.result.pages, start=1):
            paths.append(_page_path(output, number))
            await to_thread.run_sync(self._write, page.key, paths[-1])
        return Grid(job.id, tuple(paths), tuple(w.detail for w in record.warnings))

    async def _finished(self, tenant: str, job_id: str) -> JobRecord:
        """The job once it is over; one that takes too long is canceled."""
        pause = _FIRST_POLL
        try:
            with anyio.fail_after(self._settings.compat_wait_seconds):
                while not (record := await self._jobs.get(tenant, job_id)).status.is_terminal:
                    await anyio.sleep(pause)
                    pause = min(1.5 * pause, _SLOWEST_POLL)
                return record
        except TimeoutError as error:
            try:
                await self._jobs.cancel(tenant, job_id)
            except GridscribeError:
                return await self._jobs.get(tenant, job_id)  # it ended this very moment
            raise GridscribeError(
                ErrorCode.WAIT_TIMED_OUT,
                f"job {job_id} was not done in {self._settings.compat_wait_seconds:g} s and is"
                " canceled; submit it to POST /v1/jobs, which does not wait",
            ) from error

    def _images(self, folder: str, output: str | None) -> list[str]:
        """Names of the image files; a sheet that an earlier request left there does not count."""
        names = [n for n in self._root.file_names(folder) if _suffix(n) in EXTENSIONS]
        names = [name for name in names if not name.startswith(".")]
        if output is not None and PurePosixPath(output).parent == PurePosixPath(folder):
            stem, suffix = PurePosixPath(output).stem, PurePosixPath(output).suffix
            pages = {f"{stem}{suffix}", *(f"{stem}-{n}{suffix}" for n in range(2, len(names) + 2))}
            names = [name for name in names if name not in pages]
        if len(names) > self._settings.max_images:
            raise GridscribeError(
                ErrorCode.TOO_MANY_IMAGES,
                f"{folder!r} has {len(names)} images; a job may have {self._settings.max_images}",
            )
        return names

    async def _read_csv(self, path: str) -> bytes:
        limit = self._settings.max_csv_bytes
        too_large = GridscribeError(
            ErrorCode.FILE_TOO_LARGE, f"csv_path: {path[:200]!r} is larger than {limit:,} bytes"
        )
        with await to_thread.run_sync(self._root.open, path) as file:
            return await read_whole(from_file(file), limit, too_large)

    def _write(self, key: str, path: str) -> None:
        with self._storage.open(key) as source, self._root.written_whole(path) as target:
            shutil.copyfileobj(source, target)


def _output(path: str, asked: object) -> tuple[str, SheetFormat]:
    """Where the sheet goes and in which format: the one asked for, else the name's, else PNG."""
    suffix = _suffix(path)
    try:
        named = SheetFormat(suffix) if suffix else None
        sheet_format = SheetFormat(str(asked)) if asked is not None else named or SheetFormat.PNG
    except ValueError as error:
        raise GridscribeError(
            ErrorCode.INVALID_REQUEST,
            f"{asked or path!r}: a sheet can be written as {', '.join(SheetFormat)}",
        ) from error
    return (path if named else f"{path}.{sheet_format}"), sheet_format


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower().removeprefix(".")


def _page_path(path: str, number: int) -> str:
    pure = PurePosixPath(path)
    return path if number == 1 else str(pure.with_stem(f"{pure.stem}-{number}"))


@contextlib.contextmanager
def opened_grids(
    jobs: JobService, storage: ObjectStorage, settings: Settings
) -> Iterator[GridService | None]:
    """The service on `compat_root`; None where that is not set.

    Raises `ValueError` for a root that would show the service's own files, and `OSError` for one
    that is no folder.
    """
    if settings.compat_root is None:
        yield None
        return
    root, data = settings.compat_root.resolve(), settings.data_dir.resolve()
    if root.is_relative_to(data) or data.is_relative_to(root):
        raise ValueError(
            f"GRIDSCRIBE_COMPAT_ROOT ({root}) and GRIDSCRIBE_DATA_DIR ({data}) must lie apart: the"
            " old endpoints would reach every tenant's files"
        )
    folder = RootedFolder(root)
    try:
        yield GridService(folder, jobs, storage, settings)
    finally:
        folder.close()
