"""What a caller sees of a job."""

from datetime import datetime

from shared.job_record import JobFailure, JobRecord
from shared.problems import STATUSES, problem
from shared.schemas import (
    Job,
    JobMetrics,
    JobProgress,
    JobResult,
    JobStatus,
    JobSummary,
    JobUrls,
    Problem,
    Progress,
    Stage,
    StoredResult,
)


def job_view(record: JobRecord, base_url: str) -> Job:
    """`base_url` is the address under which the caller reached us, without a slash at its end."""
    return Job(
        **dict(job_summary(record, base_url)),
        spec=record.spec,
        images=record.labeled,
        warnings=record.warnings,
    )


def job_summary(record: JobRecord, base_url: str) -> JobSummary:
    url = f"{base_url}/v1/jobs/{record.id}"
    return JobSummary(
        id=record.id,
        status=record.status,
        created_at=record.created_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        expires_at=record.expires_at,
        queue_position=record.queue_position,
        progress=_progress(record),
        attempts=record.attempts,
        result=None if record.result is None else _result(record.result, url),
        error=None if record.failure is None else _error(record.failure, record.id),
        metrics=_metrics(record),
        urls=JobUrls(
            self=url,
            cancel=f"{url}/cancel",
            events=f"{url}/events",
            result=f"{url}/result",
            manifest=f"{url}/manifest",
            deliveries=f"{url}/deliveries",
        ),
        metadata=record.spec.metadata,
    )


def job_progress(record: JobRecord) -> JobProgress:
    return JobProgress(status=record.status, progress=_progress(record))


def _progress(record: JobRecord) -> Progress:
    match record.stage:
        case Stage.WAITING:
            done, total = 0, record.image_count
        case Stage.CAPTIONING:
            done, total = record.captions_done, record.captions_total
        case Stage.COMPOSING:
            done, total = record.composed, record.image_count
        case Stage.DONE:
            succeeded = record.status is JobStatus.SUCCEEDED
            done = record.image_count if succeeded else record.composed
            total = record.image_count
    return Progress(stage=record.stage, done=done, total=total)


def _result(stored: StoredResult, url: str) -> JobResult:
    """Measures of the first page; the address does not expire: it leads to a fresh link."""
    first = stored.pages[0]
    return JobResult(
        url=f"{url}/result",
        width=first.width,
        height=first.height,
        pages=len(stored.pages),
        bytes=first.bytes,
        sha256=first.sha256,
        media_type=stored.media_type,
    )


def _error(failure: JobFailure, job_id: str) -> Problem:
    return problem(
        failure.code, STATUSES[failure.code], failure.detail, instance=f"/v1/jobs/{job_id}"
    )


def _metrics(record: JobRecord) -> JobMetrics:
    composed_from = record.captioned_at or record.started_at
    return JobMetrics(
        queue_ms=_milliseconds(record.queued_at, record.started_at),
        caption_ms=_milliseconds(record.started_at, record.captioned_at)
        if record.captions_total
        else None,
        compose_ms=_milliseconds(composed_from, record.finished_at) if record.result else None,
    )


def _milliseconds(begin: datetime | None, end: datetime | None) -> int | None:
    if begin is None or end is None:
        return None
    return max(0, round((end - begin).total_seconds() * 1000))
