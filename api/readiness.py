"""Is everything there that a job needs?"""

from collections.abc import Awaitable

import anyio
from anyio import to_thread
from obstore.exceptions import BaseError as StorageError
from redis.exceptions import RedisError

from shared.job_store import JobStore
from shared.object_storage import ObjectStorage
from shared.readiness import Readiness, WorkerReadiness
from shared.settings import Settings
from shared.work_units import WorkerKind, WorkerStamp


class ReadinessService:
    def __init__(self, store: JobStore, storage: ObjectStorage, settings: Settings) -> None:
        self._store = store
        self._storage = storage
        self._timeout = settings.store_timeout_seconds
        self._auth = settings.auth

    async def check(self) -> Readiness:
        """Answers within the store's time-out, whatever hangs."""
        workers: dict[WorkerKind, tuple[WorkerStamp, ...]] = {}
        results: dict[str, bool] = {}

        async def look_for_workers() -> None:
            workers.update(await self._store.live_workers())

        async def reach_storage() -> None:
            await to_thread.run_sync(self._storage.ping, abandon_on_cancel=True)

        async def note(name: str, check: Awaitable[None]) -> None:
            results[name] = await self._succeeds(check)

        async with anyio.create_task_group() as group:
            group.start_soon(note, "store", look_for_workers())
            group.start_soon(note, "storage", reach_storage())

        present = {
            "store": results["store"],
            "storage": results["storage"],
            "dispatcher": bool(workers.get(WorkerKind.DISPATCHER)),
            "caption workers": bool(workers.get(WorkerKind.CAPTION)),
            "compose workers": bool(workers.get(WorkerKind.COMPOSE)),
        }
        missing = tuple(name for name, is_there in present.items() if not is_there)
        return Readiness(
            ready=not missing,
            missing=missing,
            store=present["store"],
            storage=present["storage"],
            dispatcher=present["dispatcher"],
            deliverer=bool(workers.get(WorkerKind.DELIVERER)),
            auth=self._auth,
            caption_workers=_shown(workers.get(WorkerKind.CAPTION, ())),
            compose_workers=_shown(workers.get(WorkerKind.COMPOSE, ())),
        )

    async def _succeeds(self, check: Awaitable[None]) -> bool:
        try:
            with anyio.fail_after(self._timeout):
                await check
        except (RedisError, StorageError, OSError):
            return False
        return True


def _shown(stamps: tuple[WorkerStamp, ...]) -> tuple[WorkerReadiness, ...]:
    return tuple(
        WorkerReadiness(owner=s.owner, capacity=s.capacity, model=s.model, notice=s.notice)
        for s in stamps
    )
