"""Whose turn it is: tenants, jobs, priorities, windows."""

import time

from shared.job_lifecycle import JobLifecycle
from shared.job_spec import Priority
from shared.settings import Settings
from tests.integration.job_lifecycle.steps import CAPTION, FrontEnd, captions
from tests.integration.stored_jobs import new_job


def test_tenants_and_jobs_take_turns(front: FrontEnd, worker: JobLifecycle) -> None:
    huge, small = new_job(400), new_job(4)
    guest = new_job(4, tenant="guest")
    for job in (huge, small, guest):
        front.create(job)
    first = [ticket.job_id for ticket in worker.dispatch(CAPTION, 4)]
    assert first == [huge.id, guest.id, small.id, huge.id]


def test_the_last_places_are_for_tenants_who_hold_none(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    huge = new_job(400)
    front.create(huge)
    first = [ticket.job_id for ticket in worker.dispatch(CAPTION, 6, 2)]
    assert first == [huge.id] * 4, "two of six are kept free"
    assert worker.dispatch(CAPTION, 2, 2) == []
    guests = [new_job(60, tenant=f"guest {n}") for n in range(3)]
    for guest in guests:
        front.create(guest)
    served = [ticket.job_id for ticket in worker.dispatch(CAPTION, 2, 2)]
    assert served == [guests[0].id, guests[1].id]
    more = [ticket.job_id for ticket in worker.dispatch(CAPTION, 4, 2)]
    assert more == [huge.id, guests[2].id], "all hold something now: two stay free"


def test_one_job_has_no_more_chunks_out_than_its_window(
    front: FrontEnd, worker: JobLifecycle, settings: Settings
) -> None:
    front.create(new_job(400))
    tickets = worker.dispatch(CAPTION, 1000)
    assert len(tickets) == settings.job_window
    work = worker.start_captions(tickets[0])
    assert work is not None
    worker.commit_captions(tickets[0], captions(len(work.images)))
    assert len(worker.dispatch(CAPTION, 1000)) == 1


def test_priority_orders_the_jobs_of_one_tenant(front: FrontEnd, worker: JobLifecycle) -> None:
    jobs = {priority: new_job(priority=priority) for priority in Priority}
    for job in jobs.values():
        front.create(job)
    order = [ticket.job_id for ticket in worker.dispatch(CAPTION, 3)]
    assert order == [jobs[p].id for p in (Priority.HIGH, Priority.NORMAL, Priority.LOW)]


def test_two_dispatchers_never_grant_the_same_unit(
    front: FrontEnd, worker: JobLifecycle, other: JobLifecycle
) -> None:
    front.create(new_job(32))
    tickets = [*worker.dispatch(CAPTION, 4), *other.dispatch(CAPTION, 4)]
    assert len({ticket.unit for ticket in tickets}) == len(tickets) == 8


def test_creating_wakes_a_waiting_dispatcher(front: FrontEnd, worker: JobLifecycle) -> None:
    front.create(new_job())
    started = time.monotonic()
    worker.wait_for_work(60)
    assert time.monotonic() - started < 30
