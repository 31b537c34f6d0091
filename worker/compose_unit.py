"""One sheet: label every image, render the pages, store them, commit."""

import logging
import tempfile
from functools import partial
from pathlib import Path

from shared.errors import GridscribeError
from shared.job_lifecycle import Commit, ComposeWork
from shared.labels import label_warnings, resolve_label
from shared.object_storage import output_key
from shared.schemas import JobWarning, LabeledImage, Manifest, StoredPage, StoredResult
from shared.work_units import Ticket
from worker.backend import Backend
from worker.lease import Lease
from worker.pipeline.render import RenderCanceled, RenderedSheet, SheetEntry, render_sheet

logger = logging.getLogger(__name__)


def compose_unit(backend: Backend, ticket: Ticket) -> None:
    """Do one attempt at a job's sheet; a stale ticket is dropped."""
    lifecycle = backend.lifecycle
    work = lifecycle.start_compose(ticket)
    if work is None:
        logger.info("dropped a stale message: %s", ticket)
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
        lifecycle.fail_attempt(ticket, f"{type(error).__name__}: {error}")


def _compose(
    backend: Backend, ticket: Ticket, work: ComposeWork, lease: Lease, folder: Path
) -> None:
    entries, warnings = label_entries(backend, work)
    sheet = render_sheet(
        work.spec,
        entries,
        folder,
        max_pixels=backend.settings.max_sheet_pixels,
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
    outcome = backend.lifecycle.commit_sheet(ticket, result, labeled, warnings)
    if outcome is not Commit.COMMITTED:
        logger.warning("late commit refused (%s): %s", outcome, ticket)
        backend.storage.delete_prefix(output_key(ticket.job_id, ticket.attempt, ""))


def label_entries(
    backend: Backend, work: ComposeWork
) -> tuple[list[SheetEntry], tuple[JobWarning, ...]]:
    """What the sheet shows of each image, and a warning for each source that gave no label."""
    entries: list[SheetEntry] = []
    warnings: list[JobWarning] = []
    for index, image in enumerate(work.images):
        caption = work.captions.get(index)
        label = resolve_label(image, work.spec, caption, has_csv=work.has_csv)
        warnings.extend(label_warnings(index, image.name, label))
        entries.append(
            SheetEntry(
                name=image.name,
                label=label.text,
                source=label.source,
                confidence=label.confidence,
                reasons=tuple(fall.detail for fall in label.falls),
                facets=caption.facets if caption else {},
                model=caption.model if caption else None,
                features=caption.features if caption else None,
                metadata={**image.metadata, **(image.csv_row or {})},
                open=partial(backend.storage.open, image.key),
            )
        )
    return entries, tuple(warnings)


def _store(
    backend: Backend,
    ticket: Ticket,
    work: ComposeWork,
    sheet: RenderedSheet,
    manifest: Manifest,
) -> StoredResult:
    """Put pages and manifest under this attempt's own name; the commit makes them the job's."""
    pages: list[StoredPage] = []
    for page in sheet.pages:
        key = output_key(ticket.job_id, ticket.attempt, page.path.name)
        backend.storage.put_file(key, page.path)
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
        media_type=work.spec.format.media_type,
        extension=work.spec.format.value,
        pages=tuple(pages),
        manifest_key=manifest_key,
    )
