"""The images of a grid, from wherever the events of a collection say that they lie."""

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
from anyio import to_thread
from pydantic import JsonValue

from api.byte_streams import from_bytes, from_file
from api.image_fetching import Downloads, ImageFetcher
from api.image_intake import ImageIntake
from api.inbound.mounts import Mounts, is_path, mapped
from api.submission import Submission
from api.submission_readers import SubmissionReader
from shared.errors import ErrorCode, GridscribeError
from shared.inbound_collections import Collection, Frame, Output
from shared.inbound_sources import SourceFields
from shared.job_spec import JobSpec
from shared.schemas import JobWarning


@dataclass(frozen=True, slots=True)
class _Place:
    """An output with where it stands in the collection."""

    key: str
    location: str
    """As warnings name it: jobs that share a grid may each have a frame 1."""
    frame: Frame
    output: Output


def collected_reader(
    collection: Collection,
    source: SourceFields,
    spec: JobSpec,
    fetcher: ImageFetcher,
    mounts: Mounts,
    max_images: int,
) -> SubmissionReader:
    """Frames in their order. One that cannot be had costs a warning, unless none can be had."""
    places = _places(collection.frames)
    left_out = collection.left_out + len(places[max_images:])
    places = places[:max_images]

    async def read(intake: ImageIntake) -> Submission:
        urls: dict[str, str] = {}
        refused: dict[str, GridscribeError] = {}
        for place in places:
            if place.output.url is None:
                continue
            address = mapped(place.output.url, source.path_map)
            try:
                _check_host(address, source.allowed_hosts)
                urls[place.key] = address
            except GridscribeError as error:
                refused[place.key] = error
        fetched = {key: url for key, url in urls.items() if not is_path(url)}
        async with AsyncExitStack() as stack:
            downloads = await stack.enter_async_context(fetcher.fetching(fetched))
            for place in places:
                try:
                    if place.key in refused:
                        raise refused[place.key]
                    url = urls.get(place.key)
                    chunks = await _bytes_of(place, url, downloads, mounts, collection.tenant)
                    await intake.add(
                        place.location,
                        place.output.name or _file_name(url),
                        chunks,
                        label=_label(place, spec),
                        metadata=_metadata(place),
                    )
                except GridscribeError as error:
                    intake.leave_out(place.location, error)
        images = intake.images_at_hand()
        warnings = intake.warnings + (_too_many(left_out) if left_out else [])
        return Submission(intake.job_id, spec, images, None, tuple(warnings))

    return read


def _places(frames: Sequence[Frame]) -> list[_Place]:
    return [
        _Place(f"{position}.{at}", _location(frame, position, at), frame, output)
        for position, frame in enumerate(frames)
        for at, output in enumerate(frame.outputs)
    ]


def _location(frame: Frame, position: int, output: int) -> str:
    shown = f"frame {frame.number}" if frame.number is not None else f"image {position + 1}"
    return shown if len(frame.outputs) == 1 else f"{shown}, output {output + 1}"


async def _bytes_of(
    place: _Place, url: str | None, downloads: Downloads, mounts: Mounts, tenant: str
) -> AsyncIterator[bytes]:
    if url is None:
        return from_bytes(await to_thread.run_sync(_decoded, place.output.data or ""))
    if is_path(url):
        return from_file(await to_thread.run_sync(mounts.open, tenant, url))
    return from_file(await downloads.take(place.key))


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise GridscribeError(ErrorCode.NOT_AN_IMAGE, f"not valid base64: {error}") from error


def _check_host(url: str, allowed: Sequence[str]) -> None:
    if not allowed or is_path(url):
        return
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        host = ""
    if not any(
        host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
        for pattern in allowed
    ):
        raise GridscribeError(
            ErrorCode.URL_NOT_ALLOWED,
            f"not allowed: its host {host[:100]!r} is none of the source's allowed_hosts",
        )


def _file_name(url: str | None) -> str | None:
    if url is None or is_path(url):
        return url
    try:
        return httpx.URL(url).path
    except httpx.InvalidURL:
        return None


def _label(place: _Place, spec: JobSpec) -> str | None:
    """The event's own; else the frame's number, where the spec asks for nothing better."""
    given = place.output.label
    if given or spec.labels or spec.use_clip or place.frame.number is None:
        return given or None
    return None if place.frame.is_position else f"frame {place.frame.number}"


def _metadata(place: _Place) -> dict[str, JsonValue]:
    if place.frame.number is None or place.frame.is_position:
        return dict(place.output.metadata)
    return {"frame": place.frame.number, **place.output.metadata}


def _too_many(count: int) -> list[JobWarning]:
    detail = f"{count} image(s) left out: they were more than a job may have"
    return [JobWarning(code="images_left_out", detail=detail)]
