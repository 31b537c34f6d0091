"""Answers made of stored files: from the disk in ranges, or by a link into the bucket."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self

import anyio
from anyio import to_thread
from fastapi import Response
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse

from api.response_headers import is_known
from shared.errors import ErrorCode, GridscribeError
from shared.object_storage import ObjectStorage, sheet_filename
from shared.schemas import StoredPage, StoredResult

LINK_LIFETIME = timedelta(hours=1)
_CACHING = "private, max-age=3600, immutable"
_HARMLESS = {"Content-Security-Policy": "sandbox allow-scripts"}
"""A sheet in HTML shows callers' words: whatever it held, it is no page of this service's."""


@dataclass(frozen=True, slots=True)
class SheetFile:
    key: str
    filename: str
    media_type: str
    etag: str

    @classmethod
    def of(cls, job_id: str, page: int, result: StoredResult, stored: StoredPage) -> Self:
        filename = sheet_filename(job_id, page, len(result.pages), result.extension)
        return cls(stored.key, filename, result.media_type, f'"{stored.sha256}"')


async def sheet_response(
    storage: ObjectStorage,
    sheet: SheetFile,
    request_headers: Mapping[str, str],
    disposition: Literal["inline", "attachment"],
) -> Response:
    """Raises `GridscribeError` JOB_EXPIRED where the file is gone."""
    headers = {"ETag": sheet.etag, "Cache-Control": _CACHING}
    if is_known(sheet.etag, request_headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    path = storage.local_path(sheet.key)
    if path is None and disposition == "attachment":
        return await _passed_on(storage, sheet, headers)
    if path is None:
        link = await to_thread.run_sync(storage.signed_url, sheet.key, LINK_LIFETIME)
        return RedirectResponse(str(link), 307, {"Cache-Control": "no-store"})
    try:
        found = await anyio.Path(path).stat()
    except FileNotFoundError as error:
        raise _gone() from error
    return FileResponse(
        path,
        headers={**headers, **_HARMLESS},
        media_type=sheet.media_type,
        filename=sheet.filename,
        stat_result=found,
        content_disposition_type=disposition,
    )


async def _passed_on(
    storage: ObjectStorage, sheet: SheetFile, headers: Mapping[str, str]
) -> Response:
    """The file out of a bucket, which hands it out for showing: saving it goes through here."""
    try:
        size, chunks = await storage.stream(sheet.key)
    except FileNotFoundError as error:
        raise _gone() from error
    return StreamingResponse(
        chunks,
        media_type=sheet.media_type,
        headers={
            **headers,
            **_HARMLESS,
            "Content-Disposition": f'attachment; filename="{sheet.filename}"',
            "Content-Length": str(size),
        },
    )


async def read_manifest(storage: ObjectStorage, result: StoredResult) -> Response:
    """Raises `GridscribeError` JOB_EXPIRED where the file is gone."""
    try:
        data = await storage.read(result.manifest_key)
    except FileNotFoundError as error:
        raise _gone() from error
    return Response(data, media_type="application/json", headers={"Cache-Control": _CACHING})


def _gone() -> GridscribeError:
    return GridscribeError(
        ErrorCode.JOB_EXPIRED, "the job's files are gone: it has expired or was deleted"
    )
