"""Everything about sources that an API process needs, put together."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex

from redis.asyncio import Redis

from api.image_fetching import ImageFetcher
from api.inbound.authentication import Authentication
from api.inbound.fal_keys import FalKeys
from api.inbound.grid_maker import GridMaker, patient
from api.inbound.reception import Reception
from api.job_service import JobService
from shared.inbound_collections import CollectionStore
from shared.settings import Settings
from shared.source_store import SourceStore
from shared.url_guard import UrlGuard


@asynccontextmanager
async def opened_reception(
    redis: Redis, sources: SourceStore, jobs: JobService, guard: UrlGuard, settings: Settings
) -> AsyncIterator[Reception]:
    """Takes events; grids are made of them as long as the block runs."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
    collections = CollectionStore(redis, settings, owner)
    fetcher = ImageFetcher(guard, patient(settings))
    async with GridMaker(collections, sources, jobs, fetcher, settings).running():
        yield Reception(sources, collections, Authentication(FalKeys(guard, settings)))
