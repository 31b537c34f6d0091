"""Accept, show, list and change jobs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from anyio import to_thread
from uuid6 import uuid7

from api.image_intake import ImageIntake
from api.key_reservation import reserved
from api.submission import Submission
from api.submission_readers import SubmissionReader
from shared.axes import AUTO, foreseen_axes
from shared.csv_labels import CsvTable, check_columns, match_rows, parse_csv
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.failpoints import failpoint
from shared.job_pages import JobPage, PlaceInList
from shared.job_record import IdempotencyKey, JobInputs, JobRecord, NewJob, StoredJob
from shared.job_spec import CsvEncoding, JobSpec, Template
from shared.job_store import JobStore
from shared.labels import NOTHING, compares_features, known_metadata, needs_caption
from shared.layout import plan_sheet
from shared.logging import bound
from shared.named_vocabularies import NamedVocabularies
from shared.object_storage import ObjectStorage
from shared.schemas import JobStatus, SourceImage, StoredPage, StoredResult
from shared.settings import Settings
from shared.template_store import TemplateStore
from shared.templates import apply_template
from shared.url_guard import UrlGuard
from shared.webhooks import check_receiver

_log = logging.getLogger(__name__)


class JobService:
    """Raises `GridscribeError` for what a caller can act on, and the store's and the storage's own
    errors when they cannot be reached."""

    def __init__(
        self,
        store: JobStore,
        templates: TemplateStore,
        storage: ObjectStorage,
        settings: Settings,
    ) -> None:
        self._store = store
        self._templates = templates
        self._storage = storage
        self._settings = settings
        self._guard = UrlGuard.of(settings)

    async def submit(
        self,
        tenant: str,
        read: SubmissionReader,
        idempotency_key: str | None = None,
        cancel_after: timedelta | None = None,
    ) -> JobRecord:
        """Accept a job: once this returns it is never lost. A refused one leaves nothing behind."""
        # Before the files come: nothing can be accepted without the store.
        if idempotency_key is None:
            await self._store.check_quota(tenant)
        else:
            await self._store.ping()  # a repeat is answered whatever its tenant has used since
        intake = ImageIntake(self._storage, self._settings, str(uuid7()))
        async with reserved(self._store, tenant, idempotency_key, intake.job_id):
            return await self._accept(tenant, read, intake, idempotency_key, cancel_after)

    async def _accept(
        self,
        tenant: str,
        read: SubmissionReader,
        intake: ImageIntake,
        idempotency_key: str | None,
        cancel_after: timedelta | None,
    ) -> JobRecord:
        async with intake.discarded_on(BaseException):
            submission = await read(intake)
            own = await self._templates.for_spec(tenant, submission.spec.template)
            job = await to_thread.run_sync(self._plan, tenant, submission, own)
            job = replace(job, cancel_after=cancel_after)
        idempotency = (
            IdempotencyKey(idempotency_key, submission.fingerprint()) if idempotency_key else None
        )
        # Only a plain refusal means that there is no job. After a time-out there may be one, and
        # it needs its files; if there is none, the sweep for orphans takes them.
        async with intake.discarded_on(GridscribeError):
            failpoint("create.before")
            created = await self._store.create(job, idempotency)
            failpoint("create.before_reply")
        if created.replayed:
            await intake.discard()
        else:
            with bound(job_id=job.id):
                _log.info("accepted a job with %d images", len(job.images))
        return await self._store.get(tenant, created.id)

    async def get(self, tenant: str, job_id: str) -> JobRecord:
        return await self._store.get(tenant, checked_id(job_id))

    async def made_with(self, tenant: str, idempotency_key: str) -> str | None:
        """The id of the job that came of an earlier submission with this key."""
        return await self._store.made_with(tenant, idempotency_key)

    async def get_stored(self, tenant: str, job_id: str) -> StoredJob:
        return await self._store.get_stored(tenant, checked_id(job_id))

    async def inputs(self, tenant: str, job_id: str) -> JobInputs:
        return await self._store.inputs(tenant, checked_id(job_id))

    async def list_jobs(
        self, tenant: str, status: JobStatus | None, limit: int, cursor: str | None
    ) -> JobPage:
        """Raises `GridscribeError` INVALID_REQUEST for a cursor that no page gave."""
        after = None if cursor is None else PlaceInList.of_cursor(cursor)
        return await self._store.list_jobs(tenant, status, limit, after)

    async def retry(self, tenant: str, job_id: str) -> JobRecord:
        """The job, queued again from its beginning.

        Raises `GridscribeError` JOB_NOT_RETRYABLE unless it failed or was canceled.
        """
        await self._store.retry(tenant, checked_id(job_id))
        _log.info("job %s is tried again", job_id)
        return await self._store.get(tenant, job_id)

    async def delete(self, tenant: str, job_id: str) -> None:
        """From here on the job is unknown; the sweeper removes its files and its record."""
        await self._store.delete(tenant, checked_id(job_id))
        _log.info("deleted job %s", job_id)

    async def cancel(self, tenant: str, job_id: str) -> JobRecord:
        """The job as it is after asking for its end.

        Raises `GridscribeError` JOB_NOT_CANCELABLE for one that has ended otherwise already.
        """
        status = await self._store.cancel(tenant, checked_id(job_id))
        record = await self._store.get(tenant, job_id)
        if status.is_terminal and status is not JobStatus.CANCELED:
            raise GridscribeError(
                ErrorCode.JOB_NOT_CANCELABLE, f"the job ended as {status} already"
            )
        return record

    async def result(self, tenant: str, job_id: str) -> StoredResult:
        """Raises `GridscribeError` RESULT_NOT_READY until the job has succeeded."""
        record = await self.get(tenant, job_id)
        if record.result is not None:
            return record.result
        if record.status.is_terminal:
            raise GridscribeError(
                ErrorCode.RESULT_NOT_READY, f"the job ended as {record.status}: it has no result"
            )
        raise GridscribeError(
            ErrorCode.RESULT_NOT_READY,
            f"the job is {record.status}; ask again when its status is 'succeeded'",
            retry_after=1,
        )

    async def result_page(
        self, tenant: str, job_id: str, page: int
    ) -> tuple[StoredResult, StoredPage]:
        result = await self.result(tenant, job_id)
        if page > len(result.pages):
            detail = f"there is no page {page}; the result has {len(result.pages)}"
            raise GridscribeError(
                ErrorCode.INVALID_REQUEST, detail, errors=[ErrorLocation("page", detail)]
            )
        return result, result.pages[page - 1]

    def _plan(self, tenant: str, submission: Submission, own: Mapping[str, Template]) -> NewJob:
        """Everything that can be found wrong before a worker looks at the job."""
        spec = apply_template(submission.spec, own)
        check_model(spec, self._settings)
        check_vocabulary(spec, self._settings)
        if spec.webhook is not None:
            check_receiver(self._guard, spec.webhook.url, "spec.webhook.url")
        images, warnings = submission.images, submission.warnings
        table = (
            None if submission.csv is None else _parse_csv_part(submission.csv, spec.csv_encoding)
        )
        known = _columns_of(images) if submission.has_matched_rows else table
        check_columns(spec, known, [image.metadata for image in images])
        if table is not None:
            match = match_rows(table, [image.name for image in images])
            images = tuple(
                image.model_copy(update={"csv_row": row})
                for image, row in zip(images, match.rows, strict=True)
            )
            warnings += match.warnings
        axes = foreseen_axes(spec.axes, [known_metadata(image, NOTHING) for image in images])
        if axes or spec.axes in (None, AUTO):
            max_pixels = self._settings.max_sheet_pixels
            plan_sheet(spec, len(images), max_pixels=max_pixels, axes=axes)
        return NewJob(
            id=submission.job_id,
            tenant=tenant,
            spec=spec.with_webhook_secret(None),
            images=images,
            to_caption=_to_caption(images, spec),
            has_csv=table is not None or submission.has_matched_rows,
            warnings=warnings,
            webhook=spec.webhook,
        )


def check_model(spec: JobSpec, settings: Settings) -> None:
    """Raises `GridscribeError` MODEL_NOT_OFFERED, naming the models that are."""
    if spec.clip_model is not None and spec.clip_model not in settings.clip_models:
        detail = (
            f"{spec.clip_model!r} is not offered here; offered: {', '.join(settings.clip_models)}"
        )
        raise GridscribeError(
            ErrorCode.MODEL_NOT_OFFERED,
            f"spec.clip_model: {detail}",
            errors=[ErrorLocation("spec.clip_model", detail)],
        )


def check_vocabulary(spec: JobSpec, settings: Settings) -> None:
    """Raises `GridscribeError` UNKNOWN_VOCABULARY, naming those there are."""
    if spec.vocabulary is not None:
        NamedVocabularies(settings.vocabularies_dir).get(spec.vocabulary)


def _parse_csv_part(data: bytes, encoding: CsvEncoding | None) -> CsvTable:
    try:
        return parse_csv(data, encoding)
    except GridscribeError as error:
        location = ErrorLocation("csv", error.detail)
        raise GridscribeError(error.code, error.detail, errors=[location]) from error


def _columns_of(images: Sequence[SourceImage]) -> CsvTable | None:
    """Of a CSV whose rows are with the images; None where none was for them."""
    row = next((image.csv_row for image in images if image.csv_row is not None), None)
    return None if row is None else CsvTable(tuple(row), ())


def _to_caption(images: tuple[SourceImage, ...], spec: JobSpec) -> tuple[int, ...]:
    compared = compares_features(spec)
    return tuple(
        index for index, image in enumerate(images) if compared or needs_caption(image, spec)
    )


def checked_id(job_id: str) -> str:
    """Only an id that could be ours becomes a part of a key; else raises JOB_NOT_FOUND."""
    try:
        if str(UUID(job_id)) == job_id:
            return job_id
    except ValueError:
        pass
    raise GridscribeError(ErrorCode.JOB_NOT_FOUND, f"there is no job {job_id[:64]!r}")
