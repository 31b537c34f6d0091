"""The front end's side of the store, async: accept, read and cancel jobs."""

import json
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.errors import ErrorCode, GridscribeError
from shared.job_record import (
    RECORD_FIELDS,
    RECORD_VERSION,
    IdempotencyKey,
    JobRecord,
    NewJob,
    parse_record,
)
from shared.keyspace import PREFIX, script_source
from shared.schemas import JobStatus, Priority, StoredUpload
from shared.settings import Settings
from shared.work_units import WorkerKind, WorkerStamp, caption_units, parse_stamps

_FIELD_NAMES = " ".join(RECORD_FIELDS)
_PRIORITY_RANK = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}


@dataclass(frozen=True, slots=True)
class CreatedJob:
    id: str
    replayed: bool
    """True where an earlier request with the same idempotency key made the job."""


def connect(settings: Settings) -> Redis:
    """A client that answers or fails within `store_timeout_seconds`."""
    return Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_timeout=settings.store_timeout_seconds,
        socket_connect_timeout=settings.store_timeout_seconds,
        # A connection that was idle may be stale; a time-out is not waited out twice.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )


class JobStore:
    """Raises `redis.RedisError` or `OSError` when the store does not answer in time."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._create = redis.register_script(script_source("create"))
        self._cancel = redis.register_script(script_source("cancel"))
        self._view = redis.register_script(script_source("view"))
        self._save_upload = redis.register_script(script_source("save_upload"))

    async def create(self, job: NewJob, idempotency: IdempotencyKey | None = None) -> CreatedJob:
        """Accept `job`: from the moment this returns it is never lost.

        Raises `GridscribeError` with SERVICE_FULL or QUOTA_EXCEEDED when too many jobs wait, and
        IDEMPOTENCY_MISMATCH when the key came with another payload before.
        """
        settings = self._settings
        fields: dict[str, str | int] = {
            "v": RECORD_VERSION,
            "spec": job.spec.model_dump_json(exclude_unset=True),
            "image_count": len(job.images),
            "to_caption": json.dumps(job.to_caption),
            "captions_total": len(job.to_caption),
            "has_csv": int(job.has_csv),
            "warnings": json.dumps([w.model_dump() for w in job.warnings]),
            "ttl_ms": (job.spec.ttl_seconds or settings.job_ttl_seconds) * 1000,
            "priority_rank": _PRIORITY_RANK[job.spec.priority],
        }
        units = caption_units(len(job.to_caption), settings.chunk_size) or ["compose"]
        reply = await self._create(
            keys=[PREFIX],
            args=[
                job.id,
                job.tenant,
                json.dumps(fields),
                json.dumps([image.model_dump_json() for image in job.images]),
                json.dumps(units),
                idempotency.key if idempotency else "",
                idempotency.fingerprint if idempotency else "",
                settings.idempotency_ttl_seconds * 1000,
                settings.max_queued_jobs,
                settings.max_queued_jobs_per_tenant,
            ],
        )
        outcome, job_id = cast("tuple[str, str]", reply)
        match outcome:
            case "created" | "replayed":
                return CreatedJob(job_id, outcome == "replayed")
            case "mismatch":
                raise GridscribeError(
                    ErrorCode.IDEMPOTENCY_MISMATCH,
                    "this Idempotency-Key was used with a different payload; use a new key",
                )
            case "tenant_full":
                raise GridscribeError(
                    ErrorCode.QUOTA_EXCEEDED,
                    f"{settings.max_queued_jobs_per_tenant} of your jobs are waiting or running "
                    "already; try again when some have finished",
                    retry_after=5,
                )
            case _:
                raise GridscribeError(
                    ErrorCode.SERVICE_FULL,
                    f"the service's queue is full ({settings.max_queued_jobs} jobs); "
                    "try again later",
                    retry_after=15,
                )

    async def get(self, tenant: str, job_id: str) -> JobRecord:
        """Raises `GridscribeError`: JOB_NOT_FOUND (another tenant's too) or JOB_EXPIRED."""
        # A script, because redis-py takes twice as long over a transaction of two commands.
        *values, rank = await self._view(keys=[PREFIX], args=[job_id, _FIELD_NAMES])
        fields = dict(zip(RECORD_FIELDS, values, strict=True))
        if fields["tenant"] != tenant:
            raise GridscribeError(ErrorCode.JOB_NOT_FOUND, f"there is no job {job_id!r}")
        if fields["status"] == JobStatus.EXPIRED:
            raise GridscribeError(
                ErrorCode.JOB_EXPIRED, f"job {job_id!r} has expired; its files are gone"
            )
        return parse_record(fields, None if rank is None else rank + 1)

    async def cancel(self, tenant: str, job_id: str) -> JobStatus:
        """Ask for the end of a job; returns its status afterwards (a terminal one is unchanged)."""
        status = await self._cancel(keys=[PREFIX], args=[job_id, tenant])
        if status is None:
            raise GridscribeError(ErrorCode.JOB_NOT_FOUND, f"there is no job {job_id!r}")
        return JobStatus(cast("str", status))

    async def save_upload(self, tenant: str, upload_id: str, upload: StoredUpload) -> None:
        """Remember an upload until `upload_ttl_seconds` are over."""
        await self._save_upload(
            keys=[PREFIX],
            args=[
                f"{tenant}:{upload_id}",
                upload.model_dump_json(),
                upload.key,
                self._settings.upload_ttl_seconds * 1000,
            ],
        )

    async def get_upload(self, tenant: str, upload_id: str) -> StoredUpload:
        """Raises `GridscribeError` UNKNOWN_UPLOAD."""
        value = await self._redis.get(f"{PREFIX}upload:{tenant}:{upload_id}")
        if value is None:
            raise GridscribeError(
                ErrorCode.UNKNOWN_UPLOAD, f"there is no upload {upload_id!r}, or it has expired"
            )
        return StoredUpload.model_validate_json(value, extra="ignore")

    async def ping(self) -> None:
        await self._redis.ping()

    async def live_workers(self) -> dict[WorkerKind, tuple[WorkerStamp, ...]]:
        """Processes whose progress stamp is younger than two leases."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.hgetall(f"{PREFIX}workers")
            (seconds, _), stamps = await pipe.execute()
        return parse_stamps(stamps, seconds, 2 * self._settings.lease_seconds)
