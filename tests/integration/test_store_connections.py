"""The front end's connections to the store."""

import asyncio

from redis.asyncio import Redis

from shared.job_store import JobStore, connect
from shared.schemas import JobStatus
from shared.settings import Settings


def test_a_burst_of_requests_takes_turns_over_a_bounded_number_of_connections(
    settings: Settings,
) -> None:
    async def burst() -> int:
        async with connect(settings) as redis, Redis.from_url(settings.redis_url) as observer:
            store = JobStore(redis, settings)
            lists = [store.list_jobs("default", JobStatus.QUEUED, 10, None) for _ in range(400)]
            before = int((await observer.info("clients"))["connected_clients"])
            assert all(page.records == () for page in await asyncio.gather(*lists))
            after = int((await observer.info("clients"))["connected_clients"])
            return after - before

    assert 0 < asyncio.run(burst()) <= 64
