"""One sheet: label every image, render the pages, store them, commit."""

import logging
import tempfile
from functools import partial
from pathlib import Path

from shared.errors import GridscribeError
from shared.failpoints import failpoint
from shared.job_lifecycle import Commit, ComposeWork
from shared.object_storage import output_key, output_prefix, sheet_filename
from shared.schemas import LabeledImage, Manifest, StoredPage, StoredResult
from shared.sheet_labels import resolve_labels
from shared.work_units import Ticket
from worker.backend import Backend
from worker.failed_attempts import give_back
from worker.lease import Lease
from worker.messages import drop_stale
from worker.pipeline.entries import sheet_entries
from worker.pipeline.metadata.embedded import Embedded, read_embedded
from worker.pipeline.render import RenderCanceled, RenderedSheet, render_sheet

logger = logging.getLogger(__name__)


def compose_unit(backend: Backend, ticket: Ticket) -> None:
    """Do one attempt at a job's sheet; a stale ticket is dropped."""
    lifecycle = backend.lifecycle
    work = lifecycle.start_compose(ticket)
    if work is None:
        drop_stale(backend, ticket)
        return
    try:
        with (
            backend.leases.keep(ticket) as lease,
            tempfile.TemporaryDirectory(prefix="gridscribe-") as folder,
        ):
            _compose(backend, ticket, work, lease, Path(folder))
    except RenderCanceled:
        lifecycle.yield_unit(ticket)
    except GridscribeError as error:
        lifecycle.fail_job(ticket, error)
    except Exception as error:
        logger.exception("composing failed: %s", ticket)
        give_back(backend, ticket, error)


def _compose(
    backend: Backend, ticket: Ticket, work: ComposeWork, lease: Lease, folder: Path
) -> None:
    embedded = _read_embedded(backend, work, lease)
    labels = resolve_labels(
        work.images,
        work.spec,
        work.captions,
        has_csv=work.has_csv,
        embedded=[each.parameters for each in embedded],
    )
    openers = [partial(backend.storage.open, image.key) for image in work.images]
    entries, warnings = sheet_entries(work.images, labels.labels, work.captions, embedded, openers)
    sheet = render_sheet(
        work.spec,
        entries,
        folder,
        max_pixels=backend.settings.max_sheet_pixels,
        header=labels.header,
        progress=lease.report,
        stop=lease.ended,
    )
    warnings = (*work.warnings, *warnings, *sheet.manifest.warnings)
    manifest = sheet.manifest.model_copy(update={"warnings": warnings})
    result = _store(backend, ticket, work, sheet, manifest)
    labeled = tuple(
        LabeledImage.model_validate(image.model_dump(include=set(LabeledImage.model_fields)))
        for image in manifest.images
    )
    failpoint("compose.before_commit")
    outcome = backend.lifecycle.commit_sheet(ticket, result, labeled, warnings)
    if outcome is Commit.COMMITTED:
        _remove_earlier_attempts(backend, ticket)
    else:
        logger.warning("late commit refused (%s): %s", outcome, ticket)
        backend.storage.delete_prefix(output_prefix(ticket.job_id, ticket.attempt))


def _read_embedded(backend: Backend, work: ComposeWork, lease: Lease) -> list[Embedded]:
    """What each file carries. Before the first picture is decoded, for labels of one size need to
    be known together; only the headers are fetched."""
    embedded: list[Embedded] = []
    for image in work.images:
        if lease.ended():
            raise RenderCanceled
        with backend.storage.open(image.key) as file:
            embedded.append(read_embedded(file))
    return embedded


def _remove_earlier_attempts(backend: Backend, ticket: Ticket) -> None:
    """An attempt whose worker was killed may have left pages behind."""
    for attempt in range(1, ticket.attempt):
        backend.storage.delete_prefix(output_prefix(ticket.job_id, attempt))


def _store(
    backend: Backend,
    ticket: Ticket,
    work: ComposeWork,
    sheet: RenderedSheet,
    manifest: Manifest,
) -> StoredResult:
    """Put pages and manifest under this attempt's own name; the commit makes them the job's."""
    failpoint("compose.before_store")
    pages: list[StoredPage] = []
    kind = work.spec.format
    for number, page in enumerate(sheet.pages, start=1):
        key = output_key(ticket.job_id, ticket.attempt, page.path.name)
        filename = sheet_filename(ticket.job_id, number, len(sheet.pages), kind.value)
        backend.storage.put_file(key, page.path, media_type=kind.media_type, filename=filename)
        pages.append(
            StoredPage(
                key=key,
                width=page.width,
                height=page.height,
                bytes=page.bytes,
                sha256=page.sha256,
            )
        )
    manifest_key = output_key(ticket.job_id, ticket.attempt, "manifest.json")
    backend.storage.put_bytes(manifest_key, manifest.model_dump_json().encode())
    return StoredResult(
        media_type=kind.media_type,
        extension=kind.value,
        pages=tuple(pages),
        manifest_key=manifest_key,
    )
