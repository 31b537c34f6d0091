"""The two ways to send a job: multipart with files, JSON with references and data URIs."""

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
from anyio import to_thread

from api.byte_streams import from_bytes, from_file, read_whole
from api.image_fetching import Downloads, ImageFetcher
from api.image_intake import ImageIntake
from api.multipart_stream import Part, read_parts
from api.submission import Submission, choose_csv
from api.upload_service import UploadService
from api.validation import parse_json
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_spec import ImageReference, JobRequest, JobSpec
from shared.settings import Settings

SubmissionReader = Callable[[ImageIntake], Awaitable[Submission]]
"""Reads one request's body, its images into the intake."""


def multipart_reader(
    body: AsyncIterator[bytes], content_type: str | None, settings: Settings
) -> SubmissionReader:
    """Parts `spec` (JSON), `images` (files, order kept) and `csv` (a file), in any order."""

    async def read(intake: ImageIntake) -> Submission:
        small: dict[str, bytes] = {}
        limits = {"spec": settings.max_spec_bytes, "csv": settings.max_csv_bytes}
        spec, position = JobSpec(), 0
        # One more than can be accepted, for the error that says which limit it was.
        async for part in read_parts(body, content_type, max_parts=settings.max_images + 3):
            if part.name == "images":
                await intake.add(f"images[{position}]", part.filename, part.chunks)
                position += 1
            elif part.name in limits and part.name not in small:
                small[part.name] = await _read_small(part, limits[part.name])
                if part.name == "spec":
                    spec = parse_json(JobSpec, small["spec"], root="spec")
            else:
                raise _unexpected(part, known=part.name in limits)
        images = intake.images()
        csv, warnings = choose_csv(small.get("csv"), intake.csv_files)
        return Submission(intake.job_id, spec, images, csv, (*intake.warnings, *warnings))

    return read


def json_reader(
    body: AsyncIterator[bytes],
    tenant: str,
    uploads: UploadService,
    fetcher: ImageFetcher,
    settings: Settings,
) -> SubmissionReader:
    """A `JobRequest`. It is held in memory, so it may have the size of one file at most."""

    async def read(intake: ImageIntake) -> Submission:
        limit = settings.max_file_bytes
        too_large = GridscribeError(
            ErrorCode.REQUEST_TOO_LARGE,
            f"a JSON request may have {limit:,} bytes; send multipart, or POST /v1/uploads first",
        )
        request = parse_json(JobRequest, await read_whole(body, limit, too_large))
        if len(request.images) > settings.max_images:  # before anything is fetched for it
            detail = f"a job may have {settings.max_images} images, not {len(request.images)}"
            raise GridscribeError(ErrorCode.TOO_MANY_IMAGES, detail)
        references = {f"images[{n}]": image for n, image in enumerate(request.images)}
        for location, image in references.items():
            _check_reference(location, image)
        urls = {place: image.url for place, image in references.items() if image.url is not None}
        async with fetcher.fetching(urls) as downloads:
            for location, image in references.items():
                if image.url is None:
                    await _add_reference(intake, tenant, uploads, location, image)
                else:
                    await _add_download(intake, downloads, location, image.url, image)
        images = intake.images()
        part = None if request.csv is None else request.csv.encode()
        csv, warnings = choose_csv(part, intake.csv_files)
        return Submission(intake.job_id, request.spec, images, csv, (*intake.warnings, *warnings))

    return read


async def _add_reference(
    intake: ImageIntake, tenant: str, uploads: UploadService, location: str, image: ImageReference
) -> None:
    name = image.name
    if image.data is not None:
        data = await to_thread.run_sync(_decode_data_uri, image.data, location)
        chunks = from_bytes(data)
    else:
        upload, file = await uploads.open(tenant, image.upload_id or "", location)
        # Copied: the upload's own file goes when its time to live is over, the job's may stay.
        chunks, name = from_file(file), name or upload.name
    await intake.add(location, name, chunks, label=image.label, metadata=image.metadata)


async def _add_download(
    intake: ImageIntake, downloads: Downloads, location: str, url: str, image: ImageReference
) -> None:
    place = f"{location}.url"
    try:
        file = await downloads.take(location)
    except GridscribeError as error:
        intake.refuse(place, error)
        return
    name = image.name or httpx.URL(url).path  # its last part is the name of the file
    await intake.add(place, name, from_file(file), label=image.label, metadata=image.metadata)


def _check_reference(location: str, image: ImageReference) -> None:
    given = [source for source in (image.url, image.upload_id, image.data) if source is not None]
    if len(given) != 1:
        raise _bad_reference(location, "give exactly one of 'url', 'upload_id' and 'data'")


def _decode_data_uri(uri: str, location: str) -> bytes:
    """RFC 2397, base64 only."""
    head, comma, payload = uri.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise _bad_reference(f"{location}.data", "not a data URI like 'data:image/png;base64,...'")
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_reference(f"{location}.data", f"not valid base64: {error}") from error


async def _read_small(part: Part, limit: int) -> bytes:
    detail = f"{part.name}: larger than {limit:,} bytes, the most this part may have"
    error = GridscribeError(
        ErrorCode.FILE_TOO_LARGE, detail, errors=[ErrorLocation(part.name, detail)]
    )
    return await read_whole(part.chunks, limit, error)


def _unexpected(part: Part, *, known: bool) -> GridscribeError:
    detail = (
        "sent twice"
        if known
        else "unknown part; a job is made of 'spec', 'images' (any number) and 'csv'"
    )
    name = part.name[:100]
    return GridscribeError(
        ErrorCode.INVALID_REQUEST, f"{name!r}: {detail}", errors=[ErrorLocation(name, detail)]
    )


def _bad_reference(location: str, detail: str) -> GridscribeError:
    return GridscribeError(
        ErrorCode.INVALID_REQUEST,
        f"{location}: {detail}",
        errors=[ErrorLocation(location, detail)],
    )
