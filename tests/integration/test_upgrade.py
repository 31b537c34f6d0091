"""New code on the records and messages that an older version left, and old code on newer ones."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from shared import job_lifecycle
from shared.errors import ErrorCode, GridscribeError
from shared.job_lifecycle import Commit, JobLifecycle
from shared.job_record import RECORD_VERSION, JobRecord
from shared.keyspace import PREFIX
from shared.object_storage import ObjectStorage
from shared.queue import MESSAGE_VERSION
from shared.schemas import ImageCaption
from shared.settings import Settings
from shared.work_units import Ticket, WorkerKind
from tests.fixtures.store_dump import load
from tests.integration.stored_jobs import RESULT, with_store
from worker.backend import Backend
from worker.lease import LeaseKeeper
from worker.messages import ticket_of

DATA = Path(__file__).resolve().parents[1] / "data" / "upgrade"
QUEUED, RUNNING, SUCCEEDED = (f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))


@pytest.fixture
def redis(settings: Settings) -> Iterator[Any]:
    """As version 1 left it: a job that waits, one whose first chunk is in, one that is done."""
    with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        load(redis, DATA / "store-v1.json")
        yield redis


@pytest.fixture
def worker(settings: Settings) -> Iterator[JobLifecycle]:
    with job_lifecycle.connect(settings) as redis:
        yield JobLifecycle(redis, settings, "new-worker")


def get(settings: Settings, job_id: str) -> JobRecord:
    record = with_store(settings, "get", "default", job_id)
    assert isinstance(record, JobRecord)
    return record


def test_jobs_of_version_1_are_read_and_finished(
    redis: Any, worker: JobLifecycle, settings: Settings
) -> None:
    assert get(settings, QUEUED).status == "queued"
    assert get(settings, RUNNING).captions_done == 2
    assert get(settings, SUCCEEDED).result is not None
    # What version 1 had out comes back: its workers are gone.
    for member in redis.zrange(f"{PREFIX}leases:caption", 0, -1):
        redis.zadd(f"{PREFIX}leases:caption", {member: 1})
    for kind in (WorkerKind.CAPTION, WorkerKind.COMPOSE):
        while tickets := worker.dispatch(kind, 10):
            for ticket in tickets:
                assert _commit(worker, ticket) is Commit.COMMITTED
    for job_id in (QUEUED, RUNNING, SUCCEEDED):
        assert get(settings, job_id).status == "succeeded"


def _commit(worker: JobLifecycle, ticket: Ticket) -> Commit:
    if ticket.kind is WorkerKind.COMPOSE:
        assert worker.start_compose(ticket) is not None
        return worker.commit_sheet(ticket, RESULT, (), ())
    work = worker.start_captions(ticket)
    assert work is not None
    return worker.commit_captions(ticket, [ImageCaption(text="words")] * len(work.images))


@pytest.fixture
def backend(settings: Settings, worker: JobLifecycle) -> Backend:
    storage = ObjectStorage(settings.effective_storage_url)
    return Backend(settings, worker, storage, LeaseKeeper(worker, 1))


def test_messages_of_version_1_are_understood(backend: Backend) -> None:
    for message in json.loads((DATA / "messages-v1.json").read_text()):
        ticket = ticket_of(backend, message)
        assert ticket == Ticket(message["job_id"], message["unit"], message["attempt"])


def test_messages_of_a_newer_version_are_left_alone_and_counted(
    redis: Any, backend: Backend
) -> None:
    [message, *_] = json.loads((DATA / "messages-v1.json").read_text())
    newer = {**message, "version": MESSAGE_VERSION + 1, "colour": "green"}
    assert ticket_of(backend, newer) is None
    assert ticket_of(backend, {**message, "version": MESSAGE_VERSION, "colour": "green"})
    assert redis.hget(f"{PREFIX}counters", "messages_dropped|newer_version") == "1"


def test_a_job_of_a_newer_version_is_left_for_newer_parts_and_counted(
    redis: Any, worker: JobLifecycle, settings: Settings
) -> None:
    redis.hset(f"{PREFIX}job:{QUEUED}", "v", RECORD_VERSION + 1)
    tickets = [t for t in worker.dispatch(WorkerKind.CAPTION, 10) if t.job_id == QUEUED]
    assert tickets
    for ticket in tickets:
        assert worker.start_captions(ticket) is None
    assert redis.hget(f"{PREFIX}counters", "messages_dropped|newer_record") == str(len(tickets))
    with pytest.raises(GridscribeError) as caught:
        get(settings, QUEUED)
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
    # Nothing of it counts as a failure: a newer worker finds it as it was.
    states = [json.loads(state) for state in redis.hvals(f"{PREFIX}job:{QUEUED}:units")]
    assert {state["failures"] for state in states} == {0}
