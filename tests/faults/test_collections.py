"""The API's process dies while frames are gathered, or while their grid is made, or has no room."""

from collections.abc import Iterator

import pytest

from gridscribe.client import Client
from shared.job_spec import JobSpec
from tests.fixtures.deployment import LEASE_SECONDS, Deployment
from tests.fixtures.farm import RenderFarm, farm_service
from tests.fixtures.full_disk import files_bounded
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.faults

COLLECTIONS = "{gridscribe}:collections"
MORE_THAN_A_FEW = 10
"""Tries: a collection that ends its process again and again is given up before that."""


@pytest.fixture(scope="module")
def service_and_files(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Deployment, str]]:
    with farm_service(tmp_path_factory.mktemp("farm")) as made:
        yield made


@pytest.fixture
def farm(service_and_files: tuple[Deployment, str]) -> RenderFarm:
    service, files = service_and_files
    service.start("api")
    with service.client() as client:
        for job in client.jobs.list():
            client.jobs.delete(job.id)
    return RenderFarm(service, files, JobSpec(title="{job_id}"), quiet_seconds=2)


@pytest.fixture
def service(service_and_files: tuple[Deployment, str]) -> Deployment:
    return service_and_files[0]


def assert_one_grid(client: Client, farm: RenderFarm, frames: int) -> None:
    made = farm.grid()
    assert [job.id for job in client.jobs.list()] == [made]
    job = client.jobs.get(made)
    assert job.progress.total == frames
    assert farm.source().open_collections == 0


def test_frames_outlive_the_process_that_took_them(service: Deployment, farm: RenderFarm) -> None:
    for number in (1, 2, 3):
        assert farm.frame(number).json()["accepted"] == 1
    service["api"].kill()
    service.start("api")
    with service.client() as client:
        assert_one_grid(client, farm, 3)


@pytest.mark.parametrize("point", ["create.before", "create.before_reply"])
def test_a_grid_whose_maker_is_killed_is_made_once(
    service: Deployment, farm: RenderFarm, point: str
) -> None:
    service.start("api", failpoints=f"{point}=kill")
    for number in (1, 2, 3):
        farm.frame(number)
    farm.finish(3)
    service["api"].wait()
    service.start("api")
    if point == "create.before":
        # The idempotency key is the dead process's for half a minute.
        with service.redis() as redis:
            for key in redis.scan_iter("{gridscribe}:idempotency:*:collection:*"):
                redis.pexpire(key, 1)
    with service.client() as client:
        assert_one_grid(client, farm, 3)


def test_two_processes_make_a_grid_once(service: Deployment, farm: RenderFarm) -> None:
    service.start("api", failpoints="create.before=sleep:6*1")  # longer than its lease
    for number in (1, 2):
        farm.frame(number)
    farm.finish(2)
    with service.client() as client:
        assert_one_grid(client, farm, 2)


def test_a_full_disk_delays_a_grid_and_loses_no_frame(
    service: Deployment, farm: RenderFarm
) -> None:
    with service.redis() as redis, service.client() as client:

        def looks_again_later() -> bool:
            """Not by the end of a lease, but by a pause."""
            seconds, _ = redis.time()
            [(_, due)] = redis.zrange(COLLECTIONS, 0, -1, withscores=True)
            return bool(due / 1000 - seconds > 3 * LEASE_SECONDS)

        def look_now() -> None:
            [collection] = redis.zrange(COLLECTIONS, 0, -1)
            redis.zadd(COLLECTIONS, {collection: 0})

        with files_bounded([service["api"].pid], 50):
            for number in (1, 2, 3):
                farm.frame(number)
            farm.finish(3)
            for _ in range(MORE_THAN_A_FEW):
                wait_until(looks_again_later)
                look_now()
            wait_until(looks_again_later)
        look_now()
        assert_one_grid(client, farm, 3)
