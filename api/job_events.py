"""Following a job until it is over."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator

from redis.exceptions import RedisError

from shared.errors import GridscribeError
from shared.job_news import EventId, JobEvent, JobNews
from shared.job_record import JobRecord
from shared.job_signals import JobSignals
from shared.job_store import JobStore
from shared.settings import Settings

_READERS = 16
"""Listeners that read the store at once: they leave its connections to requests."""

_log = logging.getLogger(__name__)


class JobEvents:
    """For one event loop."""

    def __init__(self, store: JobStore, signals: JobSignals, settings: Settings) -> None:
        self._store = store
        self._signals = signals
        self._keep_alive = settings.event_keep_alive_seconds
        self._reading = asyncio.Semaphore(_READERS)

    async def check(self, tenant: str, job_id: str, after: EventId | None) -> bool:
        """Whether there is anything to tell, now or later, to one who knows all up to `after`.

        Raises `GridscribeError`: JOB_NOT_FOUND, JOB_EXPIRED, or QUOTA_EXCEEDED or
        SERVICE_FULL where too many listen.
        """
        self._signals.check_room(tenant)
        news = await self._news(tenant, job_id, after)
        return any(news.events()) or not news.record.status.is_terminal

    async def follow(
        self, tenant: str, job_id: str, after: EventId | None
    ) -> AsyncGenerator[JobEvent | None, None]:
        """The whole job first, or the changes since `after`; then each change, and the whole job
        again when it is over. None is a sign of life, where nothing has changed for a while.

        Nothing piles up for a listener who is slow: the store keeps the changes, and one who falls
        behind what it keeps gets the whole job. Ends early when the job is deleted or the store
        cannot be reached; the listener may come back with the last id.
        """
        try:
            with self._signals.listen(tenant, job_id) as listener:
                while True:
                    news = await self._news(tenant, job_id, after)
                    for event in news.events():
                        yield event
                    if news.record.status.is_terminal:
                        return
                    after = news.last_event
                    if not await listener.wait(self._keep_alive):
                        yield None
        except (GridscribeError, RedisError, OSError) as error:
            _log.info("nobody follows job %s any more: %s", job_id, error)

    async def until_over(self, record: JobRecord, seconds: float) -> JobRecord:
        """The job once it is over, or as it was when time ran out or the store went away."""
        deadline = time.monotonic() + seconds
        try:
            with self._signals.listen(record.tenant, record.id) as listener:
                while True:
                    record = (await self._news(record.tenant, record.id, None)).record
                    left = deadline - time.monotonic()
                    if record.status.is_terminal or left <= 0:
                        break
                    await listener.wait(min(left, self._keep_alive))
        except (GridscribeError, RedisError, OSError) as error:
            _log.info("not waiting for job %s: %s", record.id, error)
        return record

    async def _news(self, tenant: str, job_id: str, after: EventId | None) -> JobNews:
        async with self._reading:
            return await self._store.news(tenant, job_id, after)
