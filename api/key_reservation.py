"""An `Idempotency-Key` belongs to one request while that one is being accepted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from redis.exceptions import RedisError

from shared.job_store import RESERVATION_SECONDS, JobStore


@asynccontextmanager
async def reserved(
    store: JobStore, tenant: str, key: str | None, job_id: str
) -> AsyncIterator[None]:
    """Hold `key` for the job `job_id` as long as the block runs.

    It is free again at once where no job came of it, and after `RESERVATION_SECONDS` where this
    process died. Raises `GridscribeError` IDEMPOTENCY_IN_PROGRESS where another request has it.
    """
    if key is None:
        yield
        return
    await store.reserve(tenant, key, job_id)
    renewing = asyncio.create_task(_renew(store, tenant, key, job_id))
    try:
        yield
    finally:
        renewing.cancel()
        with anyio.CancelScope(shield=True), suppress(RedisError, OSError):
            await store.release(tenant, key, job_id)


async def _renew(store: JobStore, tenant: str, key: str, job_id: str) -> None:
    """Large bodies may take minutes to come."""
    while True:
        await asyncio.sleep(RESERVATION_SECONDS / 3)
        with suppress(RedisError, OSError):
            await store.reserve(tenant, key, job_id)
