"""What must be true once the trouble is over."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.job_lifecycle import JobLifecycle, connect
from shared.object_storage import ObjectStorage
from shared.settings import Settings
from tests.chaos.deliveries import DeliveryVerdict, judge_deliveries
from tests.chaos.trouble import Submission, Trouble
from tests.fixtures.deployment import Deployment
from tests.integration.job_life_rules import Snapshot, check_store
from worker import sweeper

_ENDS = ("succeeded", "failed", "canceled")


@dataclass(frozen=True, slots=True)
class Verdict:
    ends: Counter[str]
    """How many jobs ended how."""
    settled_after: float
    """Seconds from the end of the trouble to the end of the last job."""
    deliveries: DeliveryVerdict
    broken: tuple[str, ...]
    """Each promise that was not kept."""


def judge(trouble: Trouble, patience: float) -> Verdict:
    """Wait up to `patience` seconds for the jobs, and again for what is to be told of them; sweep
    as an hour later, and look at it all."""
    service, submissions = trouble.service, trouble.submissions
    started = time.monotonic()
    ids = [each.job_id for each in submissions if each.job_id]
    while time.monotonic() - started < patience and _unfinished(service, ids):
        trouble.revive()
        time.sleep(0.1)
    settled_after = time.monotonic() - started
    broken = [f"job {job_id} is still {status}" for job_id, status in _unfinished(service, ids)]
    deliveries = judge_deliveries(trouble, ids, patience)
    broken += deliveries.broken
    _sweep_as_later(service)
    broken += _broken_promises(service, submissions)
    ends = Counter(
        "deleted" if each.is_deleted else service.record(each.job_id).get("status", "gone")
        for each in submissions
        if each.job_id
    )
    return Verdict(ends, settled_after, deliveries, tuple(broken))


def _unfinished(service: Deployment, ids: Sequence[str]) -> list[tuple[str, str]]:
    with service.redis() as redis, redis.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hget(f"{{gridscribe}}:job:{job_id}", "status")
        statuses = pipe.execute()
    return [
        (job_id, status)
        for job_id, status in zip(ids, statuses, strict=True)
        if status is not None and status not in (*_ENDS, "expired")
    ]


def _sweep_as_later(service: Deployment) -> None:
    """What the sweeper does in the hour after: files that no record knows go, and deleted jobs."""
    settings = Settings(redis_url=service.redis_url, data_dir=service.folder)
    with connect(settings) as redis:
        lifecycle = JobLifecycle(redis, settings, "verdict")
        swept = sweeper.Sweeper(lifecycle, ObjectStorage(settings.effective_storage_url))
        age, sweeper.ORPHAN_AGE = sweeper.ORPHAN_AGE, timedelta(0)
        try:
            while swept.sweep_expired():
                pass
            swept.sweep_orphans()
        finally:
            sweeper.ORPHAN_AGE = age


def _broken_promises(service: Deployment, submissions: Sequence[Submission]) -> Iterator[str]:
    with service.redis() as redis:
        store = Snapshot(redis)
    known = {
        key.removeprefix("job:"): store.hash(key)
        for key in store.keys
        if key.startswith("job:") and key.count(":") == 1
    }
    try:
        check_store(store, {job_id: record["tenant"] for job_id, record in known.items()}, {})
    except AssertionError as error:
        yield f"the store is not of one mind: {error!r}"
    folders = {path.name for path in (service.storage / "jobs").iterdir() if any(path.rglob("*"))}
    yield from (f"files of {name} have no record" for name in folders - known.keys())
    yield from (f"the files of {name} are gone" for name in known.keys() - folders)
    for submission in submissions:
        assert submission.job_id is not None
        record = known.get(submission.job_id)
        if submission.is_deleted:
            if record is not None and not record.get("deleted"):
                continue  # the deletion never reached the service
            if record is not None:
                yield f"deleted job {submission.job_id} is still there"
        elif record is None:
            yield f"accepted job {submission.job_id} is lost"
        else:
            yield from _broken_in(service, submission, record)


def _broken_in(
    service: Deployment, submission: Submission, record: dict[str, str]
) -> Iterator[str]:
    job_id, status = record["id"], record["status"]
    if status != "succeeded":
        return
    wanted = submission.images if submission.is_captioned else 0
    if int(record.get("captions_done", 0)) != wanted:
        yield f"job {job_id}: {record.get('captions_done')} captions were counted, not {wanted}"
    result = json.loads(record["result"])
    for key in (*(page["key"] for page in result["pages"]), result["manifest_key"]):
        if not (service.storage / key).is_file():
            yield f"job {job_id}: {key} is not there"
