"""The API and the dispatcher die between two of their steps."""

import httpx
import pytest

from gridscribe.client import Client
from tests.fixtures.deployment import Deployment
from tests.fixtures.fault_jobs import CAPTIONED, PLAIN, check_done_once, pictures
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.faults


def submit_with_key(service: Deployment, key: str) -> httpx.Response:
    files = [("images", (name, data, "image/png")) for name, data in pictures(2)]
    return httpx.post(
        f"{service.base_url}/v1/jobs",
        data={"spec": PLAIN.model_dump_json(exclude_unset=True)},
        files=files,
        headers={"Idempotency-Key": key},
        timeout=30,
    )


def test_an_api_killed_before_a_job_is_written_leaves_no_job(service: Deployment) -> None:
    service.start("api", failpoints="create.before=kill")
    before = service.redis().zcard("{gridscribe}:jobs:default")
    with pytest.raises(httpx.TransportError):
        submit_with_key(service, "before")
    service.start("api")
    assert service.redis().zcard("{gridscribe}:jobs:default") == before
    # The key is kept for the dead request until its reservation ends, half a minute later.
    assert submit_with_key(service, "before").json()["code"] == "idempotency_in_progress"
    assert service.redis().pexpire("{gridscribe}:idempotency:default:before", 1)
    assert submit_with_key(service, "before").status_code == 202


def test_an_api_killed_before_its_reply_has_made_the_job_that_a_repeat_gets(
    service: Deployment, client: Client
) -> None:
    service.start("api", failpoints="create.before_reply=kill")
    with pytest.raises(httpx.TransportError):
        submit_with_key(service, "after")
    with service.redis() as redis:
        [made] = redis.zrange("{gridscribe}:jobs:default", 0, 0, desc=True)
    service.start("api")
    repeat = submit_with_key(service, "after")
    assert repeat.json()["id"] == made
    assert client.jobs.wait(str(made), timeout=300).status == "succeeded"
    count = service.redis().zcard("{gridscribe}:jobs:default")
    assert submit_with_key(service, "after").json()["id"] == made
    assert service.redis().zcard("{gridscribe}:jobs:default") == count


def test_what_a_dispatcher_leased_and_never_published_is_published_again(
    service: Deployment, client: Client
) -> None:
    service.start("dispatcher", failpoints="dispatch.before_publish=kill")
    job = client.jobs.create(pictures(24), CAPTIONED)
    service["dispatcher"].wait()
    assert service.redis().zcard("{gridscribe}:leases:caption") == 3
    service.start("dispatcher")
    check_done_once(service, client, job)


def test_two_dispatchers_commit_nothing_twice(service: Deployment, client: Client) -> None:
    service.start("dispatcher-2")
    jobs = [client.jobs.create(pictures(20), CAPTIONED) for _ in range(6)]
    for job in jobs:
        check_done_once(service, client, job)
    wait_until(lambda: service.redis().zcard("{gridscribe}:leases:caption") == 0)
    assert service.stop("dispatcher-2") == 0
