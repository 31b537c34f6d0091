"""The back end's side of the store: grant, begin, keep, commit or give up units of work.

Each step is one Lua script, so a process may die between any two lines here and nothing is lost:
what it held comes back when its lease ends (docs/architecture.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, cast

from pydantic import TypeAdapter
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.commands.core import Script
from redis.retry import Retry

from shared.counters import COUNTERS, Counters, field_of
from shared.errors import GridscribeError
from shared.job_record import RECORD_VERSION
from shared.job_spec import JobSpec
from shared.keyspace import PREFIX, script_source
from shared.schemas import (
    ImageCaption,
    JobStatus,
    JobWarning,
    LabeledImage,
    SourceImage,
    StoredResult,
)
from shared.settings import Settings
from shared.work_units import Ticket, WorkerKind, WorkerStamp, parse_stamps

_warnings = TypeAdapter(tuple[JobWarning, ...])
_labeled = TypeAdapter(tuple[LabeledImage, ...])
_indices = TypeAdapter(tuple[int, ...])

TOMBSTONE_SECONDS = 30 * 24 * 3600
"""How long an expired job is answered with 410 rather than 404."""

_DEFERRED_MS = 5000

_SIGHTINGS_KEPT_MS = 7 * 24 * 3600 * 1000


class Hold(StrEnum):
    """What a beat answers."""

    HELD = "held"
    CANCELED = "canceled"
    LOST = "lost"


class Commit(StrEnum):
    """What became of a finished attempt; only COMMITTED counts."""

    COMMITTED = "committed"
    CANCELED = "canceled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class CaptionWork:
    """A begun caption unit: the job's spec and the images of its positions, in order."""

    spec: JobSpec
    images: tuple[SourceImage, ...]


@dataclass(frozen=True, slots=True)
class ComposeWork:
    """A begun compose unit: all images, and the captions of those that were to be captioned."""

    spec: JobSpec
    images: tuple[SourceImage, ...]
    captions: Mapping[int, ImageCaption]
    """Index of an image to its caption."""
    warnings: tuple[JobWarning, ...]
    """Found on submission."""
    has_csv: bool


class JobLifecycle:
    """Raises `redis.RedisError` when the store cannot be reached."""

    def __init__(self, redis: Redis, settings: Settings, owner: str) -> None:
        self._redis = redis
        self._settings = settings
        self.owner = owner
        """Names this process; a lease belongs to one owner."""
        self._lease_ms = round(settings.lease_seconds * 1000)
        self._scripts: dict[str, Script] = {}

    def _run(self, name: str, *args: str | int | float) -> Any:
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._redis.register_script(script_source(name))
        return script(keys=[PREFIX], args=list(args))

    def _run_for(self, name: str, ticket: Ticket, *args: str | int | float) -> Any:
        return self._run(name, ticket.job_id, ticket.unit, ticket.attempt, self.owner, *args)

    # --- The dispatcher's steps -----------------------------------------------------------------

    def dispatch(self, kind: WorkerKind, room: int, reserved: int = 0) -> list[Ticket]:
        """Take back what ran out; lease up to `room` due units in turns over tenants and jobs.

        The last `reserved` of them only to tenants who hold no lease of the kind.
        """
        settings = self._settings
        window, attempts = settings.job_window, settings.max_attempts
        reply = self._run("dispatch", kind, room, reserved, window, self._lease_ms, attempts)
        return [Ticket(job_id, unit, int(attempt)) for job_id, unit, attempt in reply]

    def cancel_overdue(self, limit: int = 100) -> list[str]:
        """Cancel jobs that are not over by the time their callers set; returns their ids."""
        return cast("list[str]", self._run("cancel_overdue", limit))

    def leased(self, kind: WorkerKind) -> int:
        """How many units of a kind are out."""
        return self._redis.zcard(f"{PREFIX}leases:{kind}")

    def wait_for_work(self, seconds: float) -> None:
        """Return as soon as something became due, or after `seconds`."""
        self._redis.blpop([f"{PREFIX}wake"], timeout=seconds)

    def live_workers(self) -> dict[WorkerKind, tuple[WorkerStamp, ...]]:
        with self._redis.pipeline() as pipe:
            pipe.time()
            pipe.hgetall(f"{PREFIX}workers")
            (seconds, _), stamps = pipe.execute()
        return parse_stamps(stamps, seconds, 2 * self._settings.lease_seconds)

    def stamp(self, stamp: WorkerStamp) -> None:
        """Leave a sign of progress; its time is Redis's."""
        self._run("stamp", self.owner, stamp.model_dump_json(), 20 * self._lease_ms)

    def bring_counts(self, counters: Counters) -> None:
        """Add what this process has counted to everybody's numbers."""
        with counters.taken() as counts, self._redis.pipeline() as pipe:
            for field, amount in counts.items():
                pipe.hincrby(COUNTERS, field, amount)
            pipe.execute()

    def count_dropped(self, reason: str) -> None:
        """Count a dropped message, at once: a forked child has nobody to bring its counts."""
        self._redis.hincrby(COUNTERS, field_of("messages_dropped", reason), 1)

    # --- A worker's steps -----------------------------------------------------------------------

    def start_captions(self, ticket: Ticket) -> CaptionWork | None:
        """Begin an attempt; None when it is not (or no longer) the one that was granted."""
        reply = self._run_for("start", ticket, self._lease_ms, RECORD_VERSION)
        if reply is None:
            return None
        spec, *images = reply
        return CaptionWork(
            JobSpec.model_validate_json(spec),
            tuple(SourceImage.model_validate_json(image) for image in images),
        )

    def start_compose(self, ticket: Ticket) -> ComposeWork | None:
        """Begin an attempt; None when it is not (or no longer) the one that was granted."""
        reply = self._run_for("start", ticket, self._lease_ms, RECORD_VERSION)
        if reply is None:
            return None
        key = f"{PREFIX}job:{ticket.job_id}"
        with self._redis.pipeline() as pipe:
            pipe.hgetall(f"{key}:images")
            pipe.hgetall(f"{key}:captions")
            pipe.hmget(key, "to_caption", "warnings", "has_csv")
            images, captions, (to_caption, warnings, has_csv) = pipe.execute()
        positions = _indices.validate_json(to_caption)
        return ComposeWork(
            JobSpec.model_validate_json(reply[0]),
            tuple(
                SourceImage.model_validate_json(images[str(index)]) for index in range(len(images))
            ),
            {
                positions[int(position)]: ImageCaption.model_validate_json(caption)
                for position, caption in captions.items()
            },
            _warnings.validate_json(warnings),
            has_csv == "1",
        )

    def beat(self, ticket: Ticket, done: int = 0) -> Hold:
        """Extend this attempt's lease; `done` is the number of pictures composed so far."""
        return Hold(self._run_for("beat", ticket, self._lease_ms, done))

    def commit_captions(self, ticket: Ticket, captions: Sequence[ImageCaption]) -> Commit:
        """Count this attempt, once; the last chunk makes composing due in the same step."""
        values = [caption.model_dump_json(exclude_defaults=True) for caption in captions]
        return Commit(self._run_for("commit_captions", ticket, *values))

    def commit_sheet(
        self,
        ticket: Ticket,
        result: StoredResult,
        labeled: tuple[LabeledImage, ...],
        warnings: tuple[JobWarning, ...],
    ) -> Commit:
        """End the job as succeeded, unless a cancel was answered before."""
        return Commit(
            self._run_for(
                "commit_sheet",
                ticket,
                result.model_dump_json(),
                _labeled.dump_json(labeled, exclude_none=True).decode(),
                _warnings.dump_json(warnings, exclude_none=True).decode(),
                len(labeled),
            )
        )

    def fail_attempt(self, ticket: Ticket, detail: str) -> None:
        """Have the unit tried again; after `max_attempts` a chunk is halved and a sheet fails."""
        self._run_for("fail", ticket, "", detail, self._settings.max_attempts)

    def defer_attempt(self, ticket: Ticket) -> None:
        """Have the unit tried again in a while, as often as it takes: nothing is wrong with it."""
        self._run_for("defer", ticket, _DEFERRED_MS, self._settings.max_attempts)

    def fail_job(self, ticket: Ticket, error: GridscribeError) -> None:
        """End the job: trying again would not help."""
        self._run_for("fail", ticket, error.code, error.detail, self._settings.max_attempts)

    def yield_unit(self, ticket: Ticket) -> None:
        """Give a unit back without fault: its job was canceled, or this process is stopping."""
        self._run_for("yield_unit", ticket, self._settings.max_attempts)

    # --- Retention ------------------------------------------------------------------------------

    def expired_jobs(self, limit: int = 100) -> list[str]:
        """Mark jobs whose time is over; returns the marked ones until they are forgotten."""
        return cast("list[str]", self._run("expire", limit))

    def forget(self, job_id: str) -> None:
        """Drop an expired job's record, its files being gone."""
        self._run("forget", job_id, TOMBSTONE_SECONDS * 1000)

    def expired_uploads(self, limit: int = 100) -> list[str]:
        """Storage keys of uploads whose time is over, until they are forgotten."""
        return cast("list[str]", self._run("expired_uploads", limit))

    def forget_upload(self, key: str) -> None:
        self._redis.zrem(f"{PREFIX}uploads", key)

    def known(self, job_ids: Sequence[str]) -> Iterator[str]:
        """Those of `job_ids` that may have files: they have a record and have not expired."""
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(f"{PREFIX}job:{job_id}", "status")
            for job_id, status in zip(job_ids, pipe.execute(), strict=True):
                if status not in (None, JobStatus.EXPIRED):
                    yield job_id

    def known_uploads(self, keys: Sequence[str]) -> Iterator[str]:
        """Those of the storage keys that belong to an upload."""
        with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.zscore(f"{PREFIX}uploads", key)
            for key, score in zip(keys, pipe.execute(), strict=True):
                if score is not None:
                    yield key

    def sight_orphans(self, names: Sequence[str], age: timedelta) -> list[str]:
        """Note that these files have no record; those noted `age` ago or earlier, by the store's
        clock: no host's clock says how old a file is."""
        age_ms = round(age.total_seconds() * 1000)
        reply = self._run("sight_orphans", age_ms, age_ms + _SIGHTINGS_KEPT_MS, *names)
        return cast("list[str]", reply)

    def forget_orphan(self, name: str) -> None:
        self._redis.zrem(f"{PREFIX}orphans", name)


def connect(settings: Settings) -> Redis:
    """A client for a process of the back end, which rides out a restart of the store."""
    return Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_connect_timeout=2,
        socket_timeout=10,
        health_check_interval=10,
        # Some ten seconds in all: a commit must live through a restart of the store.
        retry=Retry(ExponentialBackoff(cap=1, base=0.05), 12),
    )
