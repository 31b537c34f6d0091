"""Workers that die, stand still, hang or run out of memory while they have work."""

import json
import signal
import time

import pytest

from gridscribe.client import Client
from shared.schemas import Job
from tests.fixtures.deployment import LEASE_SECONDS, Deployment
from tests.fixtures.fault_jobs import (
    CAPTIONED,
    PLAIN,
    begun,
    check_done_once,
    pictures,
    taken_back,
)
from tests.fixtures.waiting import wait_until
from tests.unit.png_chunks import bomb_png

pytestmark = pytest.mark.faults

SLACK = 20.0
"""Seconds that a busy machine may add to what is promised, and to the rest of a job."""
BUSY = 10.0
"""The same of a beginning."""


@pytest.mark.parametrize("point", ["caption.infer", "caption.decode@picture-5.png"])
def test_work_of_a_killed_captioning_worker_is_done_by_another_within_a_lease(
    service: Deployment, client: Client, point: str
) -> None:
    service.start("caption", failpoints=f"{point}=hang")
    job = client.jobs.create(pictures(24), CAPTIONED)
    wait_until(begun(service, job))
    service.start("caption-2")
    service["caption"].kill()
    killed = time.monotonic()
    check_done_once(service, client, job)
    assert time.monotonic() - killed < LEASE_SECONDS + 2 + SLACK
    service["caption-2"].kill()
    service.start("caption")


def begun_again(service: Deployment, job: Job, attempt: int) -> bool:
    """Whether a worker has begun this attempt, at least, at each unit of the job that is left."""
    with service.redis() as redis:
        units = [json.loads(it) for it in redis.hvals(f"{{gridscribe}}:job:{job.id}:units")]
    return all(unit["attempt"] >= attempt and unit.get("owner") for unit in units)


def test_with_the_leases_of_production_work_goes_on_within_17_seconds(
    service: Deployment, client: Client
) -> None:
    service.start("dispatcher", lease_seconds=15, beat_seconds=5)
    service.start("caption", failpoints="caption.infer=hang", lease_seconds=15, beat_seconds=5)
    job = client.jobs.create(pictures(24), CAPTIONED)
    wait_until(lambda: begun_again(service, job, 1))
    service.start("caption-2", lease_seconds=15, beat_seconds=5)
    service["caption"].kill()
    killed = time.monotonic()
    wait_until(lambda: begun_again(service, job, 2))
    assert time.monotonic() - killed < 17 + BUSY
    check_done_once(service, client, job)
    service["caption-2"].kill()
    service.start("dispatcher", "caption")


def test_work_goes_on_within_2_seconds_of_a_worker_that_comes_after_the_lease(
    service: Deployment, client: Client
) -> None:
    service.start("caption", failpoints="caption.infer=hang")
    job = client.jobs.create(pictures(24), CAPTIONED)
    wait_until(lambda: begun_again(service, job, 1))
    service["caption"].kill()
    time.sleep(LEASE_SECONDS + 2)
    service.start("caption")
    ready = time.monotonic()
    wait_until(lambda: begun_again(service, job, 2))
    assert time.monotonic() - ready < 2 + BUSY
    check_done_once(service, client, job)


def test_a_message_that_a_stopped_worker_took_with_it_into_death_is_sent_again(
    service: Deployment, client: Client
) -> None:
    for _ in range(5):
        service["caption"].send(signal.SIGSTOP)
        job = client.jobs.create(pictures(4), CAPTIONED)
        wait_until(lambda: service.redis().zcard("{gridscribe}:leases:caption") == 1)
        assert service.stop("dispatcher") == 0  # it publishes what it has leased before it ends
        # A worker asks for a message each second anew; stopped in between, it was given none.
        if was_taken := service.redis().llen("caption") == 0:
            break
        service["caption"].send(signal.SIGCONT)
        service.start("dispatcher")
        check_done_once(service, client, job)
    assert was_taken
    service["caption"].kill()
    service.start("caption", "dispatcher")
    check_done_once(service, client, job)


def test_a_compose_worker_that_wakes_after_its_lease_commits_nothing_and_leaves_no_file(
    service: Deployment, client: Client
) -> None:
    service.start("compose", failpoints="compose.before_commit=sleep:5*1")
    job = client.jobs.create(pictures(4), PLAIN)
    wait_until(lambda: service.outputs(job.id) == ["1"])
    # The whole group stands still, and with it the beats of the child at work.
    service["compose"].send_to_group(signal.SIGSTOP)
    with service.redis() as redis:
        wait_until(taken_back(redis, job))
    service["compose"].send_to_group(signal.SIGCONT)
    check_done_once(service, client, job, captioned=False)
    wait_until(lambda: service["compose"].says("late commit refused"))
    wait_until(lambda: service.outputs(job.id) == ["2"])
    service.start("compose")


def test_a_hung_model_ends_its_process_and_the_work_goes_on(
    service: Deployment, client: Client
) -> None:
    service.start("caption", failpoints="caption.infer=hang", batch_timeout_seconds=1)
    job = client.jobs.create(pictures(8), CAPTIONED)
    assert service["caption"].wait() == 1
    assert service["caption"].says("hangs since 1 s")
    service.start("caption")
    check_done_once(service, client, job)


def test_a_model_without_room_for_a_batch_goes_on_with_smaller_ones(
    service: Deployment, client: Client
) -> None:
    service.start("caption", environment={"QUICK_BATCH_ROOM": "3"})
    job = client.jobs.create(pictures(16), CAPTIONED)
    check_done_once(service, client, job)
    assert service["caption"].says("out of device memory")
    service.start("caption")


def test_a_picture_that_kills_every_worker_goes_without_a_caption_and_the_others_have_theirs(
    service: Deployment, client: Client
) -> None:
    failpoints = "caption.decode@picture-2.png=kill"
    service.start("caption", failpoints=failpoints)
    job = client.jobs.create(pictures(4), CAPTIONED)
    deaths = 0
    while not client.jobs.get(job.id).status.is_terminal:
        if not service["caption"].is_running:
            deaths += 1
            assert deaths <= 5, "three attempts whole, then one at a half and one alone"
            service.start("caption", failpoints=failpoints)
        time.sleep(0.05)
    done = client.jobs.get(job.id)
    assert done.status == "succeeded"
    assert deaths == 5
    assert [w.image for w in done.warnings if "stopped answering" in w.detail] == [2]
    service.start("caption")


def test_a_picture_that_breaks_off_costs_itself_alone(client: Client) -> None:
    good = pictures(3)
    broken = ("broken.png", good[0][1][:-40])
    job = client.jobs.create([*good, broken], CAPTIONED)
    done = client.jobs.wait(job.id, timeout=300)
    assert done.status == "succeeded"
    assert {w.image for w in done.warnings if "cannot be read" in w.detail} == {3}


def test_a_decompression_bomb_behind_the_gate_costs_itself_alone(
    service: Deployment, client: Client
) -> None:
    """One is refused on arrival, so it takes the place of a picture that was accepted."""
    service["dispatcher"].send(signal.SIGSTOP)
    job = client.jobs.create(pictures(4), CAPTIONED)
    with service.redis() as redis:
        image = json.loads(redis.hget(f"{{gridscribe}}:job:{job.id}:images", "1"))
    stored = service.storage / image["key"]
    assert stored.is_file()
    stored.write_bytes(bomb_png())
    service["dispatcher"].send(signal.SIGCONT)
    done = check_done_once(service, client, job)
    assert {w.image for w in done.warnings if "far too many pixels" in w.detail} == {1}
    assert service["caption"].is_running
    assert service["compose"].is_running
