"""The front end's side of the store, async: accept, read, list and change jobs."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.batched_calls import BatchedCalls
from shared.errors import ErrorCode, GridscribeError
from shared.job_news import EventId, JobNews, parse_news
from shared.job_pages import JobPage, PlaceInList
from shared.job_record import (
    RECORD_FIELDS,
    RECORD_VERSION,
    SUMMARY_FIELDS,
    IdempotencyKey,
    JobInputs,
    JobRecord,
    NewJob,
    StoredJob,
    parse_record,
)
from shared.job_spec import Priority
from shared.keyspace import PREFIX, script_source
from shared.schemas import JobStatus, SourceImage, StoredUpload
from shared.settings import Settings
from shared.tenant_limits import daily_quotas, quota_error
from shared.webhooks import host_of
from shared.work_units import WorkerKind, WorkerStamp, caption_units, parse_stamps

RESERVATION_SECONDS = 30.0
"""How long an idempotency key stays taken by a request whose process has died."""

_CONNECTIONS = 64
"""Of one process to the store, at most."""

_LIST_REACH = 1000
_LIST_BYTES = 4 * 1024 * 1024
"""What one page of a list looks at and holds at most; see list.lua."""

_FIELD_NAMES = " ".join(RECORD_FIELDS)
_PRIORITY_RANK = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}


@dataclass(frozen=True, slots=True)
class CreatedJob:
    id: str
    replayed: bool
    """True where an earlier request with the same idempotency key made the job."""


class _PromptRedis(Redis):
    """Each command answers or fails in time, with all that it waits for: a connection of the pool,
    its making, and the answer have time-outs of their own, which add up."""

    seconds = 0.0

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(self.seconds):
                answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
                return await answer
        except TimeoutError as error:
            raise RedisTimeoutError(f"no answer from the store in {self.seconds:g} s") from error


def connect(settings: Settings) -> Redis:
    """A client that answers or fails within `store_timeout_seconds`."""
    redis = cast(
        "_PromptRedis",
        _PromptRedis.from_pool(
            BlockingConnectionPool.from_url(
                settings.redis_url,
                # A burst of requests takes turns.
                max_connections=_CONNECTIONS,
                timeout=settings.store_timeout_seconds,
                decode_responses=True,
                socket_timeout=settings.store_timeout_seconds,
                socket_connect_timeout=settings.store_timeout_seconds,
                # A connection that was idle may be stale; a time-out is not waited out twice.
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            )
        ),
    )
    redis.seconds = settings.store_timeout_seconds
    return redis


class JobStore:
    """Raises `redis.RedisError` or `OSError` when the store does not answer in time."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._create = redis.register_script(script_source("create"))
        self._cancel = redis.register_script(script_source("cancel"))
        self._check_quota = redis.register_script(script_source("check_quota"))
        self._retry = redis.register_script(script_source("retry"))
        self._delete = redis.register_script(script_source("delete"))
        self._list = redis.register_script(script_source("list"))
        self._reserve = redis.register_script(script_source("reserve"))
        self._release = redis.register_script(script_source("release"))
        self._view = redis.register_script(script_source("view"))
        self._views = BatchedCalls(self._view_all)
        self._save_upload = redis.register_script(script_source("save_upload"))

    async def create(self, job: NewJob, idempotency: IdempotencyKey | None = None) -> CreatedJob:
        """Accept `job`: from the moment this returns it is never lost.

        Raises `GridscribeError` with SERVICE_FULL or QUOTA_EXCEEDED when too many jobs wait or the
        day's quota is used up,
        IDEMPOTENCY_MISMATCH when the key came with another payload before, and
        IDEMPOTENCY_IN_PROGRESS while another request with it is being accepted.
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
        if job.webhook is not None:
            fields["webhook_url"] = job.webhook.url
            fields["webhook_host"] = host_of(job.webhook.url)
            fields["webhook_events"] = " ".join(job.webhook.events)
            fields["webhook_secret"] = job.webhook.secret or ""
        if job.cancel_after is not None:
            fields["cancel_after_ms"] = round(job.cancel_after.total_seconds() * 1000)
        reply = await self._create(
            keys=[PREFIX],
            args=[
                job.id,
                job.tenant,
                json.dumps(fields),
                json.dumps([image.model_dump_json() for image in job.images]),
                self._units(len(job.to_caption)),
                idempotency.key if idempotency else "",
                idempotency.fingerprint if idempotency else "",
                settings.idempotency_ttl_seconds * 1000,
                settings.max_queued_jobs,
                settings.max_queued_jobs_per_tenant,
                json.dumps(
                    {"images": len(job.images), "bytes": sum(image.bytes for image in job.images)}
                ),
                daily_quotas(settings),
            ],
        )
        outcome, job_id, *over = cast("list[str]", reply)
        match outcome:
            case "created" | "replayed":
                return CreatedJob(job_id, outcome == "replayed")
            case "mismatch":
                raise GridscribeError(
                    ErrorCode.IDEMPOTENCY_MISMATCH,
                    "this Idempotency-Key was used with a different payload; use a new key",
                )
            case "over_quota":
                raise quota_error(over)
            case "reserved":
                raise _in_progress()
            case _:
                raise _refusal(outcome, limit=job_id)

    async def reserve(self, tenant: str, key: str, job_id: str) -> None:
        """Take an idempotency key for a request that may make the job `job_id`, or keep it.

        It holds for `RESERVATION_SECONDS`. Raises `GridscribeError` IDEMPOTENCY_IN_PROGRESS while
        another request has it.
        """
        ttl_ms = round(RESERVATION_SECONDS * 1000)
        if not await self._reserve(keys=[PREFIX], args=[job_id, tenant, key, ttl_ms]):
            raise _in_progress()

    async def release(self, tenant: str, key: str, job_id: str) -> None:
        """Give an idempotency key back, unless a job came of it."""
        await self._release(keys=[PREFIX], args=[job_id, tenant, key])

    async def made_with(self, tenant: str, key: str) -> str | None:
        """The job that an idempotency key stands for."""
        made = await self._redis.hget(f"{PREFIX}idempotency:{tenant}:{key}", "job")
        return None if made is None else str(made)

    async def get(self, tenant: str, job_id: str) -> JobRecord:
        """Raises `GridscribeError`: JOB_NOT_FOUND (another tenant's too) or JOB_EXPIRED."""
        return (await self.get_stored(tenant, job_id)).record()

    async def get_stored(self, tenant: str, job_id: str) -> StoredJob:
        """The job as it lies in the store; raises as `get` does."""
        *values, rank = await self._views(job_id)
        return StoredJob(_checked(tenant, job_id, values), rank)

    async def _view_all(self, job_ids: Sequence[str]) -> Sequence[Sequence[Any]]:
        # A script, because redis-py takes twice as long over a transaction of two commands.
        views = await self._view(keys=[PREFIX], args=[_FIELD_NAMES, *job_ids])
        return cast("Sequence[Sequence[Any]]", views)

    async def inputs(self, tenant: str, job_id: str) -> JobInputs:
        """What the job was made of; raises as `get` does."""
        key = f"{PREFIX}job:{job_id}"
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(key, (*RECORD_FIELDS, "has_csv", "webhook_secret"))
            pipe.hgetall(f"{key}:images")
            (*values, has_csv, secret), images = await pipe.execute()
        record = StoredJob(_checked(tenant, job_id, values), None).record()
        return JobInputs(
            spec=record.spec.with_webhook_secret(secret or None),
            images=tuple(
                SourceImage.model_validate_json(images[str(index)])
                for index in range(record.image_count)
            ),
            has_csv=has_csv == "1",
        )

    async def news(self, tenant: str, job_id: str, after: EventId | None) -> JobNews:
        """The job and what happened to it since the event `after`; raises as `get` does."""
        stream = f"{PREFIX}job:{job_id}:events"
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(f"{PREFIX}job:{job_id}", (*RECORD_FIELDS, "last_event"))
            pipe.zrank(f"{PREFIX}queued", job_id)
            pipe.xrange(stream, count=1)
            pipe.xrange(stream, min=f"({after or EventId(0, 0)}")
            (*values, last_event), rank, first, entries = await pipe.execute()
        stored = StoredJob(_checked(tenant, job_id, values), rank)
        return parse_news(stored.record(), after, last_event, first, entries)

    async def list_jobs(
        self, tenant: str, status: JobStatus | None, limit: int, after: PlaceInList | None
    ) -> JobPage:
        """Up to `limit` jobs from behind `after`, newest first; expired ones are left out.

        A page may hold fewer, even none, with more to come: a call looks at a thousand jobs at
        most. The records come without labels and warnings.
        """
        place = ("", "") if after is None else (after.created_ms, after.job_id)
        reply = await self._list(
            keys=[PREFIX],
            args=[tenant, status or "", limit, _LIST_REACH, _LIST_BYTES, *place],
        )
        created_ms, last, *job_ids = cast("list[str]", reply)
        async with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hmget(f"{PREFIX}job:{job_id}", SUMMARY_FIELDS)
                pipe.zrank(f"{PREFIX}queued", job_id)
            replies: list[Any] = await pipe.execute()
        found = (
            (dict(zip(SUMMARY_FIELDS, values, strict=True)), rank)
            for values, rank in zip(replies[::2], replies[1::2], strict=True)
        )
        records = tuple(
            parse_record(fields, rank)
            for fields, rank in found
            # It may have gone since the script has seen it. A newer front end lists its jobs.
            if _belongs_to(fields, tenant)
            and fields["status"] != JobStatus.EXPIRED
            and int(fields["v"] or 0) <= RECORD_VERSION
        )
        return JobPage(records, PlaceInList(int(created_ms), last) if last else None)

    async def cancel(self, tenant: str, job_id: str) -> JobStatus:
        """Ask for the end of a job; returns its status afterwards (a terminal one is unchanged)."""
        status = await self._cancel(keys=[PREFIX], args=[job_id, tenant])
        if status is None:
            raise _not_found(job_id)
        return JobStatus(cast("str", status))

    async def retry(self, tenant: str, job_id: str) -> None:
        """Queue a failed or canceled job again, from its beginning.

        Raises `GridscribeError`: JOB_NOT_FOUND, JOB_EXPIRED, JOB_NOT_RETRYABLE for any other
        status, SERVICE_FULL or QUOTA_EXCEEDED.
        """
        record = await self.get(tenant, job_id)
        settings = self._settings
        reply = await self._retry(
            keys=[PREFIX],
            args=[
                job_id,
                tenant,
                self._units(record.captions_total),
                settings.max_queued_jobs,
                settings.max_queued_jobs_per_tenant,
            ],
        )
        if reply is None:
            raise _not_found(job_id)
        outcome, limit = cast("tuple[str, str]", reply)
        match outcome:
            case "retried":
                return
            case "full" | "tenant_full" | "short_of_memory":
                raise _refusal(outcome, limit)
            case _:
                raise GridscribeError(
                    ErrorCode.JOB_NOT_RETRYABLE,
                    f"the job is {outcome}; only a failed or canceled one can be retried",
                )

    async def delete(self, tenant: str, job_id: str) -> None:
        """Hide a job for good, ending it where it runs; the sweeper removes files and record.

        Raises `GridscribeError` JOB_NOT_FOUND.
        """
        if not await self._delete(keys=[PREFIX], args=[job_id, tenant]):
            raise _not_found(job_id)

    def _units(self, to_caption: int) -> str:
        return json.dumps(caption_units(to_caption, self._settings.chunk_size) or ["compose"])

    async def save_upload(
        self, tenant: str, upload_id: str, upload: StoredUpload, size: int
    ) -> datetime:
        """Remember an upload for `upload_ttl_seconds`; `size` bytes are on the quota.

        Returns until when, by the store's clock. Raises `GridscribeError` QUOTA_EXCEEDED.
        """
        reply = await self._save_upload(
            keys=[PREFIX],
            args=[
                f"{tenant}:{upload_id}",
                upload.model_dump_json(),
                upload.key,
                self._settings.upload_ttl_seconds * 1000,
                tenant,
                json.dumps({"bytes": size}),
                daily_quotas(self._settings),
            ],
        )
        if isinstance(reply, list):
            raise quota_error(reply)
        return datetime.fromtimestamp(int(reply) / 1000, UTC)

    async def get_upload(self, tenant: str, upload_id: str) -> StoredUpload:
        """Raises `GridscribeError` UNKNOWN_UPLOAD."""
        value = await self._redis.get(f"{PREFIX}upload:{tenant}:{upload_id}")
        if value is None:
            raise GridscribeError(
                ErrorCode.UNKNOWN_UPLOAD, f"there is no upload {upload_id!r}, or it has expired"
            )
        return StoredUpload.model_validate_json(value, extra="ignore")

    async def check_quota(self, tenant: str) -> None:
        """Raises `GridscribeError` QUOTA_EXCEEDED where today's is used up."""
        over = await self._check_quota(keys=[PREFIX], args=[tenant, daily_quotas(self._settings)])
        if over is not None:
            raise quota_error(over)

    async def ping(self) -> None:
        await self._redis.ping()

    async def live_workers(self) -> dict[WorkerKind, tuple[WorkerStamp, ...]]:
        """Processes whose progress stamp is younger than two leases."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.hgetall(f"{PREFIX}workers")
            (seconds, _), stamps = await pipe.execute()
        return parse_stamps(stamps, seconds, 2 * self._settings.lease_seconds)


def _checked(tenant: str, job_id: str, values: Sequence[str | None]) -> tuple[str | None, ...]:
    """The `values` of `RECORD_FIELDS`, where the tenant may see them."""
    fields = dict(zip(RECORD_FIELDS, values, strict=True))
    if not _belongs_to(fields, tenant):
        raise _not_found(job_id)
    if fields["status"] == JobStatus.EXPIRED:
        raise GridscribeError(
            ErrorCode.JOB_EXPIRED, f"job {job_id!r} has expired; its files are gone"
        )
    return tuple(values)


def _belongs_to(fields: Mapping[str, str | None], tenant: str) -> bool:
    return fields["tenant"] == tenant and not fields["deleted"]


def _not_found(job_id: str) -> GridscribeError:
    return GridscribeError(ErrorCode.JOB_NOT_FOUND, f"there is no job {job_id!r}")


def _refusal(outcome: str, limit: str) -> GridscribeError:
    if outcome == "tenant_full":
        return GridscribeError(
            ErrorCode.QUOTA_EXCEEDED,
            f"{limit} of your jobs are waiting or running already; "
            "try again when some have finished",
            retry_after=5,
        )
    if outcome == "short_of_memory":
        return GridscribeError(
            ErrorCode.SERVICE_FULL,
            f"the service's store has used {limit} % of its memory; try again later",
            retry_after=15,
        )
    return GridscribeError(
        ErrorCode.SERVICE_FULL,
        f"the service's queue is full ({limit} jobs); try again later",
        retry_after=15,
    )


def _in_progress() -> GridscribeError:
    return GridscribeError(
        ErrorCode.IDEMPOTENCY_IN_PROGRESS,
        "another request with this Idempotency-Key is still being accepted; send this one again"
        " shortly to get its job",
        retry_after=1,
    )
