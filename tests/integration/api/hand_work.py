"""A worker's steps, done by hand in the real store and the real storage."""

import hashlib

import httpx

from shared.errors import ErrorCode, GridscribeError
from shared.job_lifecycle import JobLifecycle
from shared.object_storage import ObjectStorage, output_key
from shared.schemas import Manifest, StoredPage, StoredResult
from shared.settings import Settings
from shared.work_units import Ticket, WorkerKind
from tests.integration.api.served import image_part, spec_part, submit

MANIFEST = Manifest(rows=1, cols=1, pages=(), images=())


def new_job(client: httpx.Client, **spec: object) -> str:
    answer = submit(client, image_part("a.png"), spec_part(spec))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def begin(worker: JobLifecycle) -> Ticket:
    (ticket,) = worker.dispatch(WorkerKind.COMPOSE, 10)
    assert worker.start_compose(ticket) is not None
    return ticket


def fail(worker: JobLifecycle) -> str:
    """Let the only waiting job fail; its id."""
    ticket = begin(worker)
    worker.fail_job(ticket, GridscribeError(ErrorCode.NO_READABLE_IMAGE, "all are broken"))
    return ticket.job_id


def store_sheet(settings: Settings, ticket: Ticket, pages: list[bytes]) -> StoredResult:
    """The files of an attempt, not committed yet."""
    storage = ObjectStorage(settings.effective_storage_url)
    job_id, attempt = ticket.job_id, ticket.attempt
    keys = [output_key(job_id, attempt, f"page-{n}.png") for n in range(len(pages))]
    for key, data in zip(keys, pages, strict=True):
        storage.put_bytes(key, data)
    manifest_key = output_key(job_id, attempt, "manifest.json")
    storage.put_bytes(manifest_key, MANIFEST.model_dump_json().encode())
    stored = tuple(
        StoredPage(
            key=key, width=8, height=6, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
        )
        for key, data in zip(keys, pages, strict=True)
    )
    return StoredResult(
        media_type="image/png", extension="png", pages=stored, manifest_key=manifest_key
    )


def finish(worker: JobLifecycle, settings: Settings, pages: list[bytes]) -> str:
    """Do the only waiting job as a compose worker would; its id."""
    ticket = begin(worker)
    worker.commit_sheet(ticket, store_sheet(settings, ticket, pages), (), ())
    return ticket.job_id
