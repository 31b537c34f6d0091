"""Jobs and results as the store keeps them, of pictures and sheets that lie nowhere."""

import asyncio

import uuid6

from shared import job_store
from shared.job_record import NewJob
from shared.job_spec import JobSpec
from shared.job_store import JobStore
from shared.schemas import SourceImage, StoredPage, StoredResult
from shared.settings import Settings

RESULT = StoredResult(
    media_type="image/png",
    extension="png",
    pages=(StoredPage(key="k", width=1, height=1, bytes=1, sha256="0"),),
    manifest_key="m",
)


def new_job(
    count: int = 1, *, job_id: str | None = None, tenant: str = "default", **spec: object
) -> NewJob:
    """A job of `count` pictures to caption; without any its sheet is due at once."""
    images = tuple(
        SourceImage(
            name=f"{n}.png", key=f"k{n}", media_type="image/png", width=1, height=1, bytes=1,
            sha256="0",
        )
        for n in range(max(count, 1))
    )  # fmt: skip
    job_spec = JobSpec.model_validate({"use_clip": True, **spec})
    return NewJob(job_id or str(uuid6.uuid7()), tenant, job_spec, images, tuple(range(count)))


def with_store(settings: Settings, method: str, *args: object) -> object:
    """What the front end's store answers, for tests that are not async."""

    async def call() -> object:
        async with job_store.connect(settings) as redis:
            return await getattr(JobStore(redis, settings), method)(*args)

    return asyncio.run(call())
