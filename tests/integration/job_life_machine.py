"""The life of jobs as a state machine: random steps of front end, dispatcher, workers and sweeper.

Time goes forward by moving the scores under which the scripts find what is over: the end of a
lease, of a deadline, of a job's keep.
"""

import asyncio
import json
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from redis import Redis

from shared import job_store
from shared.errors import GridscribeError
from shared.job_lifecycle import Commit, Hold, JobLifecycle
from shared.job_store import JobStore
from shared.keyspace import PREFIX
from shared.schemas import ImageCaption
from shared.settings import Settings
from shared.work_units import Ticket, WorkerKind
from tests.integration.job_life_rules import LEGAL_CHANGES, Snapshot, check_store
from tests.integration.stored_jobs import RESULT, new_job

KINDS = (WorkerKind.CAPTION, WorkerKind.COMPOSE)
TENANTS = ("ann", "bob")


@dataclass
class ModelJob:
    """What must be true of a job, whatever happened to it."""

    id: str
    tenant: str
    images: int
    status: str = "queued"
    run: int = 1
    captioned: Counter[int] = field(default_factory=Counter)
    """Commits of each position in this run."""
    sheets: int = 0
    deleted: bool = False


class JobLife(RuleBasedStateMachine):
    """Against a real server, which each run finds empty."""

    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        # Without types: redis-py's name every answer that any server could give.
        self.redis: Any = Redis.from_url(self.settings.redis_url, decode_responses=True)
        self.redis.flushall()
        self.loop = asyncio.new_event_loop()
        self.front = job_store.connect(self.settings)
        self.store = JobStore(self.front, self.settings)
        self.workers = [JobLifecycle(self.redis, self.settings, f"worker-{n}") for n in range(2)]
        self.made = 0
        self.jobs: dict[str, ModelJob] = {}
        self.gone: dict[str, bool] = {}
        """Forgotten jobs, and whether they were deleted."""
        self.published: list[Ticket] = []
        self.begun: dict[Ticket, JobLifecycle] = {}

    def teardown(self) -> None:
        try:
            self._finish_everything()
        finally:
            self.loop.run_until_complete(self.front.aclose())
            self.loop.close()
            self.redis.close()

    # --- Callers --------------------------------------------------------------------------------

    @rule(
        images=st.integers(0, 7),
        tenant=st.sampled_from(TENANTS),
        deadline=st.booleans(),
    )
    def create(self, images: int, tenant: str, deadline: bool) -> None:
        self.made += 1  # ids of one order in each run of the same steps
        job = new_job(images, job_id=str(uuid.UUID(int=self.made)), tenant=tenant)
        if deadline:
            job = replace(job, cancel_after=timedelta(hours=1))
        self.loop.run_until_complete(self.store.create(job))
        self.jobs[job.id] = ModelJob(job.id, tenant, images)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = self._a_job(data)
        before = job.status
        status = self._call(self.store.cancel(job.tenant, job.id))
        if before in ("queued", "running", "canceling"):
            assert status in ("canceling", "canceled")
        else:
            assert status in (before, None)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = self._a_job(data)
        try:
            self.loop.run_until_complete(self.store.retry(job.tenant, job.id))
        except GridscribeError:
            assert job.deleted or job.status not in ("failed", "canceled")
        else:
            assert job.status in ("failed", "canceled")
            job.run += 1
            job.captioned.clear()
            job.status = "queued"

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job = self._a_job(data)
        self._call(self.store.delete(job.tenant, job.id))
        job.deleted = True

    # --- Dispatcher and sweeper -----------------------------------------------------------------

    @rule(kind=st.sampled_from(KINDS), room=st.integers(0, 4))
    def dispatch(self, kind: WorkerKind, room: int) -> None:
        tickets = self.workers[0].dispatch(kind, room)
        assert len(tickets) <= room
        assert not set(tickets) & set(self.published), "an attempt is granted once"
        self.published += tickets

    @precondition(
        lambda self: self.redis.exists(f"{PREFIX}leases:caption", f"{PREFIX}leases:compose")
    )
    @rule(data=st.data(), kind=st.sampled_from(KINDS))
    def let_a_lease_end(self, data: st.DataObject, kind: WorkerKind) -> None:
        key = f"{PREFIX}leases:{kind}"
        if members := sorted(self.redis.zrange(key, 0, -1)):
            self.redis.zadd(key, {data.draw(st.sampled_from(members)): 1})
            self.dispatch(kind, 0)

    @rule()
    def let_deadlines_pass(self) -> None:
        self._let_pass("deadlines")
        self.workers[0].cancel_overdue()

    @rule()
    def expire_and_sweep(self) -> None:
        self._let_pass("expiry")
        for job_id in self.workers[0].expired_jobs():
            deleted = bool(self.redis.hget(f"{PREFIX}job:{job_id}", "deleted"))
            self.workers[0].forget(job_id)
            self.jobs.pop(job_id, None)
            self.gone[job_id] = deleted

    # --- Workers --------------------------------------------------------------------------------

    @precondition(lambda self: self.published)
    @rule(data=st.data(), worker=st.integers(0, 1))
    def deliver(self, data: st.DataObject, worker: int) -> None:
        """Any message that was ever published: a stale one, or a second copy, begins nothing."""
        ticket = data.draw(st.sampled_from(self.published))
        state = self._unit_state(ticket)
        may_begin = bool(state) and state["attempt"] == ticket.attempt and "granted" in state
        work = self._start(self.workers[worker], ticket)
        assert (work is not None) == may_begin
        if work is not None:
            self.begun[ticket] = self.workers[worker]

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        ticket = self._a_begun(data)
        hold = self.begun[ticket].beat(ticket)
        if not self._holds(ticket):
            assert hold is Hold.LOST
        else:
            assert hold is (
                Hold.CANCELED if self._status(ticket.job_id) == "canceling" else Hold.HELD
            )

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """A late one too: the ticket stays, and may come again."""
        self._commit(self._a_begun(data))

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), how=st.sampled_from(["fail_attempt", "defer_attempt", "yield_unit"]))
    def give_back(self, data: st.DataObject, how: str) -> None:
        ticket = self._a_begun(data)
        worker = self.begun[ticket]
        arguments = (ticket, "broken") if how == "fail_attempt" else (ticket,)
        getattr(worker, how)(*arguments)
        # No pause ends by itself, or the same steps would do something else on a busy machine.
        for kind in KINDS:
            for member in self.redis.zrange(f"{PREFIX}leases:{kind}", 0, -1):
                self.redis.zadd(f"{PREFIX}leases:{kind}", {member: 1e15})

    # --- What always holds ----------------------------------------------------------------------

    @invariant()
    def the_store_is_of_one_mind(self) -> None:
        store = Snapshot(self.redis)
        for job in self.jobs.values():
            status = store.status(job.id)
            assert (job.status, status) in LEGAL_CHANGES, f"{job.status} became {status}"
            job.status = status
            assert max(job.captioned.values(), default=0) <= 1, "a position was captioned twice"
            if status == "succeeded":
                assert job.sheets == 1
        check_store(store, {job.id: job.tenant for job in self.jobs.values()}, self.gone)

    # --- In the end -----------------------------------------------------------------------------

    def _finish_everything(self) -> None:
        """Whatever happened, workers that work bring every job to its end."""
        for _ in range(60):
            for kind in KINDS:
                key = f"{PREFIX}leases:{kind}"
                for member in self.redis.zrange(key, 0, -1):
                    self.redis.zadd(key, {member: 1})
                for ticket in self.workers[0].dispatch(kind, 50):
                    if self._start(self.workers[0], ticket) is not None:
                        self.begun[ticket] = self.workers[0]
                        self.the_store_is_of_one_mind()
                        self._commit(ticket)
            self.the_store_is_of_one_mind()
            if not self.redis.zcard(f"{PREFIX}active"):
                break
        left = {job.id: job.status for job in self.jobs.values() if not _is_over(job.status)}
        assert not left
        self.expire_and_sweep()
        self.the_store_is_of_one_mind()

    def _commit(self, ticket: Ticket) -> None:
        worker, holds = self.begun[ticket], self._holds(ticket)
        job = self.jobs.get(ticket.job_id)
        was_canceling = self._status(ticket.job_id) == "canceling"
        if ticket.kind is WorkerKind.CAPTION:
            lo, hi = map(int, ticket.unit.split(":")[1:])
            words = [ImageCaption(text="words", confidence=0.5)] * (hi - lo)
            outcome = worker.commit_captions(ticket, words)
            assert (outcome is Commit.COMMITTED) == holds
            if holds and job:
                job.captioned.update(range(lo, hi))
        else:
            # As in production each attempt stores under its own name.
            result = RESULT.model_copy(update={"manifest_key": f"{ticket.attempt}"})
            repeated = self.redis.hget(f"{PREFIX}job:{ticket.job_id}", "result")
            outcome = worker.commit_sheet(ticket, result, (), ())
            if repeated == result.model_dump_json():
                assert outcome is Commit.COMMITTED, "a repeated commit is told so"
            elif not holds:
                assert outcome is Commit.LOST
            else:
                assert outcome is (Commit.CANCELED if was_canceling else Commit.COMMITTED)
                if job and outcome is Commit.COMMITTED:
                    job.sheets += 1

    def _start(self, worker: JobLifecycle, ticket: Ticket) -> object:
        if ticket.kind is WorkerKind.CAPTION:
            return worker.start_captions(ticket)
        return worker.start_compose(ticket)

    def _call(self, answer: Any) -> Any:
        """None where the job is gone or deleted."""
        try:
            return self.loop.run_until_complete(answer)
        except GridscribeError:
            return None

    def _let_pass(self, key: str) -> None:
        for member in self.redis.zrange(f"{PREFIX}{key}", 0, -1):
            self.redis.zadd(f"{PREFIX}{key}", {member: 1})

    def _a_job(self, data: st.DataObject) -> ModelJob:
        return self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]

    def _a_begun(self, data: st.DataObject) -> Ticket:
        tickets = sorted(self.begun, key=lambda t: (t.job_id, t.unit, t.attempt))
        return data.draw(st.sampled_from(tickets))

    def _status(self, job_id: str) -> str:
        return str(self.redis.hget(f"{PREFIX}job:{job_id}", "status") or "")

    def _unit_state(self, ticket: Ticket) -> dict[str, Any]:
        state = self.redis.hget(f"{PREFIX}job:{ticket.job_id}:units", ticket.unit)
        return dict(json.loads(state)) if state else {}

    def _holds(self, ticket: Ticket) -> bool:
        state = self._unit_state(ticket)
        owner = self.begun[ticket].owner
        return state.get("attempt") == ticket.attempt and state.get("owner") == owner


def _is_over(status: str) -> bool:
    return status in ("succeeded", "failed", "canceled", "expired")
