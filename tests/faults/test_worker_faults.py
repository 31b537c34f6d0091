"""Workers that die, stand still, hang or run out of memory while they have work."""

import signal
import time

import pytest

from gridscribe.client import Client
from tests.fixtures.deployment import LEASE_SECONDS, Deployment
from tests.fixtures.fault_jobs import (
    CAPTIONED,
    PLAIN,
    begun,
    check_done_once,
    pictures,
)
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.faults

SLACK = 8.0
"""Seconds that a busy machine may add to what is promised."""


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


def test_a_message_that_a_stopped_worker_took_with_it_into_death_is_sent_again(
    service: Deployment, client: Client
) -> None:
    service["caption"].send(signal.SIGSTOP)
    job = client.jobs.create(pictures(4), CAPTIONED)
    wait_until(lambda: service.redis().zcard("{gridscribe}:leases:caption") == 1)
    service["caption"].kill()
    service.start("caption")
    check_done_once(service, client, job)


def test_a_compose_worker_that_wakes_after_its_lease_commits_nothing_and_leaves_no_file(
    service: Deployment, client: Client
) -> None:
    service.start("compose", failpoints="compose.before_commit=sleep:5*1")
    job = client.jobs.create(pictures(4), PLAIN)
    wait_until(lambda: service.outputs(job.id) == ["1"])
    # The whole group stands still, and with it the beats of the child at work.
    for number, pause in ((signal.SIGSTOP, LEASE_SECONDS + 1.5), (signal.SIGCONT, 0)):
        service["compose"].send_to_group(number)
        time.sleep(pause)
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
    done = client.jobs.wait(job.id, timeout=60)
    assert done.status == "succeeded"
    assert {w.image for w in done.warnings if "cannot be read" in w.detail} == {3}
