"""Lists of jobs, page by page."""

from itertools import chain

import httpx
import pytest
from redis import Redis

from shared.job_lifecycle import JobLifecycle
from shared.keyspace import PREFIX
from tests.integration.api.hand_work import fail, new_job
from tests.integration.api.served import problem_of


def page(client: httpx.Client, **query: str | int) -> tuple[list[str], str | None]:
    answer = client.get("/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [job["id"] for job in body["data"]], body["next_cursor"]


def pages(client: httpx.Client, **query: str | int) -> list[list[str]]:
    ids, cursor = page(client, **query)
    found = [ids]
    while cursor:
        ids, cursor = page(client, cursor=cursor, **query)
        found.append(ids)
    return found


def test_jobs_are_listed_newest_first_in_pages(client: httpx.Client) -> None:
    newest_first = [new_job(client) for _ in range(5)][::-1]
    assert page(client) == (newest_first, None)
    assert [len(ids) for ids in pages(client, limit=2)] == [2, 2, 1]
    assert [*chain(*pages(client, limit=2))] == newest_first
    assert pages(client, limit=5) == [newest_first], "no cursor to an empty page"


def test_a_listed_job_is_told_without_what_grows_with_its_images(client: httpx.Client) -> None:
    job_id = new_job(client, metadata={"shot": 7})
    (listed,) = client.get("/v1/jobs").json()["data"]
    whole = client.get(f"/v1/jobs/{job_id}").json()
    assert listed == {
        key: value for key, value in whole.items() if key not in ("spec", "images", "warnings")
    }
    assert (listed["metadata"], listed["queue_position"]) == ({"shot": 7}, 1)


def test_jobs_of_one_moment_are_all_listed_once(client: httpx.Client, redis: Redis) -> None:
    ids = [new_job(client) for _ in range(5)]
    redis.zadd(f"{PREFIX}jobs:default", dict.fromkeys(ids, 1_700_000_000_000))
    assert [*chain(*pages(client, limit=2))] == sorted(ids, reverse=True)


def test_a_cursor_outlives_its_job_and_newer_jobs_do_not_move_the_page(
    client: httpx.Client,
) -> None:
    oldest, middle, newest = (new_job(client) for _ in range(3))
    ids, cursor = page(client, limit=2)
    assert ids == [newest, middle]
    assert cursor
    new_job(client)
    client.delete(f"/v1/jobs/{middle}")
    assert page(client, limit=2, cursor=cursor) == ([oldest], None)


def test_a_list_is_filtered_by_status(client: httpx.Client, worker: JobLifecycle) -> None:
    new_job(client)
    failed = fail(worker)
    waiting = new_job(client)
    assert page(client, status="failed") == ([failed], None)
    assert page(client, status="queued") == ([waiting], None)
    assert page(client, status="succeeded") == ([], None)


def test_a_rare_status_is_looked_for_in_bounded_steps(client: httpx.Client, redis: Redis) -> None:
    wanted = new_job(client)
    client.post(f"/v1/jobs/{wanted}/cancel")
    now = int(redis.zscore(f"{PREFIX}jobs:default", wanted) or 0)
    for n in range(1500):
        job_id = f"0190b3c4-0000-7000-8000-{n:012}"
        redis.hset(f"{PREFIX}job:{job_id}", mapping={"status": "queued", "tenant": "default"})
        redis.zadd(f"{PREFIX}jobs:default", {job_id: now + 1 + n})
    first, cursor = page(client, status="canceled")
    assert first == []
    assert cursor
    assert page(client, status="canceled", cursor=cursor) == ([wanted], None)


def test_a_page_holds_a_bounded_number_of_bytes(client: httpx.Client, redis: Redis) -> None:
    ids = [new_job(client, metadata={"note": "x" * 12_000}) for _ in range(2)]
    for job_id in ids:
        spec = redis.hget(f"{PREFIX}job:{job_id}", "spec")
        redis.hset(f"{PREFIX}job:{job_id}", "spec", f"{spec!s:<5000000}")
    assert pages(client) == [[ids[1]], [ids[0]]]


def test_another_tenants_jobs_are_not_listed(client: httpx.Client, redis: Redis) -> None:
    job_id = new_job(client)
    redis.rename(f"{PREFIX}jobs:default", f"{PREFIX}jobs:guest")
    assert page(client) == ([], None)
    redis.zadd(f"{PREFIX}jobs:default", {job_id: 1})
    redis.hset(f"{PREFIX}job:{job_id}", "tenant", "guest")
    assert page(client) == ([], None), "the record says whose it is"


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"status": "lost"}, "status"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "ü"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "MTcwMC5hYmM"}, "cursor"),
    ],
)
def test_a_bad_question_is_refused_by_name(
    client: httpx.Client, query: dict[str, str | int], location: str
) -> None:
    problem = problem_of(client.get("/v1/jobs", params=query))
    assert (problem["status"], problem["errors"][0]["location"]) == (400, location)
