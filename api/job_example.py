"""One job, finished and not, for the OpenAPI description."""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.job_spec import JobSpec
from shared.schemas import (
    Job,
    JobMetrics,
    JobResult,
    JobStatus,
    JobUrls,
    LabeledImage,
    LabelSource,
    Progress,
    Stage,
)

_CREATED = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
_FINISHED = _CREATED + timedelta(seconds=3)
_URL = "http://127.0.0.1:8000/v1/jobs/019ceb98-cc48-7bd1-8e2c-9d4f5a6b7c8d"

_FINISHED_JOB = Job(
    id=_URL.rpartition("/")[2],
    status=JobStatus.SUCCEEDED,
    created_at=_CREATED,
    started_at=_CREATED + timedelta(milliseconds=40),
    finished_at=_FINISHED,
    expires_at=_FINISHED + timedelta(days=7),
    progress=Progress(stage=Stage.DONE, done=2, total=2),
    attempts=1,
    spec=JobSpec(use_clip=True, cols=2),
    result=JobResult(
        url=f"{_URL}/result",
        width=542,
        height=310,
        pages=1,
        bytes=204_118,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        media_type="image/png",
    ),
    images=(
        LabeledImage(
            index=0, name="fox.png", label="red fox", label_source=LabelSource.CLIP, confidence=0.93
        ),
        LabeledImage(index=1, name="owl.png", label="A snowy owl", label_source=LabelSource.CSV),
    ),
    metrics=JobMetrics(queue_ms=40, caption_ms=310, compose_ms=180),
    urls=JobUrls(
        self=_URL,
        cancel=f"{_URL}/cancel",
        events=f"{_URL}/events",
        result=f"{_URL}/result",
        manifest=f"{_URL}/manifest",
        deliveries=f"{_URL}/deliveries",
    ),
    metadata={"shot": 7},
)


def finished_job(**changes: Any) -> dict[str, Any]:
    """With some of its fields changed."""
    job = _FINISHED_JOB.model_copy(update=changes)
    return job.model_dump(mode="json", exclude_unset=True)


def unfinished_job(status: JobStatus = JobStatus.QUEUED) -> dict[str, Any]:
    """For the `content` of an answer: the same job before it was done."""
    job = finished_job(
        status=status,
        queue_position=1 if status is JobStatus.QUEUED else None,
        progress=Progress(stage=Stage.WAITING, done=0, total=2),
        attempts=0,
        started_at=None,
        finished_at=None,
        expires_at=None,
        result=None,
        images=(),
        metrics=JobMetrics(),
    )
    return {"application/json": {"example": job}}
