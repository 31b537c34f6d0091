"""Accept, show and cancel jobs."""

import logging
from uuid import UUID

from anyio import to_thread
from uuid6 import uuid7

from api.image_intake import ImageIntake
from api.submission import Submission
from api.submission_readers import SubmissionReader
from shared.csv_labels import CsvTable, check_columns, match_rows, parse_csv
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_record import IdempotencyKey, JobRecord, NewJob
from shared.job_store import JobStore
from shared.labels import needs_caption
from shared.layout import plan_sheet
from shared.named_vocabularies import NamedVocabularies
from shared.object_storage import ObjectStorage
from shared.schemas import JobSpec, JobStatus, SourceImage, StoredPage, StoredResult
from shared.settings import Settings
from shared.templates import apply_template

_log = logging.getLogger(__name__)


class JobService:
    """Raises `GridscribeError` for what a caller can act on, and the store's and the storage's own
    errors when they cannot be reached."""

    def __init__(self, store: JobStore, storage: ObjectStorage, settings: Settings) -> None:
        self._store = store
        self._storage = storage
        self._settings = settings

    async def submit(
        self, tenant: str, read: SubmissionReader, idempotency_key: str | None = None
    ) -> JobRecord:
        """Accept a job: once this returns it is never lost. A refused one leaves nothing behind."""
        await self._store.ping()  # before the files come: nothing can be accepted without the store
        intake = ImageIntake(self._storage, self._settings, str(uuid7()))
        async with intake.discarded_on(BaseException):
            submission = await read(intake)
            job = await to_thread.run_sync(self._plan, tenant, submission)
        idempotency = (
            IdempotencyKey(idempotency_key, submission.fingerprint()) if idempotency_key else None
        )
        # Only a plain refusal means that there is no job. After a time-out there may be one, and
        # it needs its files; if there is none, the sweep for orphans takes them.
        async with intake.discarded_on(GridscribeError):
            created = await self._store.create(job, idempotency)
        if created.replayed:
            await intake.discard()
        else:
            _log.info("accepted job %s with %d images", job.id, len(job.images))
        return await self._store.get(tenant, created.id)

    async def get(self, tenant: str, job_id: str) -> JobRecord:
        return await self._store.get(tenant, _checked(job_id))

    async def cancel(self, tenant: str, job_id: str) -> JobRecord:
        """The job as it is after asking for its end.

        Raises `GridscribeError` JOB_NOT_CANCELABLE for one that has ended otherwise already.
        """
        status = await self._store.cancel(tenant, _checked(job_id))
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

    def _plan(self, tenant: str, submission: Submission) -> NewJob:
        """Everything that can be found wrong before a worker looks at the job."""
        spec = apply_template(submission.spec)
        check_model(spec, self._settings)
        check_vocabulary(spec, self._settings)
        images, warnings = submission.images, submission.warnings
        table = None if submission.csv is None else _parse_csv_part(submission.csv)
        check_columns(spec, table, [image.metadata for image in images])
        if table is not None:
            match = match_rows(table, [image.name for image in images])
            images = tuple(
                image.model_copy(update={"csv_row": row})
                for image, row in zip(images, match.rows, strict=True)
            )
            warnings += match.warnings
        plan_sheet(spec, len(images), max_pixels=self._settings.max_sheet_pixels)
        return NewJob(
            id=submission.job_id,
            tenant=tenant,
            spec=spec,
            images=images,
            to_caption=_to_caption(images, spec),
            has_csv=table is not None,
            warnings=warnings,
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


def _parse_csv_part(data: bytes) -> CsvTable:
    try:
        return parse_csv(data)
    except GridscribeError as error:
        location = ErrorLocation("csv", error.detail)
        raise GridscribeError(error.code, error.detail, errors=[location]) from error


def _to_caption(images: tuple[SourceImage, ...], spec: JobSpec) -> tuple[int, ...]:
    return tuple(index for index, image in enumerate(images) if needs_caption(image, spec))


def _checked(job_id: str) -> str:
    """Only an id that could be ours becomes a part of a key."""
    try:
        if str(UUID(job_id)) == job_id:
            return job_id
    except ValueError:
        pass
    raise GridscribeError(ErrorCode.JOB_NOT_FOUND, f"there is no job {job_id[:64]!r}")
