"""Makes grids of collections that are due, in every API process, driven by leases in the store.

A process that dies leaves nothing but a lease that runs out: the collection is taken up by another.
The grid's job is submitted with a key of the collection's own, so that it is made once.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from obstore.exceptions import BaseError as StorageError
from redis.exceptions import RedisError

from api.image_fetching import ImageFetcher
from api.inbound.collected_images import collected_reader
from api.inbound.mounts import Mounts
from api.job_service import JobService
from shared.errors import ErrorCode, GridscribeError
from shared.inbound_collections import Collection, CollectionStore
from shared.inbound_sources import SourceFields, SourceOutcome
from shared.job_spec import JobSpec
from shared.logging import bound
from shared.object_storage import is_out_of_space
from shared.settings import Settings
from shared.source_store import SourceStore
from shared.spec_placeholders import filled_in

_POLL_SECONDS = 0.5
_AT_ONCE = 2
"""Grids that one process gathers images for at a time."""
_FETCH_TOTAL_SECONDS = 900.0
"""For all images of one grid: nobody waits for an answer here."""
_PAUSES = (5.0, 30.0, 120.0, 600.0)
"""Seconds before the tries after the first, where waiting may help."""
_LONGEST_PAUSE = 3600.0
_MOST_ATTEMPTS = 8

_PASSING = frozenset(
    {
        ErrorCode.QUOTA_EXCEEDED,
        ErrorCode.SERVICE_FULL,
        ErrorCode.SERVICE_UNAVAILABLE,
        ErrorCode.STORAGE_FULL,
        ErrorCode.IDEMPOTENCY_IN_PROGRESS,
        ErrorCode.IDEMPOTENCY_MISMATCH,  # another process was faster: the next look finds its job
    }
)
"""Not the images' fault: tried until `inbound_ttl_seconds` are over."""
_OUTAGES = (RedisError, StorageError, OSError)
_log = logging.getLogger(__name__)


class GridMaker:
    def __init__(
        self,
        collections: CollectionStore,
        sources: SourceStore,
        jobs: JobService,
        fetcher: ImageFetcher,
        settings: Settings,
    ) -> None:
        self._collections = collections
        self._sources = sources
        self._jobs = jobs
        self._fetcher = fetcher
        self._mounts = Mounts(settings)
        self._settings = settings

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Make grids as long as the block runs; what is under way at its end is done elsewhere."""
        stopping = asyncio.Event()
        task = asyncio.create_task(self._run(stopping))
        try:
            yield
        finally:
            stopping.set()  # a library on the way may swallow the cancellation
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            at_work: set[asyncio.Task[None]] = set()
            while not stopping.is_set():
                try:
                    free = _AT_ONCE - len(at_work)
                    for collection in await self._collections.claim(free) if free else ():
                        task = group.create_task(self._work(collection))
                        at_work.add(task)
                        task.add_done_callback(at_work.discard)
                except _OUTAGES as error:
                    _log.warning("store not reachable, grids of events wait: %s", error)
                except Exception:  # noqa: BLE001 (whatever it is, the next look may be well)
                    _log.exception("collections that are due could not be read")
                await asyncio.sleep(_POLL_SECONDS)
            for task in at_work:
                task.cancel()

    async def _work(self, collection: Collection) -> None:
        with bound(source_id=collection.source_id):
            beating = asyncio.create_task(self._beat(collection))
            try:
                await self._make(collection)
            except _OUTAGES as error:
                # Its lease runs out, and it is looked at again.
                _log.warning("store or storage failed, a grid waits: %s", error)
            except Exception:  # noqa: BLE001 (one bad collection must not end the making of others)
                # As if this process had died over it: a few times, and then no more.
                _log.exception("a grid of %r could not be made, trying again", collection.job_id)
            finally:
                beating.cancel()

    async def _beat(self, collection: Collection) -> None:
        while True:
            await asyncio.sleep(self._settings.beat_seconds)
            with contextlib.suppress(*_OUTAGES):
                await self._collections.beat(collection)

    async def _make(self, collection: Collection) -> None:
        source = await self._sources.find(collection.source_id)
        if source is None:
            return  # deleted, and the collection with it
        key = f"collection:{collection.id}"
        if made := await self._jobs.made_with(collection.tenant, key):
            await self._made(collection, made)  # by a process that died before it could say so
            return
        if collection.attempts > _MOST_ATTEMPTS:  # each of them ended this process, or nearly
            await self._failed(collection, f"given up after {_MOST_ATTEMPTS} attempts")
            return
        try:
            spec = _spec(source.fields, collection)
        except ValueError as error:
            await self._failed(collection, f"the source's spec cannot be filled in: {error}")
            return
        limit = self._settings.max_images
        reader = collected_reader(
            collection, source.fields, spec, self._fetcher, self._mounts, limit
        )
        try:
            job = await self._jobs.submit(collection.tenant, reader, key)
        except GridscribeError as error:
            await self._not_made(collection, error)
        except (StorageError, OSError) as error:
            await self._not_made(collection, _storage_failure(error))
        else:
            await self._made(collection, job.id)

    async def _made(self, collection: Collection, job_id: str) -> None:
        _log.info("made job %s of %d frames", job_id, len(collection.frames))
        await self._collections.close(collection, SourceOutcome.GRID_MADE, "", job_id)

    async def _not_made(self, collection: Collection, error: GridscribeError) -> None:
        in_time = collection.age_seconds < self._settings.inbound_ttl_seconds
        if error.code in _PASSING and in_time:
            pause = min(max(_PAUSES[1], error.retry_after or 0), _LONGEST_PAUSE)
            await self._try_later(collection, error.detail, pause, forgiven=True)
        elif error.code is ErrorCode.FETCH_FAILED and collection.attempts <= len(_PAUSES):
            await self._try_later(collection, error.detail, _PAUSES[collection.attempts - 1])
        else:
            await self._failed(collection, error.detail)

    async def _try_later(
        self, collection: Collection, why: str, seconds: float, *, forgiven: bool = False
    ) -> None:
        _log.warning("no grid of %r yet, again in %g s: %s", collection.job_id, seconds, why)
        await self._collections.retry(collection, seconds, forgiven=forgiven)

    async def _failed(self, collection: Collection, why: str) -> None:
        if not collection.frames:
            why = "it ended, and no picture of it had come"
        _log.error("no grid of %r: %s", collection.job_id, why)
        await self._collections.close(collection, SourceOutcome.GRID_FAILED, why[:500])


def _storage_failure(error: Exception) -> GridscribeError:
    """Of the service's own disk or bucket: its words are for the log and not for the owner."""
    _log.warning("storage failed: %s", error)
    if is_out_of_space(error):
        return GridscribeError(ErrorCode.STORAGE_FULL, "the service's storage is full")
    return GridscribeError(
        ErrorCode.SERVICE_UNAVAILABLE, "the service cannot reach its storage or a shared folder"
    )


def patient(settings: Settings) -> Settings:
    """Settings of the fetcher for grids of events."""
    total = max(settings.fetch_total_seconds, _FETCH_TOTAL_SECONDS)
    return settings.model_copy(update={"fetch_total_seconds": total})


def _spec(source: SourceFields, collection: Collection) -> JobSpec:
    values = {
        "job_id": collection.job_id,
        "name": collection.name or collection.job_id,
        "source": source.name,
    }
    return filled_in(source.spec, values)
