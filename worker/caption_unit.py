"""One chunk of images: let the shared model caption them, in turns with other jobs, commit."""

import logging
from concurrent.futures import Future, wait
from itertools import count

from shared.failpoints import failpoint
from shared.job_lifecycle import CaptionWork, Commit
from shared.schemas import ImageCaption
from shared.work_units import Ticket
from worker.backend import Backend
from worker.caption_requests import caption_request
from worker.captioning.captioning import Captioning
from worker.failed_attempts import give_back
from worker.lease import Lease
from worker.messages import drop_stale
from worker.pipeline.metadata.embedded import read_metadata

logger = logging.getLogger(__name__)

MOST_AHEAD = 8
"""Pictures of one unit that may wait for the model: they bound what a worker holds."""

_beginnings = count()
"""Numbers the units of this process as they begin."""

EMBEDDED_LABEL = ImageCaption(reason="CLIP was not asked: the file carries what was asked for")
"""For an image that needs no caption, which only looking into its file could tell."""

_LOOK_UP_SECONDS = 0.5
"""How often one that waits for the model asks whether it should go on."""


def caption_unit(backend: Backend, captioning: Captioning, ticket: Ticket) -> None:
    """Do one attempt at a caption unit; a stale ticket is dropped."""
    lifecycle = backend.lifecycle
    work = lifecycle.start_captions(ticket)
    if work is None:
        drop_stale(backend, ticket)
        return
    try:
        with backend.leases.keep(ticket) as lease:
            captions = _caption(backend, captioning, work, lease)
            failpoint("caption.before_commit")
        if captions is None:
            lifecycle.yield_unit(ticket)
        elif lifecycle.commit_captions(ticket, captions) is not Commit.COMMITTED:
            logger.warning("late commit refused: %s", ticket)
        else:
            logger.info(
                "captioned %s; pictures recalled: %d, looked at: %d", ticket, *captioning.recalled
            )
    except Exception as error:
        logger.exception("captioning failed: %s", ticket)
        give_back(backend, ticket, error)


def _caption(
    backend: Backend, captioning: Captioning, work: CaptionWork, lease: Lease
) -> list[ImageCaption] | None:
    """One caption an image, or None when the lease ended first."""
    owner, began = lease.ticket.job_id, next(_beginnings)
    futures: list[Future[ImageCaption]] = []
    ahead: list[Future[ImageCaption]] = []
    for image in work.images:
        if lease.ended():
            break
        failpoint("caption.decode", image.name)
        with backend.storage.open(image.key) as file:
            request = caption_request(work.spec, image, read_metadata(file))
            if request is None:
                futures.append(_ready(EMBEDDED_LABEL))
                continue
            if known := captioning.recall(image.sha256, request):
                futures.append(_ready(known))
                continue
            if len(ahead) == MOST_AHEAD:
                # Half of them at once: a thread that wakes for each picture takes the core from
                # the model each time, and the caches with it.
                wait(ahead[: MOST_AHEAD // 2])
                del ahead[: MOST_AHEAD // 2]
            file.seek(0)
            future = captioning.submit_file(
                backend.storage.local_path(image.key) or file,
                request,
                content=image.sha256,
                owner=owner,
                # A job's chunks end one after another, so that the next one comes while others
                # are at work; at the same pace they would all end at once.
                rank=began,
            )
            futures.append(future)
            ahead.append(future)
    while not lease.ended() and wait(futures, _LOOK_UP_SECONDS).not_done:
        pass
    if lease.ended():
        for future in futures:
            future.cancel()
        return None
    return [future.result() for future in futures]


def _ready(caption: ImageCaption) -> Future[ImageCaption]:
    future: Future[ImageCaption] = Future()
    future.set_result(caption)
    return future
