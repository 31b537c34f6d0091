"""Files sent ahead of the job that uses them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO
from uuid import UUID

from anyio import to_thread
from uuid6 import uuid7

from api.cleanup import discard
from api.file_names import clean_name
from api.image_storing import store_image
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_store import JobStore
from shared.object_storage import ObjectStorage, upload_key
from shared.schemas import PresignedUpload, StoredUpload, Upload
from shared.settings import Settings

LINK_LIFETIME = timedelta(hours=1)
"""How long a link for putting is good."""


class UploadService:
    def __init__(self, store: JobStore, storage: ObjectStorage, settings: Settings) -> None:
        self._store = store
        self._storage = storage
        self._settings = settings

    async def save(self, tenant: str, filename: str | None, chunks: AsyncIterator[bytes]) -> Upload:
        """Store one image; raises `GridscribeError` as a job's images do, naming `file`."""
        # Before the bytes come: nothing can be kept without the store.
        await self._store.check_quota(tenant)
        upload_id = str(uuid7())
        key = upload_key(tenant, upload_id)
        try:
            name = clean_name(filename, "image")
            image = await store_image(self._storage, self._settings, key, name, chunks)
            upload = StoredUpload(name=name, key=key)
            expires_at = await self._store.save_upload(tenant, upload_id, upload, image.bytes)
        except BaseException as error:
            await discard(self._storage.delete, key)
            if isinstance(error, GridscribeError) and not error.errors:
                raise _in_file(error) from error
            raise
        return Upload(
            upload_id=upload_id,
            expires_at=expires_at,
            **image.model_dump(
                include={"name", "media_type", "width", "height", "bytes", "sha256"}
            ),
        )

    async def presign(self, tenant: str, filename: str | None) -> PresignedUpload:
        """A link for one file past this service; it is looked at by the job that uses it.

        Raises `GridscribeError` PRESIGN_NOT_OFFERED where files are kept in a folder.
        """
        upload_id, name = str(uuid7()), clean_name(filename, "image")
        lifetime = timedelta(seconds=self._settings.upload_ttl_seconds)
        key, link_lifetime = upload_key(tenant, upload_id), min(LINK_LIFETIME, lifetime)
        # By this host's clock, as the link itself: the bucket compares it with its own.
        url_expires_at = datetime.now(UTC) + link_lifetime
        link = await to_thread.run_sync(self._storage.signed_url, key, link_lifetime, "PUT")
        if link is None:
            raise GridscribeError(
                ErrorCode.PRESIGN_NOT_OFFERED,
                "this service keeps files in a folder, which has no links; send the file itself"
                " with POST /v1/uploads",
            )
        # Remembered before anything can be put there, so that the sweeper knows of all of it.
        # Its bytes count with the job that uses it: nobody knows yet how many there will be.
        upload = StoredUpload(name=name, key=key)
        expires_at = await self._store.save_upload(tenant, upload_id, upload, 0)
        return PresignedUpload(
            upload_id=upload_id,
            name=name,
            url=link,
            url_expires_at=url_expires_at,
            expires_at=expires_at,
            max_bytes=self._settings.max_file_bytes,
        )

    async def open(
        self, tenant: str, upload_id: str, location: str
    ) -> tuple[StoredUpload, BinaryIO]:
        """An earlier upload and its bytes.

        Raises `GridscribeError` UNKNOWN_UPLOAD, naming `location`, also for one that has expired.
        """
        try:
            UUID(upload_id)  # nothing else may become a part of a key
            upload = await self._store.get_upload(tenant, upload_id)
            return upload, await to_thread.run_sync(self._storage.open, upload.key)
        except (ValueError, FileNotFoundError, GridscribeError) as error:
            detail = f"there is no upload {upload_id[:64]!r}, or it has expired; send it again"
            raise GridscribeError(
                ErrorCode.UNKNOWN_UPLOAD,
                f"{location}: {detail}",
                errors=[ErrorLocation(location, detail)],
            ) from error


def _in_file(error: GridscribeError) -> GridscribeError:
    return GridscribeError(
        error.code, f"file: {error.detail}", errors=[ErrorLocation("file", error.detail)]
    )
